"""What every client is told first: names, revisions, capabilities, and how long answers hold."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.wire import ACCEPT, INITIALIZE, MODERN, MODERN_LIST, STREAM

from omniroute_app.settings import load_settings

pytestmark = pytest.mark.anyio

REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


def events(text: str) -> list[Any]:
    """The messages of an event stream."""
    data = [line.removeprefix("data:").strip() for line in text.splitlines() if line[:5] == "data:"]
    return [json.loads(one) for one in data if one]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_revision_with_a_handshake_is_spoken(tmp_path: Path, revision: str) -> None:
    asked = {**INITIALIZE, "params": {**INITIALIZE["params"], "protocolVersion": revision}}  # type: ignore[dict-item]
    async with application(tmp_path) as (engine, client, _):
        answer = await client.post(STREAM, json=asked, headers=ACCEPT)
        card = (await client.get("/.well-known/agent-card.json")).json()
    (message,) = events(answer.text)
    told = message["result"]
    assert told["protocolVersion"] == revision
    assert (told["serverInfo"]["name"], told["serverInfo"]["version"]) == (
        "omniroute",
        engine.version,
    )
    assert card["version"] == engine.version
    assert set(told["capabilities"]) == {"completions", "logging", "prompts", "resources", "tools"}
    assert told["capabilities"]["resources"]["subscribe"] is True


async def test_a_stream_says_when_to_come_back(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        answer = await client.post(STREAM, json=INITIALIZE, headers=ACCEPT)
    assert answer.text.splitlines()[:3] == ["id: 1", "data: ", "retry: 1000"]


async def modern(client: httpx.AsyncClient, method: str, **params: str) -> httpx.Response:
    """The answer to a request of the stateless era."""
    body = {**MODERN_LIST, "method": method, "params": {**MODERN_LIST["params"], **params}}  # type: ignore[dict-item]
    names = {"mcp-method": method, **({"mcp-name": params["uri"]} if "uri" in params else {})}
    return await client.post(STREAM, json=body, headers={**MODERN, **names})


HINTS: dict[str, tuple[dict[str, str], int]] = {
    "tools/list": ({}, 60_000),
    "prompts/list": ({}, 60_000),
    "resources/list": ({}, 60_000),
    "resources/templates/list": ({}, 60_000),
    "resources/read": ({"uri": "omniroute://health"}, 5_000),
}


@pytest.mark.parametrize("method", HINTS)
async def test_lists_and_reads_say_how_long_they_hold(tmp_path: Path, method: str) -> None:
    params, ttl_ms = HINTS[method]
    async with application(tmp_path) as (_, client, _):
        result = (await modern(client, method, **params)).json()["result"]
    assert (result["ttlMs"], result["cacheScope"]) == (ttl_ms, "private")


async def test_the_stateless_era_has_no_sessions(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        answer = await modern(client, "server/discover")
    assert "mcp-session-id" not in answer.headers
    assert answer.json()["result"]["supportedVersions"] == ["2026-07-28"]
    assert "tasks" not in answer.json()["result"]["capabilities"]


ADDRESSES: dict[str, tuple[dict[str, str], str]] = {
    "nothing said": ({}, "http://localhost:20128"),
    "the last name": ({"NEXT_PUBLIC_BASE_URL": "https://c.example/"}, "https://c.example"),
    "the one before": (
        {"BASE_URL": "https://b.example", "NEXT_PUBLIC_BASE_URL": "https://c.example"},
        "https://b.example",
    ),
    "the first name": (
        {"OMNIROUTE_BASE_URL": "https://a.example//", "BASE_URL": "https://b.example"},
        "https://a.example",
    ),
}


@pytest.mark.parametrize(("environ", "address"), ADDRESSES.values(), ids=ADDRESSES)
def test_where_clients_reach_the_gateway(
    tmp_path: Path, environ: dict[str, str], address: str
) -> None:
    settings = load_settings(environ, data_dir=tmp_path, discover=False)
    assert settings.public_url == address


WORDS = {"true": True, "1": True, "ON": True, "": False, "false": False, "no": False}


@pytest.mark.parametrize(("word", "on"), WORDS.items())
def test_words_that_switch_the_check_of_scopes_on(tmp_path: Path, word: str, on: bool) -> None:
    environ = {"OMNIROUTE_MCP_ENFORCE_SCOPES": word}
    settings = load_settings(environ, data_dir=tmp_path, discover=False)
    assert settings.mcp_enforce_scopes is on
