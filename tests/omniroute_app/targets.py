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

every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
every_account = pytest.mark.parametrize(
    "target",
    [prefix for prefix in TARGETS.values() if prefix != "demo"],
    ids=[spoken for spoken, prefix in TARGETS.items() if prefix != "demo"],
)
"""Every target but the demo in process, whose health nobody keeps."""
either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

IN_WORDS = {"ant"}
"""Targets that are asked for JSON in words, for their models are not known to take a schema.

The demo model does not follow words, so there the user says what it is to say again."""


def asking_for_oslo(target: str) -> str:
    """What makes the model `echo` of a target answer `{"city": "Oslo", "days": 1}`."""
    return '{"city":"Oslo","days":1}' if target in IN_WORDS else "Oslo"


_NODES = {
    "chat": {"type": "openai-compatible", "apiType": "chat"},
    "resp": {"type": "openai-compatible", "apiType": "responses"},
    "ant": {"type": "anthropic-compatible"},
}
_BASES = {"gemini": "/v1beta", "ollama": ""}


def add_target(client: httpx.Client, target: str, upstream: str) -> None:
    """Configure an account at the demo upstream, as an operator would.

    Done again, it replaces the account by one whose health is not known to be bad.
    """
    if target == "demo":
        return
    options = {}
    if target in _BASES:
        options["baseUrl"] = upstream + _BASES[target]
    elif not _has_node(client, target):
        node = {"name": target, "prefix": target, "baseUrl": f"{upstream}/v1", **_NODES[target]}
        client.post("/api/provider-nodes", json=node).raise_for_status()
    account = {
        "provider": target,
        "name": f"{target} account",
        "apiKey": "not-a-secret",
        "providerSpecificData": options,
    }
    client.post("/api/providers", json=account).raise_for_status()


def _has_node(client: httpx.Client, prefix: str) -> bool:
    nodes = client.get("/api/provider-nodes").raise_for_status().json()["nodes"]
    return any(node["prefix"] == prefix for node in nodes)
