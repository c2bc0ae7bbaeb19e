"""Where clients are sent for a token, when the operator names an authorization server."""

from pathlib import Path

import pytest
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.wire import INITIALIZE, SSE, STREAM, key

from omniroute_mcp.tools import TOOLS

pytestmark = pytest.mark.anyio

ISSUER = "https://login.example"
BASE = "https://gateway.example"
DOCUMENT = "/.well-known/oauth-protected-resource"


@pytest.mark.parametrize("path", [STREAM, SSE])
async def test_clients_find_the_document_from_the_refusal(tmp_path: Path, path: str) -> None:
    names = {"OMNIROUTE_MCP_ISSUER_URL": ISSUER, "OMNIROUTE_BASE_URL": BASE}
    async with application(tmp_path, **names) as (engine, client, _):
        lacking = await key(engine, "chat")
        refused = await client.post(path, json=INITIALIZE)
        forbidden = await client.post(path, json=INITIALIZE, headers=lacking)
        document = await client.get(DOCUMENT + path)
    where = f'resource_metadata="{BASE}{DOCUMENT}{path}"'
    assert (refused.status_code, forbidden.status_code) == (401, 403)
    assert where in refused.headers["www-authenticate"]
    assert where in forbidden.headers["www-authenticate"]
    assert 'scope="mcp"' in forbidden.headers["www-authenticate"]
    told = document.json()
    assert {name: told[name] for name in ("resource", "authorization_servers")} == {
        "resource": BASE + path,
        "authorization_servers": [ISSUER],
    }
    assert told["bearer_methods_supported"] == ["header"]
    assert set(told["scopes_supported"]) == {"mcp"}.union(*(row.scopes for row in TOOLS.values()))


async def test_without_a_server_there_is_no_document(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, client, _):
        await key(engine, "mcp")
        refused = await client.post(STREAM, json=INITIALIZE)
        document = await client.get(DOCUMENT + STREAM)
    assert "resource_metadata" not in refused.headers["www-authenticate"]
    assert document.status_code in (401, 404)
