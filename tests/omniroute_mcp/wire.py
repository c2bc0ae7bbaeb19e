"""Requests of both protocol eras as they stand on the wire, and who sends them."""

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
from tests.omniroute_mcp.conftest import application

from omniroute.caller import SYSTEM, Caller
from omniroute.engine import Engine
from omniroute.operations.access.key_inputs import KeyInput
from omniroute.operations.access.keys import create_key

STREAM, SSE = "/api/mcp/stream", "/api/mcp/sse"
ACCEPT = {"accept": "application/json, text/event-stream"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
MODERN = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/list",
    **ACCEPT,
}
MODERN_LIST = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


async def set_setting(engine: Engine, name: str, value: Any) -> None:
    """Change one setting of a running gateway."""
    async with engine.configuration.change(SYSTEM, "settings.updated") as work:
        await work.settings.set(name, value)


async def opened(client: httpx.AsyncClient, path: str = STREAM, **headers: str) -> str:
    """The id of a fresh handshake-era session."""
    response = await client.post(path, json=INITIALIZE, headers={**ACCEPT, **headers})
    assert response.status_code == 200, response.text
    session: str = response.headers["mcp-session-id"]
    return session


async def key(engine: Engine, *scopes: str, expires_at: str | None = None) -> dict[str, str]:
    """The header of a fresh gateway key."""
    operator = Caller(door="cli", is_operator=True)
    wanted = KeyInput(name="k", scopes=scopes, expires_at=expires_at)
    made = await create_key(engine, operator, wanted)
    return {"authorization": f"Bearer {made.key}"}


async def call(
    client: httpx.AsyncClient,
    name: str,
    arguments: dict[str, Any] | None = None,
    *,
    meta: dict[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The result of one stateless tool call."""
    params = {
        "name": name,
        "arguments": arguments or {},
        "_meta": {**MODERN_LIST["params"]["_meta"], **(meta or {})},  # type: ignore[index]
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    sent = {**MODERN, "mcp-method": "tools/call", "mcp-name": name, **(headers or {})}
    response = await client.post(STREAM, json=body, headers=sent)
    text = response.text
    if "event-stream" in response.headers["content-type"]:
        text = next(line[5:] for line in text.splitlines() if line.startswith("data:"))
    result: dict[str, Any] = json.loads(text)["result"]
    return result


def enforcing(tmp_path: Path) -> AbstractAsyncContextManager[Any]:
    """The application with scopes enforced."""
    return application(tmp_path, OMNIROUTE_MCP_ENFORCE_SCOPES="true")
