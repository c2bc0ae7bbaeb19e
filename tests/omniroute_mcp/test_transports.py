"""The request tables of the two paths: gates, methods, sessions, hosts, keys, limits."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.wire import (
    ACCEPT,
    INITIALIZE,
    LIST,
    MODERN,
    MODERN_LIST,
    SSE,
    STREAM,
    key,
    opened,
    set_setting,
)

pytestmark = pytest.mark.anyio


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
    names = {STREAM: "streamable-http", SSE: "sse"}
    async with application(tmp_path) as (engine, client, _):
        await set_setting(engine, "mcpTransport", transport)
        for path, status in expected.items():
            response = await client.post(path, json=INITIALIZE, headers=ACCEPT)
            assert response.status_code == status
            for method in ("GET", "POST", "DELETE") if status == 400 else ():
                gated = await client.request(method, path)
                text = gated.json()["error"]
                assert gated.status_code == 400
                assert all(f'"{name}"' in text for name in (transport, names[path]))
                assert "mcpTransport" in text


AWAY: dict[str, tuple[str, Any, Any]] = {
    "to another transport": ("mcpTransport", "sse", "all"),
    "off": ("mcpEnabled", False, True),
}


@pytest.mark.parametrize(("setting", "away", "back"), AWAY.values(), ids=AWAY)
async def test_switching_away_closes_the_sessions(
    tmp_path: Path, setting: str, away: Any, back: Any
) -> None:
    async with application(tmp_path) as (engine, client, _):
        session = await opened(client)
        await set_setting(engine, setting, away)
        await set_setting(engine, setting, back)
        with anyio.fail_after(5):
            listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
            headers = {**ACCEPT, "mcp-session-id": session}
            response = await client.post(STREAM, json=listing, headers=headers)
        assert response.status_code == 404


Request = Callable[[httpx.AsyncClient], Any]


async def pieces() -> AsyncIterator[bytes]:
    """A body over the limit, in chunks."""
    for _ in range(5):
        yield b" " * (1024 * 1024)


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
    "a body over 4 MiB that says nothing of its length": (
        lambda c: c.post(
            STREAM, content=pieces(), headers={**ACCEPT, "content-type": "application/json"}
        ),
        413,
    ),
    "stateless": (lambda c: c.post(STREAM, json=MODERN_LIST, headers=MODERN), 200),
    "stateless GET": (lambda c: c.get(STREAM, headers=MODERN), 405),
    "stateless DELETE": (lambda c: c.delete(STREAM, headers=MODERN), 405),
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
        if status == 405 and "mcp-protocol-version" not in response.request.headers:
            assert response.headers["allow"] == "GET, POST, DELETE"


FUTURE = {
    **LIST,
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2099-01-01",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}
ERRORS: dict[str, tuple[Request, int, int | None]] = {
    "no session": (
        HANDSHAKE["anything but initialize without a session"][0],
        -32600,
        None,
    ),
    "malformed JSON": (HANDSHAKE["malformed JSON"][0], -32700, None),
    "a batch": (HANDSHAKE["a batch"][0], -32600, None),
    "an object that is no message": (
        lambda c: c.post(STREAM, json={"foo": 1}, headers=ACCEPT),
        -32600,
        None,
    ),
    "an unknown session": (HANDSHAKE["an unknown session"][0], -32600, None),
    "headers that disagree": (HANDSHAKE["stateless with headers that disagree"][0], -32020, 1),
    "a version from the future": (
        lambda c: c.post(
            STREAM, json=FUTURE, headers={**MODERN, "mcp-protocol-version": "2099-01-01"}
        ),
        -32022,
        2,
    ),
}


@pytest.mark.parametrize(("request_", "code", "echoed"), ERRORS.values(), ids=ERRORS)
async def test_errors_are_numbered_as_the_protocol_does(
    tmp_path: Path, request_: Request, code: int, echoed: int | None
) -> None:
    async with application(tmp_path) as (_, client, _):
        answer = (await request_(client)).json()
    assert (answer["error"]["code"], answer["id"]) == (code, echoed)
    assert "\n" not in answer["error"]["message"], "a validator's text is not the wire's"
    if code == -32022:
        assert answer["error"]["data"]["supported"] == ["2026-07-28"]


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


async def test_once_keys_exist_one_with_the_scope_is_needed(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, client, _):
        good, poor = await key(engine, "mcp"), await key(engine, "read:health")
        boss, anything = await key(engine, "manage"), await key(engine, "*")
        stale = await key(engine, "mcp", expires_at="2020-01-01T00:00:00Z")
        answers = {
            "expired": await client.post(STREAM, json=INITIALIZE, headers={**ACCEPT, **stale}),
            "nobody": await client.post(STREAM, json=INITIALIZE, headers=ACCEPT),
            "unknown": await client.post(
                STREAM, json=INITIALIZE, headers={**ACCEPT, "authorization": "Bearer nope"}
            ),
            "poor": await client.post(STREAM, json=INITIALIZE, headers={**ACCEPT, **poor}),
            "good": await client.post(STREAM, json=INITIALIZE, headers={**ACCEPT, **good}),
            "boss": await client.post(STREAM, json=INITIALIZE, headers={**ACCEPT, **boss}),
            "anything": await client.post(STREAM, json=INITIALIZE, headers={**ACCEPT, **anything}),
        }
        assert {name: r.status_code for name, r in answers.items()} == {
            "expired": 401,
            "nobody": 401,
            "unknown": 401,
            "poor": 403,
            "good": 200,
            "boss": 200,
            "anything": 200,
        }
        challenges = {name: r.headers.get("www-authenticate", "") for name, r in answers.items()}
        assert challenges["nobody"].startswith("Bearer ")
        assert challenges["expired"].startswith('Bearer error="invalid_token"')
        assert challenges["poor"].startswith('Bearer error="insufficient_scope"')
        assert challenges["good"] == ""


async def test_other_machines_need_a_key(tmp_path: Path) -> None:
    async with application(tmp_path, peer="203.0.113.9") as (_, client, _):
        assert (await client.post(STREAM, json=INITIALIZE, headers=ACCEPT)).status_code == 401


WIDENED: dict[str, tuple[dict[str, str], int]] = {
    "a host of the list": ({"host": "gateway.example"}, 200),
    "at any port": ({"host": "gateway.example:8443"}, 200),
    "an origin of the list": ({"origin": "https://app.example"}, 200),
    "another host": ({"host": "other.example"}, 421),
    "another origin": ({"origin": "https://other.example"}, 403),
}


@pytest.mark.parametrize(("named", "status"), WIDENED.values(), ids=WIDENED)
async def test_an_operator_lists_further_hosts_and_origins(
    tmp_path: Path, named: dict[str, str], status: int
) -> None:
    lists = {
        "OMNIROUTE_MCP_ALLOWED_HOSTS": "gateway.example, third.example",
        "OMNIROUTE_MCP_ALLOWED_ORIGINS": "https://app.example",
    }
    async with application(tmp_path, **lists) as (engine, client, _):
        headers = {**ACCEPT, **await key(engine, "mcp"), **named}
        answer = await client.post(STREAM, json=INITIALIZE, headers=headers)
    assert answer.status_code == status
