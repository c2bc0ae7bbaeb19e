"""The gate over real sockets: what it refuses, how it fails, which connections it keeps."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from omniroute.upstream import gate as gate_module
from omniroute.upstream.gate import Gate
from omniroute.upstream.send import OutboundRequest, Timeouts, TransportFailed

pytestmark = pytest.mark.anyio

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Peer:
    """A server that speaks in bytes. `requests` are heads as received, `connections` counts."""

    port: int
    requests: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@asynccontextmanager
async def peer(reply: Reply) -> AsyncIterator[Peer]:
    """Answers every request with what `reply` writes; the connection stays open after it."""
    found = Peer(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                found.requests.append(head.decode())
                await reply(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        with anyio.fail_after(10):
            yield found
    finally:
        server.close()  # not waited for: a peer that keeps silent keeps its connection


def says(text: bytes) -> Reply:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(text)

    return reply


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: Value\r\n\r\nok"


@asynccontextmanager
async def opened(resolver: AbstractResolver | None = None) -> AsyncIterator[Gate]:
    made = Gate(user_agent="test/1", resolver=resolver)
    try:
        yield made
    finally:
        await made.aclose()


def ask(
    url: str, *, allow_private: bool = True, timeouts: Timeouts | None = None
) -> OutboundRequest:
    return OutboundRequest(
        url=url,
        headers={"x-mine": "1"},
        method="GET",
        allow_private=allow_private,
        timeouts=timeouts or Timeouts(),
    )


class Names(AbstractResolver):
    """Every name is where the test says."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_response_is_its_status_its_headers_and_its_body() -> None:
    async with peer(says(OK)) as server, opened() as gate:
        response = await gate.send(ask(server.url))
        assert (response.status, response.headers["x-name"]) == (200, "Value")
        assert await response.read() == b"ok"
    lines = server.requests[0].lower().split("\r\n")
    assert lines[0] == "get / http/1.1"
    assert {"x-mine: 1", "user-agent: test/1"} <= set(lines)


LOOPBACK = {
    "dotted": ("127.0.0.1", "refused"),
    "by name": ("localhost", "refused"),
    "IPv6": ("[::1]", "refused"),
    "decimal": ("2130706433", "invalid"),
    "hexadecimal": ("0x7f000001", "refused"),
    "octal": ("017700000001", "invalid"),
    "short": ("127.1", "invalid"),
    "mapped": ("[::ffff:127.0.0.1]", "refused"),
}


@pytest.mark.parametrize(("host", "kind"), LOOPBACK.values(), ids=LOOPBACK)
async def test_loopback_is_refused_however_it_is_written(host: str, kind: str) -> None:
    async with peer(says(OK)) as server, opened() as gate:
        with pytest.raises(TransportFailed) as failed:
            await gate.send(ask(f"http://{host}:{server.port}/", allow_private=False))
    assert failed.value.kind == kind
    assert server.connections == 0


RESOLVED = {
    "loopback": ("127.0.0.1",),
    "several that are not public": ("127.0.0.1", "10.0.0.1"),
    "metadata": ("169.254.169.254",),
    "several, each refused for its own reason": ("169.254.169.254", "127.0.0.1"),
}


@pytest.mark.parametrize("addresses", RESOLVED.values(), ids=RESOLVED)
async def test_what_a_name_resolves_to_is_judged_not_the_name(addresses: tuple[str, ...]) -> None:
    async with peer(says(OK)) as server, opened(Names(*addresses)) as gate:
        with pytest.raises(TransportFailed) as failed:
            await gate.send(ask(f"http://api.example.com:{server.port}/", allow_private=False))
    assert failed.value.kind == "refused"
    assert server.connections == 0


async def test_an_answer_that_changes_later_is_judged_again() -> None:
    """Each connection is judged by the address it is made to, not by what was seen before."""
    names = Names("127.0.0.1")
    async with peer(says(OK)) as first, peer(says(OK)) as second, opened(names) as gate:
        response = await gate.send(ask(f"http://api.example.com:{first.port}/"))
        assert await response.read() == b"ok"
        names._addresses = ("169.254.169.254",)
        with pytest.raises(TransportFailed) as failed:
            await gate.send(ask(f"http://api.example.com:{second.port}/"))
    assert (failed.value.kind, second.connections) == ("refused", 0)


async def test_metadata_is_refused_even_where_private_addresses_are_not() -> None:
    async with opened() as gate:
        with pytest.raises(TransportFailed) as failed:
            await gate.send(ask("http://169.254.169.254/latest/meta-data/"))
    assert failed.value.kind == "refused"


async def test_the_right_to_private_addresses_is_not_inherited_through_the_pool() -> None:
    async with peer(says(OK)) as server, opened() as gate:
        await (await gate.send(ask(server.url))).read()
        with pytest.raises(TransportFailed) as failed:
            await gate.send(ask(server.url, allow_private=False))
    assert failed.value.kind == "refused"


async def test_redirects_are_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with peer(says(moved)) as server, opened() as gate:
        response = await gate.send(ask(server.url))
        assert (response.status, await response.read()) == (302, b"")
    assert len(server.requests) == 1


async def test_cookies_are_not_kept() -> None:
    cookie = OK.replace(b"X-Name: Value", b"Set-Cookie: id=1")
    async with peer(says(cookie)) as server, opened() as gate:
        for _ in range(2):
            await (await gate.send(ask(server.url))).read()
    assert not any("cookie" in head.lower() for head in server.requests)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with peer(says(OK)) as server, opened() as gate:
        assert await (await gate.send(ask(server.url))).read() == b"ok"


async def _never(_: asyncio.StreamWriter) -> None:
    await anyio.sleep_forever()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


NO_RESPONSE: dict[str, tuple[Reply, str]] = {
    "silence": (_never, "timeout"),
    "hanging up": (_hang_up, "broken"),
    "not HTTP": (says(b"SSH-2.0-x\r\n\r\n"), "broken"),
}


@pytest.mark.parametrize(("reply", "kind"), NO_RESPONSE.values(), ids=NO_RESPONSE)
async def test_no_response_has_a_kind(reply: Reply, kind: str) -> None:
    timeouts = Timeouts(headers_s=0.05)
    async with peer(reply) as server, opened() as gate:
        with pytest.raises(TransportFailed) as failed:
            await gate.send(ask(server.url, timeouts=timeouts))
    assert failed.value.kind == kind


async def test_nobody_listening_cannot_be_reached() -> None:
    async with peer(says(OK)) as server:
        pass
    async with opened() as gate:
        with pytest.raises(TransportFailed) as failed:
            await gate.send(ask(server.url))
    assert (failed.value.kind, str(failed.value)) == ("connect", "The upstream cannot be reached")


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://example.com/", "http://[x]/"])
async def test_what_is_no_url_is_invalid(url: str) -> None:
    async with opened() as gate:
        with pytest.raises(TransportFailed) as failed:
            await gate.send(ask(url))
    assert failed.value.kind == "invalid"


def half(then: Reply) -> Reply:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        await writer.drain()
        await then(writer)

    return reply


HALF_A_BODY: dict[str, tuple[Reply, str]] = {
    "silence": (_never, "timeout"),
    "hanging up": (_hang_up, "broken"),
}


@pytest.mark.parametrize(("then", "kind"), HALF_A_BODY.values(), ids=HALF_A_BODY)
async def test_half_a_body_has_a_kind(then: Reply, kind: str) -> None:
    async with peer(half(then)) as server, opened() as gate:
        response = await gate.send(ask(server.url, timeouts=Timeouts(idle_s=0.05)))
        chunks = response.chunks()
        assert await anext(aiter(chunks)) == b"ha"
        with pytest.raises(TransportFailed) as failed:
            await anext(aiter(chunks))
        await response.aclose()
    assert failed.value.kind == kind


async def test_a_whole_body_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "MAX_WHOLE_BODY_BYTES", 1)
    async with peer(half(_never)) as server, opened() as gate:
        response = await gate.send(ask(server.url))
        with pytest.raises(TransportFailed) as failed:
            await response.read()
        assert failed.value.kind == "too_large"
        await (await gate.send(ask(server.url))).aclose()
    assert server.connections == 2


async def test_a_connection_serves_again_once_its_body_was_read() -> None:
    async with peer(says(OK)) as server, opened() as gate:
        for _ in range(3):
            response = await gate.send(ask(server.url))
            assert await response.read() == b"ok"
            await response.aclose()
        response = await gate.send(ask(server.url))
        assert b"".join([chunk async for chunk in response.chunks()]) == b"ok"
        await response.aclose()
        await response.aclose()
    assert (server.connections, len(server.requests)) == (1, 4)


async def test_a_connection_is_cut_when_its_body_was_not_read() -> None:
    cut = asyncio.Event()

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nha\r\n")
        await writer.drain()
        try:
            while not writer.transport.is_closing():
                writer.write(b"1\r\nx\r\n")
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            cut.set()

    async with peer(reply) as server, opened() as gate:
        response = await gate.send(ask(server.url))
        assert (await anext(aiter(response.chunks()))).startswith(b"ha")
        await response.aclose()
        await cut.wait()
    assert server.connections == 1
