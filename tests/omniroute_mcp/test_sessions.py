"""Sessions: whose they are, what they may fetch again, and what ends them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.wire import (
    ACCEPT,
    INITIALIZE,
    LIST,
    SSE,
    STREAM,
    key,
    opened,
)
from tests.support.processes import Gateway

from omniroute_mcp import sessions as limits
from omniroute_mcp.sessions import IDLE_S, MOST_SESSIONS, Sessions

pytestmark = pytest.mark.anyio

LIMIT_S = 20
NOT_FOUND = {
    "jsonrpc": "2.0",
    "id": None,
    "error": {"code": -32600, "message": "Session not found"},
}


def in_session(session: str) -> dict[str, str]:
    """The headers of a request in a handshake-era session."""
    return {**ACCEPT, "mcp-session-id": session, "mcp-protocol-version": "2025-11-25"}


def asking(text: str, model: str = "demo/echo") -> dict[str, Any]:
    """A call that asks a model, with the same id as `LIST`: every client counts from one."""
    messages = [{"role": "user", "content": text}]
    params = {
        "name": "omniroute_route_request",
        "arguments": {"model": model, "messages": messages},
    }
    return {"jsonrpc": "2.0", "id": LIST["id"], "method": "tools/call", "params": params}


@asynccontextmanager
async def client_of(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=LIMIT_S) as client:
        yield client


async def first_event_id(client: httpx.AsyncClient, session: str, body: Any) -> str:
    """Send a request; the id of the first event of its stream."""
    answer = await client.post(STREAM, json=body, headers=in_session(session))
    line = next(line for line in answer.text.splitlines() if line.startswith("id:"))
    return line.removeprefix("id:").strip()


async def resumed(client: httpx.AsyncClient, session: str, last: str, until: str) -> list[str]:
    """The data a reader gets that resumes after an event, up to the one that holds `until`."""
    seen: list[str] = []
    headers = {**in_session(session), "last-event-id": last}
    async with client.stream("GET", STREAM, headers=headers) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            data = line.removeprefix("data:").strip()
            if line.startswith("data:") and data:
                seen.append(data)
                if until in data:
                    return seen
    raise AssertionError("the missed answer did not come again")


async def test_a_reader_that_lost_its_stream_resumes(gateway: Gateway) -> None:
    with anyio.fail_after(LIMIT_S):
        async with client_of(gateway) as client:
            session = await opened(client)
            last = await first_event_id(client, session, LIST)
            (again,) = await resumed(client, session, last, "omniroute_get_health")
    assert '"id":2' in again


async def test_a_reader_never_gets_what_another_session_missed(gateway: Gateway) -> None:
    with anyio.fail_after(LIMIT_S):
        async with client_of(gateway) as client:
            mine, yours = await opened(client), await opened(client)
            last = await first_event_id(client, mine, asking("my own words"))
            theirs = await first_event_id(client, yours, asking("their secret"))
            assert theirs == last, "event ids are counted per session"
            seen = await resumed(client, mine, last, "my own words")
    assert len(seen) == 1
    assert "their secret" not in seen[0]


async def test_a_second_listener_is_a_conflict(gateway: Gateway) -> None:
    with anyio.fail_after(LIMIT_S):
        async with client_of(gateway) as client:
            headers = in_session(await opened(client))
            async with client.stream("GET", STREAM, headers=headers) as first:
                assert first.status_code == 200
                assert (await client.get(STREAM, headers=headers)).status_code == 409


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", [STREAM, SSE])
async def test_the_session_of_another_key_does_not_exist(
    tmp_path: Path, path: str, method: str
) -> None:
    async with application(tmp_path) as (engine, client, _):
        mine, yours = await key(engine, "mcp"), await key(engine, "mcp")
        session = in_session(await opened(client, path, **mine))
        answers = [
            await client.request(
                method, path, json=LIST if method == "POST" else None, headers={**session, **who}
            )
            for who in (yours, {"mcp-session-id": "nobody", **mine})
        ]
        still = await client.post(path, json=LIST, headers={**session, **mine})
    assert [(one.status_code, one.json()) for one in answers] == [(404, NOT_FOUND)] * 2
    assert still.status_code == 200


@asynccontextmanager
async def event_stream(
    client: httpx.AsyncClient, **headers: str
) -> AsyncIterator[tuple[str, AsyncIterator[str]]]:
    """An open 2024-style stream: the address to post to, and the lines that follow."""
    async with client.stream("GET", SSE, headers=headers) as response:
        assert response.status_code == 200
        lines = response.aiter_lines()
        assert await anext(lines) == "event: endpoint"
        yield (await anext(lines)).removeprefix("data:").strip(), lines


async def data_of(lines: AsyncIterator[str]) -> str:
    """The data of the next event."""
    async for line in lines:
        if line.startswith("data:"):
            return line.removeprefix("data:").strip()
    raise AssertionError("the stream ended")


async def test_an_event_stream_starts_with_where_to_post(gateway: Gateway) -> None:
    with anyio.fail_after(LIMIT_S):
        async with client_of(gateway) as client, event_stream(client) as (address, lines):
            path, _, session = address.partition("?session_id=")
            assert (path, len(session), int(session, 16) > 0) == (SSE, 32, True)
            accepted = await client.post(address, json=INITIALIZE)
            assert (accepted.status_code, accepted.text) == (202, "Accepted")
            assert '"protocolVersion":"2025-11-25"' in await data_of(lines)


POSTS: dict[str, tuple[dict[str, Any], int]] = {
    "what cannot be parsed": ({"content": b"{"}, 400),
    "what is no message": ({"content": b"[]"}, 400),
    "over 4 MiB": ({"content": b" " * (4 * 1024 * 1024 + 1)}, 413),
}


@pytest.mark.parametrize(("body", "status"), POSTS.values(), ids=POSTS)
async def test_a_bad_post_leaves_the_event_stream_open(
    gateway: Gateway, body: dict[str, Any], status: int
) -> None:
    with anyio.fail_after(LIMIT_S):
        async with client_of(gateway) as client, event_stream(client) as (address, lines):
            headers = {"content-type": "application/json"}
            assert (await client.post(address, headers=headers, **body)).status_code == status
            assert (await client.post(address, json=INITIALIZE)).status_code == 202
            assert '"protocolVersion"' in await data_of(lines)


async def test_the_event_stream_of_another_key_does_not_exist(tmp_path: Path) -> None:
    environ = {"OMNIROUTE_API_KEY": "sk-the-key-of-this-test"}
    mine = {"authorization": "Bearer sk-the-key-of-this-test"}
    with anyio.fail_after(LIMIT_S), Gateway(tmp_path, environ=environ) as gateway:
        async with client_of(gateway) as client:
            made = await client.post(
                "/api/keys", json={"name": "other", "scopes": ["mcp"]}, headers=mine
            )
            yours = {"authorization": f"Bearer {made.json()['key']}"}
            async with event_stream(client, **mine) as (address, _):
                statuses = [
                    (await client.post(address, json=INITIALIZE, headers=who)).status_code
                    for who in (yours, {}, mine)
                ]
    assert statuses == [404, 401, 202]


async def test_switching_away_ends_the_event_stream(tmp_path: Path) -> None:
    with anyio.fail_after(LIMIT_S), Gateway(tmp_path) as gateway:
        async with client_of(gateway) as client, event_stream(client) as (address, lines):
            changed = await client.patch("/api/settings", json={"mcpTransport": "streamable-http"})
            assert changed.status_code == 200
            assert [line async for line in lines if line] == []
            assert (await client.post(address, json=INITIALIZE)).status_code == 400
        assert not [line for line in gateway.lines if "rror" in line]


async def test_a_stop_answers_running_calls_and_ends_streams(tmp_path: Path) -> None:
    slow = asking("one two three", "demo/slow-100")
    notice = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    with anyio.fail_after(LIMIT_S), Gateway(tmp_path) as gateway:
        async with (
            client_of(gateway) as client,
            event_stream(client) as (address, lines),
            client.stream("GET", STREAM, headers=in_session(await opened(client))) as listener,
        ):
            await client.post(address, json=INITIALIZE)
            await data_of(lines)
            await client.post(address, json=notice)
            await client.post(address, json=slow)
            while not (await client.get("/api/monitoring/health")).json()["ledger"][
                "openReservations"
            ]:
                await anyio.lowlevel.checkpoint()
            gateway.terminate()
            assert "one two three" in await data_of(lines)
            assert [line async for line in lines if line] == []
            assert not [line async for line in listener.aiter_lines() if line.startswith("data: {")]
        assert gateway.stop() == 0
        assert not [line for line in gateway.lines if "rror" in line]


@asynccontextmanager
async def bare_sessions(clock: list[int]) -> AsyncIterator[tuple[Sessions, httpx.AsyncClient]]:
    """Sessions of an empty server that are not served yet, by a clock that stands still."""
    open_to_all = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    sessions = Sessions(lambda: Server("test"), open_to_all, lambda: clock[0])
    transport = httpx.ASGITransport(sessions.handle)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield sessions, client


async def test_requests_wait_for_the_sessions_that_follow_a_reset() -> None:
    with anyio.fail_after(LIMIT_S):
        async with bare_sessions([0]) as (sessions, client), anyio.create_task_group() as group:
            served: list[str] = []

            async def request() -> None:
                served.append(await opened(client))

            async with anyio.create_task_group() as early:
                early.start_soon(request)
                await anyio.lowlevel.checkpoint()
                sessions.reset()  # a request waits, and there is nothing yet to reset
                group.start_soon(sessions.serve)
            sessions.reset()
            sessions.reset()
            await request()
            assert len(set(served)) == 2
            assert len(sessions.opened_at_ms()) == 1
            group.cancel_scope.cancel()


async def test_a_session_nobody_uses_is_no_longer_open() -> None:
    clock = [1_000]
    with anyio.fail_after(LIMIT_S):
        async with bare_sessions(clock) as (sessions, client), anyio.create_task_group() as group:
            group.start_soon(sessions.serve)
            await opened(client)
            clock[0] += IDLE_S * 1000
            second = await opened(client)
            assert sessions.opened_at_ms() == [1_000, clock[0]]
            clock[0] += 1
            assert sessions.opened_at_ms() == [clock[0] - 1]
            await client.delete(STREAM, headers={"mcp-session-id": second})
            assert not sessions.in_use()
            group.cancel_scope.cancel()


async def test_there_are_only_so_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (IDLE_S, MOST_SESSIONS) == (30 * 60, 10_000)
    monkeypatch.setattr(limits, "MOST_SESSIONS", 1)
    with anyio.fail_after(LIMIT_S):
        async with bare_sessions([0]) as (sessions, client), anyio.create_task_group() as group:
            group.start_soon(sessions.serve)
            first = await opened(client)
            refused = await client.post(STREAM, json=INITIALIZE, headers=ACCEPT)
            await client.delete(STREAM, headers={"mcp-session-id": first})
            assert await opened(client) != first
            group.cancel_scope.cancel()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, -32603)
