"""The request tables of the two paths: gates, methods, sessions, hosts, keys, limits."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.omniroute_mcp.conftest import application
from tests.support.processes import Gateway

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.keys import KeyInput, create_key

pytestmark = pytest.mark.anyio

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


async def set_setting(engine: Engine, name: str, value: Any) -> None:
    async with engine.configuration.change() as work:
        await work.settings.set(name, value)


async def opened(client: httpx.AsyncClient, path: str = STREAM, **headers: str) -> str:
    """The id of a fresh handshake-era session."""
    response = await client.post(path, json=INITIALIZE, headers={**ACCEPT, **headers})
    assert response.status_code == 200, response.text
    return response.headers["mcp-session-id"]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", [STREAM, SSE])
async def test_switched_off_answers_503(tmp_path: Path, path: str, method: str) -> None:
    async with application(tmp_path) as (engine, client, _):
        await set_setting(engine, "mcpEnabled", False)
        response = await client.request(method, path)
        assert (response.status_code, "mcpEnabled" in response.json()["error"]) == (503, True)


GATES = {
    "all": {STREAM: 200, SSE: 200},
    "streamable-http": {STREAM: 200, SSE: 400},
    "sse": {STREAM: 400, SSE: 200},
    "stdio": {STREAM: 400, SSE: 400},
}


@pytest.mark.parametrize(("transport", "expected"), GATES.items(), ids=GATES)
async def test_the_transport_setting_gates_the_other_path(
    tmp_path: Path, transport: str, expected: dict[str, int]
) -> None:
    async with application(tmp_path) as (engine, client, _):
        await set_setting(engine, "mcpTransport", transport)
        for path, status in expected.items():
            response = await client.post(path, json=INITIALIZE, headers=ACCEPT)
            assert response.status_code == status
            if status == 400:
                text = response.json()["error"]
                assert f'"{transport}"' in text
                assert "mcpTransport" in text


async def test_switching_away_closes_the_sessions(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, client, _):
        session = await opened(client)
        await set_setting(engine, "mcpTransport", "sse")
        await set_setting(engine, "mcpTransport", "all")
        with anyio.fail_after(5):
            listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
            headers = {**ACCEPT, "mcp-session-id": session}
            response = await client.post(STREAM, json=listing, headers=headers)
        assert response.status_code == 404


LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
Request = Callable[[httpx.AsyncClient], Any]

HANDSHAKE: dict[str, tuple[Request, int]] = {
    "anything but initialize without a session": (
        lambda c: c.post(STREAM, json=LIST, headers=ACCEPT),
        400,
    ),
    "an unknown session": (
        lambda c: c.post(STREAM, json=LIST, headers={**ACCEPT, "mcp-session-id": "nobody"}),
        404,
    ),
    "deleting an unknown session": (
        lambda c: c.delete(STREAM, headers={"mcp-session-id": "nobody"}),
        404,
    ),
    "without the right Accept": (
        lambda c: c.post(STREAM, json=INITIALIZE, headers={"accept": "text/html"}),
        406,
    ),
    "a body that is not JSON by its type": (
        lambda c: c.post(STREAM, content=b"{}", headers={**ACCEPT, "content-type": "text/plain"}),
        400,
    ),
    "malformed JSON": (
        lambda c: c.post(
            STREAM, content=b"{", headers={**ACCEPT, "content-type": "application/json"}
        ),
        400,
    ),
    "a batch": (lambda c: c.post(STREAM, json=[INITIALIZE], headers=ACCEPT), 400),
    "another method": (lambda c: c.put(STREAM, json=INITIALIZE), 405),
    "another method on the SSE path": (lambda c: c.put(SSE, json=INITIALIZE), 405),
    "deleting nothing on the SSE path": (lambda c: c.delete(SSE), 405),
    "an unknown SSE session": (
        lambda c: c.post(f"{SSE}?session_id={'0' * 32}", json=INITIALIZE),
        404,
    ),
    "a malformed SSE session id": (
        lambda c: c.post(f"{SSE}?session_id=zzz", json=INITIALIZE),
        400,
    ),
    "a foreign host": (
        lambda c: c.post(STREAM, json=INITIALIZE, headers={**ACCEPT, "host": "evil.example"}),
        421,
    ),
    "a foreign origin": (
        lambda c: c.post(
            STREAM, json=INITIALIZE, headers={**ACCEPT, "origin": "http://evil.example"}
        ),
        403,
    ),
    "a body over 4 MiB": (
        lambda c: c.post(
            STREAM,
            content=b" " * (4 * 1024 * 1024 + 1),
            headers={**ACCEPT, "content-type": "application/json"},
        ),
        413,
    ),
    "stateless": (lambda c: c.post(STREAM, json=MODERN_LIST, headers=MODERN), 200),
    "stateless GET": (lambda c: c.get(STREAM, headers=MODERN), 405),
    "stateless with headers that disagree": (
        lambda c: c.post(STREAM, json=MODERN_LIST, headers={**MODERN, "mcp-method": "ping"}),
        400,
    ),
    "a version from the future": (
        lambda c: c.post(
            STREAM, json=MODERN_LIST, headers={**MODERN, "mcp-protocol-version": "2099-01-01"}
        ),
        400,
    ),
}


@pytest.mark.parametrize(("request_", "status"), HANDSHAKE.values(), ids=HANDSHAKE)
async def test_the_request_table(tmp_path: Path, request_: Request, status: int) -> None:
    async with application(tmp_path) as (_, client, _):
        response = await request_(client)
        assert response.status_code == status, response.text
        if status == 405 and "stateless" not in response.text:
            assert "POST" in response.headers.get("allow", "POST")


async def test_a_session_lives_until_it_is_deleted(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        session = {"mcp-session-id": await opened(client)}
        notice = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (
            await client.post(STREAM, json=notice, headers={**ACCEPT, **session})
        ).status_code == 202
        assert (await client.delete(STREAM, headers=session)).status_code == 200
        gone = await client.post(STREAM, json=LIST, headers={**ACCEPT, **session})
        assert gone.status_code == 404


async def key(engine: Engine, *scopes: str) -> dict[str, str]:
    """The header of a fresh gateway key."""
    operator = Caller(door="cli", is_operator=True)
    made = await create_key(engine, operator, KeyInput(name="k", scopes=list(scopes)))
    return {"authorization": f"Bearer {made.key}"}


async def test_once_keys_exist_one_with_the_scope_is_needed(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, client, _):
        good, poor = await key(engine, "mcp"), await key(engine, "read:health")
        answers = {
            "nobody": await client.post(STREAM, json=INITIALIZE, headers=ACCEPT),
            "unknown": await client.post(
                STREAM, json=INITIALIZE, headers={**ACCEPT, "authorization": "Bearer nope"}
            ),
            "poor": await client.post(STREAM, json=INITIALIZE, headers={**ACCEPT, **poor}),
            "good": await client.post(STREAM, json=INITIALIZE, headers={**ACCEPT, **good}),
        }
        assert {name: r.status_code for name, r in answers.items()} == {
            "nobody": 401,
            "unknown": 401,
            "poor": 403,
            "good": 200,
        }
        assert answers["nobody"].headers["www-authenticate"].startswith("Bearer ")


async def test_a_session_of_another_key_does_not_exist(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, client, _):
        mine, yours = await key(engine, "mcp"), await key(engine, "mcp")
        session = await opened(client, **mine)
        headers = {**ACCEPT, **yours, "mcp-session-id": session}
        response = await client.post(STREAM, json=LIST, headers=headers)
        assert response.status_code == 404


async def test_other_machines_need_a_key(tmp_path: Path) -> None:
    async with application(tmp_path, peer="203.0.113.9") as (_, client, _):
        assert (await client.post(STREAM, json=INITIALIZE, headers=ACCEPT)).status_code == 401


async def call(
    client: httpx.AsyncClient, name: str, meta: dict[str, Any] | None = None, **headers: str
) -> dict[str, Any]:
    """The result of one stateless tool call without arguments."""
    params = {
        "name": name,
        "arguments": {},
        "_meta": {**MODERN_LIST["params"]["_meta"], **(meta or {})},  # type: ignore[index]
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    sent = {**MODERN, "mcp-method": "tools/call", "mcp-name": name, **headers}
    response = await client.post(STREAM, json=body, headers=sent)
    text = response.text
    if "event-stream" in response.headers["content-type"]:
        text = next(line[5:] for line in text.splitlines() if line.startswith("data:"))
    result: dict[str, Any] = json.loads(text)["result"]
    return result


def enforcing(tmp_path: Path) -> AbstractAsyncContextManager[Any]:
    return application(tmp_path, OMNIROUTE_MCP_ENFORCE_SCOPES="true")


SCOPES = {
    "the scope itself": (["mcp", "read:health"], None, False),
    "a wildcard": (["mcp", "read:*"], None, False),
    "everything": (["*"], None, False),
    "another scope": (["mcp", "read:combos"], None, True),
    "narrowed by _meta": (["mcp", "read:*"], {"scopes": ["read:combos"]}, True),
    "not widened by _meta": (["mcp"], {"scopes": ["read:health"]}, True),
}


@pytest.mark.parametrize(("held", "meta", "denied"), SCOPES.values(), ids=SCOPES)
async def test_scopes_decide(
    tmp_path: Path, held: list[str], meta: dict[str, Any] | None, denied: bool
) -> None:
    async with enforcing(tmp_path) as (engine, client, _):
        result = await call(client, "omniroute_get_health", meta, **await key(engine, *held))
        assert result.get("isError", False) is denied
        if denied:
            text = result["content"][0]["text"]
            assert text.startswith("Error: omniroute_get_health needs scopes read:health")
            assert "from authInfo" in text


async def test_calls_are_audited_without_their_arguments(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        await call(client, "omniroute_get_health")
        await call(client, "omniroute_fly")
        page = (await client.get("/api/mcp/audit?limit=0")).json()
        stats = (await client.get("/api/mcp/audit/stats")).json()
        tools = (await client.get("/api/mcp/tools")).json()
        status = (await client.get("/api/mcp/status")).json()
    assert (page["total"], page["limit"]) == (2, 1)
    assert page["entries"][0]["errorCode"] == "unknown_tool"
    assert stats["totalCalls"] == 2
    assert tools["total"] == len(tools["tools"])
    assert (status["enabled"], status["transport"]) == (True, "all")


async def test_a_reader_that_lost_its_stream_resumes(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        session = await opened(client)
        headers = {**ACCEPT, "mcp-session-id": session, "mcp-protocol-version": "2025-11-25"}
        listed = await client.post(STREAM, json=LIST, headers=headers)
        first = next(line for line in listed.text.splitlines() if line.startswith("id:"))
        resume = {**headers, "last-event-id": first[3:].strip()}
        with anyio.fail_after(10):
            async with client.stream("GET", STREAM, headers=resume) as response:
                assert response.status_code == 200
                async for line in response.aiter_lines():
                    if line.startswith("data:") and "omniroute_get_health" in line:
                        return
    raise AssertionError("the missed answer did not come again")
