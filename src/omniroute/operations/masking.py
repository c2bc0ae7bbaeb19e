"""How secrets look when they are shown. Source: 02 §1.7."""

from typing import Any

HIDDEN_OPTIONS = frozenset(
    {
        "consoleApiKey",
        "secretAccessKey",
        "awsSecretAccessKey",
        "sessionToken",
        "awsSessionToken",
        "extraApiKeys",
    }
)


def masked(secret: str) -> str:
    """First 8 characters, `****`, last 4; short secrets are not shown at all."""
    return f"{secret[:8]}****{secret[-4:]}" if len(secret) > 16 else "****"


def without_secrets(options: dict[str, Any]) -> dict[str, Any]:
    """Connection options without the members that are secrets."""
    return {name: value for name, value in options.items() if name not in HIDDEN_OPTIONS}
