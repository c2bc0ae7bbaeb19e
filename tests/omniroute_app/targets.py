"""Targets of every dialect, for clients of every dialect."""

import httpx
import pytest

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
"""A picture of one pixel, base64."""
SEEN = f"I see image image/png of {len(PNG)} characters"
"""What the demo model `see` says about it."""

TARGETS = {
    "in process": "demo",
    "OpenAI Chat": "chat",
    "OpenAI Responses": "resp",
    "Anthropic": "ant",
    "Gemini": "gemini",
    "Ollama": "ollama",
}
"""Prefixes by what the upstream behind them speaks."""

IN_WORDS = "Anthropic"
"""The target that is asked for JSON in words, which the demo model behind it does not follow."""

every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
every_target_with_schemas = pytest.mark.parametrize(
    "target",
    [prefix for spoken, prefix in TARGETS.items() if spoken != IN_WORDS],
    ids=[spoken for spoken in TARGETS if spoken != IN_WORDS],
)
either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def add_targets(client: httpx.Client, upstream: str) -> None:
    """Configure an account at the demo upstream for every dialect, as an operator would."""
    nodes = {
        "chat": {"type": "openai-compatible", "apiType": "chat"},
        "resp": {"type": "openai-compatible", "apiType": "responses"},
        "ant": {"type": "anthropic-compatible"},
    }
    for prefix, kind in nodes.items():
        node = {"name": prefix, "prefix": prefix, "baseUrl": f"{upstream}/v1", **kind}
        client.post("/api/provider-nodes", json=node).raise_for_status()
    bases = {**dict.fromkeys(nodes, ""), "gemini": f"{upstream}/v1beta", "ollama": upstream}
    for provider, base in bases.items():
        account = {
            "provider": provider,
            "name": f"{provider} account",
            "apiKey": "not-a-secret",
            "providerSpecificData": {"baseUrl": base} if base else {},
        }
        client.post("/api/providers", json=account).raise_for_status()
