"""Resources: what is listed, what each says, and who may not read it."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, TextResourceContents
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.tools.example import ROUTED, populate
from tests.omniroute_mcp.wire import MODERN, MODERN_LIST, STREAM, enforcing, key

from omniroute.engine import Engine
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.door import parts
from omniroute_mcp.errors import RESOURCE_NOT_FOUND, SCOPE_DENIED
from omniroute_mcp.resources.rows import ROWS

pytestmark = pytest.mark.anyio

CARD = {"name": "OmniRoute"}
ERAS = ["legacy", "2026-07-28"]


@asynccontextmanager
async def connected(
    data_dir: Path, era: str = "2026-07-28", policy: Policy | None = None
) -> AsyncGenerator[tuple[Engine, Client]]:
    """An engine with combos and one routed request, and a client of its resources."""
    settings = load_settings({}, data_dir=data_dir, discover=False)
    async with open_engine(settings, {}) as engine:
        await populate(engine)
        callers = Callers(policy or Policy(), over_stdio=True)
        server = parts(engine, callers, lambda: CARD).server()
        async with Client(server, mode=era) as client:
            yield engine, client


async def read(client: Client, uri: str) -> Any:
    """What a resource says."""
    (contents,) = (await client.read_resource(uri)).contents
    assert isinstance(contents, TextResourceContents)
    assert (contents.uri, contents.mime_type) == (uri, "application/json")
    return json.loads(contents.text)


SAYS: dict[str, dict[str, Any]] = {
    "omniroute://health": {"status": "healthy"},
    "omniroute://models": {"source": "local_catalog"},
    "omniroute://combos": {},
    "omniroute://providers": {},
    "omniroute://quota": {},
    "omniroute://budget": {"budgets": [], "guard": None},
    "omniroute://session": {"requestCount": 1},
    "omniroute://compression": {"enabled": False, "strategy": "off"},
    "omniroute://agent-card": CARD,
    "omniroute://models/demo": {},
    "omniroute://combos/pair": {"name": "pair", "enabled": True},
    "omniroute://combos/pair/metrics": {"requests": 1},
    "omniroute://providers/demo/metrics": {"provider": "demo"},
    "omniroute://usage/day": {"period": "day", "requestCount": 1},
    f"omniroute://routes/{ROUTED}": {"requestId": ROUTED},
}


@pytest.mark.parametrize("era", ERAS)
async def test_everything_that_is_listed_can_be_read(tmp_path: Path, era: str) -> None:
    async with connected(tmp_path, era) as (_, client):
        listed = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        said = {uri: await read(client, uri) for uri in SAYS}
    assert [one.uri for one in listed] == [uri for uri in SAYS if uri.count("/") == 2]
    assert [one.uri_template for one in templates] == [r.uri for r in ROWS if r.is_template]
    assert {uri: {name: said[uri][name] for name in known} for uri, known in SAYS.items()} == SAYS
    assert {one["id"] for one in said["omniroute://providers"]["providers"]} >= {"demo", "openai"}
    assert len(said["omniroute://combos"]["combos"]) == 2


MISSING = [
    "omniroute://nothing",
    "omniroute://combos/nobody",
    "omniroute://combos/nobody/metrics",
    "omniroute://models/opnai",
    "omniroute://providers/opnai/metrics",
    "omniroute://usage/decade",
    "omniroute://routes/never-made",
    "https://elsewhere.example/",
]
CODES = {"legacy": RESOURCE_NOT_FOUND, "2026-07-28": INVALID_PARAMS}


@pytest.mark.parametrize("era", ERAS)
async def test_what_is_not_there_is_said_in_the_code_of_the_era(tmp_path: Path, era: str) -> None:
    async with connected(tmp_path, era) as (_, client):
        for uri in MISSING:
            with pytest.raises(MCPError) as refused:
                await client.read_resource(uri)
            assert (refused.value.error.code, refused.value.error.data) == (
                CODES[era],
                {"uri": uri},
            )


async def test_a_near_name_is_told(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, client):
        with pytest.raises(MCPError, match="Did you mean 'pair'"):
            await client.read_resource("omniroute://combos/pari")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_missing_scope_is_an_error_and_audited(tmp_path: Path, row: Any) -> None:
    uri = row.uri.format(provider="demo", comboId="pair", period="day", requestId=ROUTED, runId="r")
    async with connected(tmp_path, policy=Policy(enforce=True)) as (engine, client):
        with pytest.raises(MCPError) as refused:
            await client.read_resource(uri)
        async with engine.database.reading() as work:
            (entry,), _ = await work.audit.page(1, 0, f"resource:{uri}"[:100], None, None)
    missing = sorted(row.scopes)
    assert refused.value.error.code == SCOPE_DENIED
    assert refused.value.error.data == {"required": missing, "missing": missing}
    assert (entry.success, entry.error_code) == (False, "scope_denied:missing_scopes")


async def test_a_key_reads_what_its_scopes_allow(tmp_path: Path) -> None:
    async with enforcing(tmp_path) as (engine, client, _):
        allowed = await key(engine, "mcp", "read:health")

        async def status(uri: str) -> dict[str, Any]:
            params = {**MODERN_LIST["params"], "uri": uri}  # type: ignore[dict-item]
            body = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": params}
            names = {"mcp-method": "resources/read", "mcp-name": uri}
            answer = await client.post(STREAM, json=body, headers={**MODERN, **names, **allowed})
            text = answer.text
            if "event-stream" in answer.headers["content-type"]:
                text = next(line[5:] for line in text.splitlines() if line.startswith("data:"))
            found: dict[str, Any] = json.loads(text)
            return found

        assert "result" in await status("omniroute://health")
        assert "result" in await status("omniroute://agent-card")
        assert (await status("omniroute://combos"))["error"]["code"] == SCOPE_DENIED


async def test_the_card_is_the_one_of_the_other_door(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, composed):
        card = (await client.get("/.well-known/agent-card.json")).json()
        await client.get("/api/mcp/status")  # opens the door
        assert composed.mcp.door is not None
        shown = composed.mcp.door.behind.handlers.resources.found("omniroute://agent-card")
        assert shown is not None
        told: Any = await shown[0].read(None, None, {})  # type: ignore[arg-type]
    for one in (card, told):  # signing the same twice gives two signatures
        assert one.pop("signatures")
    assert told == card
