"""Which addresses are called, and that no spelling slips by the gate."""

import asyncio
import socket
from collections.abc import AsyncIterator

import anyio
import pytest

from omniroute.upstream.addresses import refusal
from omniroute.upstream.gate import Gate
from omniroute.upstream.send import OutboundRequest, Timeouts, TransportFailed

ADDRESSES = {
    "8.8.8.8": (True, True),
    "2001:4860:4860::8888": (True, True),
    "127.0.0.1": (False, True),
    "127.255.255.254": (False, True),
    "10.1.2.3": (False, True),
    "172.16.0.1": (False, True),
    "192.168.1.1": (False, True),
    "100.64.0.1": (False, True),
    "::1": (False, True),
    "fc00::1": (False, True),
    "::ffff:127.0.0.1": (False, True),
    "2002:7f00:1::": (False, True),
    "64:ff9b::7f00:1": (False, True),
    "169.254.169.254": (False, False),
    "::ffff:169.254.169.254": (False, False),
    "64:ff9b::a9fe:a9fe": (False, False),
    "2002:a9fe:a9fe::": (False, False),
    "100.100.100.200": (False, False),
    "168.63.129.16": (False, False),
    "fd00:ec2::254": (False, False),
    "fe80::1%eth0": (False, False),
    "0.0.0.0": (False, False),
    "::": (False, False),
    "224.0.0.1": (False, False),
    "255.255.255.255": (False, False),
}


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.items(), ids=ADDRESSES)
def test_an_address_is_called_or_not(address: str, expected: tuple[bool, bool]) -> None:
    allowed = tuple(refusal(address, allow_private=private) is None for private in (False, True))
    assert allowed == expected


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that redirects `/away`, drips on `/slow` and greets otherwise."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1]
            served.append(path.decode())
            if path == b"/away":
                writer.write(b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n")
            elif path == b"/silent":
                continue
            elif path == b"/half":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


served: list[str] = []


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A local server."""
    served.clear()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    """The gate."""
    made = Gate(user_agent="test")
    yield made
    await made.aclose()


SPELLINGS = ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "017700000001", "127.1"]


@pytest.mark.anyio
@pytest.mark.parametrize("host", SPELLINGS)
async def test_loopback_is_refused_however_it_is_spelled(gate: Gate, port: int, host: str) -> None:
    request = OutboundRequest(method="GET", url=f"http://{host}:{port}/", headers={})
    with pytest.raises(TransportFailed) as failed:
        await gate.send(request)
    assert failed.value.kind in ("refused", "invalid", "connect")
    assert served == []


@pytest.mark.anyio
async def test_what_is_allowed_is_read_and_its_connection_kept(gate: Gate, port: int) -> None:
    request = OutboundRequest(
        method="GET", url=f"http://127.0.0.1:{port}/", headers={}, allow_private=True
    )
    for _ in range(2):
        response = await gate.send(request)
        assert (response.status, await response.read()) == (200, b"hello")
        await response.aclose()
    # The same URL through the guarded pool must not find the open connection.
    with pytest.raises(TransportFailed):
        await gate.send(OutboundRequest(method="GET", url=request.url, headers={}))


@pytest.mark.anyio
async def test_redirects_are_not_followed(gate: Gate, port: int) -> None:
    url = f"http://127.0.0.1:{port}/away"
    request = OutboundRequest(method="GET", url=url, headers={}, allow_private=True)
    response = await gate.send(request)
    await response.aclose()
    assert (response.status, served) == (302, ["/away"])


FAILURES = {"headers never come": ("/silent", "timeout"), "half a body": ("/half", "timeout")}


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "kind"), FAILURES.values(), ids=FAILURES)
async def test_silence_has_a_limit(gate: Gate, port: int, path: str, kind: str) -> None:
    request = OutboundRequest(
        method="GET",
        url=f"http://127.0.0.1:{port}{path}",
        headers={},
        allow_private=True,
        timeouts=Timeouts(connect_s=1, headers_s=0.05, idle_s=0.05),
    )

    async def fetch() -> bytes:
        response = await gate.send(request)
        return await response.read()

    with anyio.fail_after(5), pytest.raises(TransportFailed) as failed:
        await fetch()
    assert failed.value.kind == kind


@pytest.mark.anyio
async def test_nobody_there_is_a_connect_failure(gate: Gate) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
        request = OutboundRequest(
            method="GET", url=f"http://127.0.0.1:{free}/", headers={}, allow_private=True
        )
        with pytest.raises(TransportFailed) as failed:
            await gate.send(request)
    assert failed.value.kind == "connect"
