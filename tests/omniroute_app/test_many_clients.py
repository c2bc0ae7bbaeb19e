"""Many clients at once on one process: nobody is lost, and their memory comes back."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import anyio
import pytest
from tests.omniroute_mcp.wire import ACCEPT, INITIALIZE, SSE, STREAM
from tests.support.processes import Gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CLIENTS = 500
LIMIT_S = 120
WARM_ROUNDS = 3
"""From then on its memory stays where it is."""
GROWTH = 1.05
"""How much of the memory of a warm process may be in use after more rounds."""

Client: TypeAlias = Callable[[aiohttp.ClientSession, "Meeting", int], Awaitable[str]]


class Meeting:
    """Nobody goes on before everybody has come."""

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self._complete = anyio.Event()

    async def arrive(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._complete.set()
        await self._complete.wait()


def resident_bytes(pid: int) -> int:
    """What a process holds in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the process is gone")


def answer_in(body: str) -> Any:
    """The JSON-RPC answer in an event stream."""
    events = [line[5:] for line in body.splitlines() if line.startswith("data:")]
    return next(found for event in events if event.strip() and "id" in (found := json.loads(event)))


async def mcp_session(http: aiohttp.ClientSession, meeting: Meeting, number: int) -> str:
    """Open a session, call a model while everybody else does, end the session."""
    async with http.post(STREAM, json=INITIALIZE, headers=ACCEPT) as opened:
        assert opened.status == 200, await opened.text()
        session = opened.headers["mcp-session-id"]
        await opened.read()
    headers = {**ACCEPT, "mcp-session-id": session, "mcp-protocol-version": "2025-11-25"}
    notice = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    async with http.post(STREAM, json=notice, headers=headers) as noticed:
        assert noticed.status == 202
    await meeting.arrive()
    messages = [{"role": "user", "content": f"caller {number}"}]
    call = {"model": "demo/echo", "messages": messages}
    params = {"name": "omniroute_route_request", "arguments": call}
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}
    async with http.post(STREAM, json=body, headers=headers) as answered:
        found = answer_in(await answered.text())
    async with http.delete(STREAM, headers=headers) as ended:
        assert ended.status == 200
    content: str = found["result"]["structuredContent"]["response"]["content"]
    return content


async def event_stream(http: aiohttp.ClientSession, meeting: Meeting, number: int) -> str:
    """The same over the event stream of 2024."""
    async with http.get(SSE) as stream:
        lines = aiter(stream.content)

        async def data() -> str:
            async for line in lines:
                if line.startswith(b"data:"):
                    return line[5:].strip().decode()
            raise AssertionError("the stream ended")

        address = await data()

        async def post(body: dict[str, Any]) -> None:
            async with http.post(address, json=body) as taken:
                assert taken.status == 202

        await post(INITIALIZE)
        await data()
        await post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await meeting.arrive()
        messages = [{"role": "user", "content": f"caller {number}"}]
        call = {"model": "demo/echo", "messages": messages}
        params = {"name": "omniroute_route_request", "arguments": call}
        await post({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params})
        found = json.loads(await data())
    content: str = found["result"]["structuredContent"]["response"]["content"]
    return content


async def a2a_stream(http: aiohttp.ClientSession, meeting: Meeting, number: int) -> str:
    """A streaming task: its text, once everybody has seen theirs begin."""
    said = {"messageId": f"m{number}", "role": "ROLE_USER", "parts": [{"text": f"caller {number}"}]}
    params = {"message": said, "metadata": {"model": "demo/echo"}}
    body = {"jsonrpc": "2.0", "id": number, "method": "SendStreamingMessage", "params": params}
    text, state = "", ""
    async with http.post("/a2a", json=body) as stream:
        assert stream.status == 200
        met = False
        async for line in stream.content:
            if not line.startswith(b"data:"):
                continue
            if not met:
                await meeting.arrive()
                met = True
            result = json.loads(line[5:])["result"]
            artifact = result.get("artifactUpdate", {}).get("artifact", {})
            text += "".join(part.get("text", "") for part in artifact.get("parts", ()))
            state = result.get("statusUpdate", {}).get("status", {}).get("state", state)
    assert state == "TASK_STATE_COMPLETED"
    return text


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    limits = aiohttp.ClientTimeout(total=LIMIT_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(gateway.url, timeout=limits, connector=connector) as http:
        yield http


async def round_of(gateway: Gateway, client: Client) -> None:
    """Everybody at once; each gets its own answer."""
    answers: dict[int, str] = {}
    meeting = Meeting(CLIENTS)

    async def one(number: int) -> None:
        answers[number] = await client(http, meeting, number)

    with anyio.fail_after(LIMIT_S):
        async with connected(gateway) as http, anyio.create_task_group() as group:
            for number in range(CLIENTS):
                group.start_soon(one, number)
    assert answers == {number: f"caller {number}" for number in range(CLIENTS)}


async def settled(gateway: Gateway) -> int:
    """What the process holds once nothing runs any more."""
    async with connected(gateway) as http:
        async with http.get("/api/monitoring/health") as answer:
            assert (await answer.json())["ledger"]["openReservations"] == 0
        async with http.get("/api/mcp/status") as answer:
            assert (await answer.json())["httpTransport"]["startedAt"] is None
    return resident_bytes(gateway.pid)


CLIENTS_BY_DOOR: dict[str, Client] = {
    "MCP sessions": mcp_session,
    "MCP event streams": event_stream,
    "A2A streams": a2a_stream,
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.parametrize("client", CLIENTS_BY_DOOR.values(), ids=CLIENTS_BY_DOOR)
async def test_nobody_is_lost_and_memory_comes_back(tmp_path: Path, client: Client) -> None:
    with Gateway(tmp_path) as gateway:
        for _ in range(WARM_ROUNDS):
            await round_of(gateway, client)
        warm = await settled(gateway)
        await round_of(gateway, client)
        after = await settled(gateway)
        assert gateway.stop() == 0
    assert after <= warm * GROWTH, f"{warm} bytes warm, {after} after"
