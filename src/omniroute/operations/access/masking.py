"""How secrets look when they are shown. Source: 02 §1.7."""

import re
from collections.abc import Mapping
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


MASKED = "••••"
"""Stands for a value that is not shown; written back, it means: as it was."""

_SECRET_HEADER = re.compile(r"key|token|secret|auth|cookie|password", re.IGNORECASE)


def is_secret_header(name: str) -> bool:
    """Whether a header is called like a secret."""
    return _SECRET_HEADER.search(name) is not None


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without the values of those that are called like secrets."""
    return {name: MASKED if is_secret_header(name) else value for name, value in headers.items()}


def unmasked_headers(given: Mapping[str, str], old: Mapping[str, str]) -> dict[str, str]:
    """Headers as they were written, those that were masked as they had been."""
    known = {name.lower(): value for name, value in old.items()}
    return {
        name: known.get(name.lower(), value) if value == MASKED else value
        for name, value in given.items()
    }


def without_secrets(options: dict[str, Any]) -> dict[str, Any]:
    """Connection options without the members that are secrets."""
    return {name: value for name, value in options.items() if name not in HIDDEN_OPTIONS}
