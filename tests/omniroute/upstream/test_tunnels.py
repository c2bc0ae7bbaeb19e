"""The gate through real proxies: what gets through, what fails and how it is told."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from tests.support.proxies import TestProxy, certificate, running

from omniroute.upstream.gate import Gate
from omniroute.upstream.pools import ProxyLimits
from omniroute.upstream.proxies import OutboundProxy, ProxyUse, Via
from omniroute.upstream.send import OutboundRequest, Timeouts, TransportFailed

pytestmark = pytest.mark.anyio

Kind = Literal["http", "https", "socks5"]
either_kind = pytest.mark.parametrize("kind", ["http", "socks5"])


class Names(AbstractResolver):
    """Gives one answer after another for a name, the last one again and again."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {"127.0.0.1": ["127.0.0.1"], **answers}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        known = self.answers.get(host.partition(".")[0]) or self.answers.get(host)
        if known is None:
            raise OSError("no such name")
        address = known[0] if len(known) == 1 else known.pop(0)
        inner = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(hostname=host, host=address, port=port, family=inner, proto=0, flags=0)
        ]

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def upstream(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that says `ok` to everything."""

    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        with anyio.fail_after(20):
            yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*filter(None, tasks))


@asynccontextmanager
async def opened(**more: Any) -> AsyncIterator[Gate]:
    gate = Gate(user_agent="test/1", **more)
    try:
        yield gate
    finally:
        await gate.aclose()


def through(proxy: TestProxy, **more: Any) -> Via:
    values = {"username": proxy.username or "", "password": proxy.password, "allow_private": True}
    made = OutboundProxy(type=proxy.kind, host="127.0.0.1", port=proxy.port, **{**values, **more})
    return Via(proxy=made, level="global", proxy_id="p1")


def ask(url: str, via: Via | None, *, allow_private: bool = True, **times: float) -> Any:
    return OutboundRequest(
        url=url,
        headers={},
        method="GET",
        via=via,
        allow_private=allow_private,
        timeouts=Timeouts(**times),
    )


async def said(gate: Gate, request: OutboundRequest) -> bytes:
    response = await gate.send(request)
    try:
        return await response.read()
    finally:
        await response.aclose()


async def failure(gate: Gate, request: OutboundRequest) -> TransportFailed:
    with pytest.raises(TransportFailed) as failed:
        await gate.send(request)
    return failed.value


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server at 127.0.0.1 and `api.test` shows; whoever connects from here trusts it."""
    path = certificate(tmp_path, "127.0.0.1", "api.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@either_kind
async def test_a_request_goes_through_its_proxy(kind: Kind) -> None:
    async with (
        upstream() as port,
        running(TestProxy(kind, "me", "pass word")) as proxy,
        opened() as gate,
    ):
        for _ in range(2):
            assert await said(gate, ask(f"http://127.0.0.1:{port}/", through(proxy))) == b"ok"
    assert proxy.asked == [f"127.0.0.1:{port}"]
    assert proxy.connections == 1


async def test_a_proxy_that_speaks_tls_carries_tls(tls: ssl.SSLContext) -> None:
    async with (
        upstream(tls) as port,
        running(TestProxy("https", "me", "secret"), tls) as proxy,
        opened() as gate,
    ):
        # The connector of the process trusts what it trusted at its start.
        gate._pools.take(through(proxy), allow_private=True).session.connector._ssl = (  # type: ignore[union-attr]
            ssl.create_default_context()
        )
        assert await said(gate, ask(f"https://127.0.0.1:{port}/", through(proxy))) == b"ok"
    assert proxy.asked == [f"127.0.0.1:{port}"]


@either_kind
async def test_names_are_the_proxys_to_look_up_where_private_targets_are_allowed(
    kind: Kind,
) -> None:
    names = Names()
    known = {"only.proxy.knows": "127.0.0.1"}
    async with (
        upstream() as port,
        running(TestProxy(kind, lookup=known)) as proxy,
        opened(resolver=names) as gate,
    ):
        assert await said(gate, ask(f"http://only.proxy.knows:{port}/", through(proxy))) == b"ok"
    assert proxy.asked == [f"only.proxy.knows:{port}"]
    assert names.asked == ["127.0.0.1"]


LOCKED = {"username": "me", "password": "x"}
FAILURES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "it hangs up": ({"mood": "hangs-up"}, {}, "proxy_connect", "broke off"),
    "it hangs": ({"mood": "hangs"}, {}, "proxy_connect", "does not answer"),
    "it is no proxy": ({"mood": "babbles"}, {}, "proxy_connect", "something else"),
    "it wants credentials": (
        {"username": "me", "password": "x"},
        {"username": ""},
        "proxy_auth",
        "",
    ),
    "it wants others": ({"username": "me", "password": "x"}, {"password": "y"}, "proxy_auth", ""),
    "it will not": ({"mood": "refuses"}, {}, "proxy_refused", "refused to connect"),
}


@either_kind
@pytest.mark.parametrize(("at", "given", "failed", "told"), FAILURES.values(), ids=FAILURES)
async def test_a_proxys_failure_is_told_as_its_own(
    kind: Kind, at: dict[str, Any], given: dict[str, Any], failed: str, told: str
) -> None:
    uses: list[ProxyUse] = []
    async with (
        upstream() as port,
        running(TestProxy(kind, **at)) as proxy,
        opened(noted=uses.append) as gate,
    ):
        request = ask(f"http://127.0.0.1:{port}/x?key=1", through(proxy, **given), connect_s=0.1)
        error = await failure(gate, request)
    if kind == "socks5" and at.get("mood") == "babbles":
        failed, told = "proxy_auth", ""  # SOCKS has no other word for a greeting that failed
    assert error.kind == failed
    assert told in str(error)
    assert [(use.outcome, use.origin, use.error) for use in uses] == [
        ("error", f"http://127.0.0.1:{port}", str(error))
    ]
    for secret in ("me:x", "bWU6", "key=1"):
        assert secret not in repr(uses) + str(error)


async def test_a_dead_proxy_is_left_alone_for_a_growing_while_and_nothing_goes_directly() -> None:
    times = [100.0]
    found = []
    async with upstream() as port, running(TestProxy("http")) as proxy:
        proxy.die()
        async with opened(clock=lambda: times[-1], limits=ProxyLimits(rest_s=5.0)) as gate:
            request = ask(f"http://127.0.0.1:{port}/", through(proxy))
            for at in (100.0, 101.0, 102.5, 107.0, 112.5, 130.0):
                times.append(at)
                error = await failure(gate, request)
                found.append(error.retry_after_ms)
                assert error.kind == "proxy_connect"
    assert found == [2000, 1000, 4000, 5000, 5000, 2000]
    assert proxy.connections == 0


@either_kind
async def test_a_proxy_that_dies_in_a_stream_ends_it(kind: Kind) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(half)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(TestProxy(kind)) as proxy, opened() as gate:
        response = await gate.send(ask(f"http://127.0.0.1:{port}/", through(proxy)))
        chunks = response.chunks()
        assert await anext(aiter(chunks)) == b"ha"
        proxy.die()
        with anyio.fail_after(5), pytest.raises(TransportFailed) as failed:
            await anext(aiter(chunks))
        assert failed.value.kind == "broken"
        await response.aclose()
    server.close()


async def test_each_proxy_has_connections_of_its_own_that_go_with_it() -> None:
    async with (
        upstream() as port,
        running(TestProxy("http")) as one,
        running(TestProxy("http")) as other,
        opened() as gate,
    ):
        url = f"http://127.0.0.1:{port}/"
        for proxy in (one, other, one):
            await said(gate, ask(url, through(proxy)))
        assert (one.connections, other.connections) == (1, 1)
        running_request = await gate.send(ask(url, through(one)))
        gate.keep_only([through(other).proxy])
        assert await running_request.read() == b"ok"
        await running_request.aclose()
        for proxy in (one, other):
            await said(gate, ask(url, through(proxy)))
        assert (one.connections, other.connections) == (2, 1)


async def test_a_proxy_in_passing_leaves_nothing_open() -> None:
    async with upstream() as port, running(TestProxy("http")) as proxy, opened() as gate:
        via = Via(proxy=through(proxy).proxy, level="test", passing=True)
        for _ in range(2):
            await said(gate, ask(f"http://127.0.0.1:{port}/", via))
    assert proxy.connections == 2


async def test_a_proxy_that_may_not_be_used_is_not() -> None:
    async with upstream() as port, running(TestProxy("http")) as proxy, opened() as gate:
        via = Via(proxy=through(proxy).proxy, level="global", problem="Switched off.")
        error = await failure(gate, ask(f"http://127.0.0.1:{port}/", via))
    assert (error.kind, str(error), proxy.connections) == ("proxy_off", "Switched off.", 0)


# The address rules, seen through a proxy.


@either_kind
async def test_a_proxys_own_address_is_judged(kind: Kind) -> None:
    async with upstream() as port, running(TestProxy(kind)) as proxy, opened() as gate:
        via = through(proxy, allow_private=False)
        error = await failure(gate, ask(f"http://127.0.0.1:{port}/", via))
    assert (error.kind, proxy.connections) == ("proxy_off", 0)
    assert "private and loopback" in str(error)


TARGETS = {
    "loopback": ("127.0.0.1", "refused"),
    "loopback by name": ("localhost", "refused"),
    "loopback, IPv6": ("[::1]", "refused"),
    "mapped": ("[::ffff:127.0.0.1]", "refused"),
    "hexadecimal": ("0x7f000001", "refused"),
    "metadata": ("169.254.169.254", "refused"),
    "a name for loopback": ("loop.test", "refused"),
    "a name for metadata": ("meta.test", "refused"),
    "a name nobody here knows": ("unknown.test", "connect"),
}


@either_kind
@pytest.mark.parametrize(("host", "failed"), TARGETS.values(), ids=TARGETS)
async def test_targets_are_judged_before_the_proxy_hears_of_them(
    kind: Kind, host: str, failed: str
) -> None:
    names = Names(
        loop=["127.0.0.1"],
        localhost=["127.0.0.1"],
        meta=["169.254.169.254"],
        **{"0x7f000001": ["127.0.0.1"]},
    )
    async with running(TestProxy(kind)) as proxy, opened(resolver=names) as gate:
        request = ask(f"http://{host}:9/", through(proxy), allow_private=False)
        error = await failure(gate, request)
    assert error.kind == failed
    assert proxy.connections == 0


METADATA = ("169.254.169.254", "metadata.google.internal", "[fd00:ec2::254]", "0xa9fea9fe")


@either_kind
@pytest.mark.parametrize("host", METADATA)
async def test_metadata_is_refused_through_a_proxy_whatever_is_allowed(
    kind: Kind, host: str
) -> None:
    async with running(TestProxy(kind)) as proxy, opened() as gate:
        error = await failure(gate, ask(f"http://{host}/", through(proxy)))
    assert (error.kind, proxy.connections) == ("refused", 0)


@either_kind
async def test_the_address_that_was_judged_is_the_one_the_proxy_gets(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name answers publicly to whoever checks it, and privately to whoever asks again."""
    names = Names(rebound=["8.8.8.8", "127.0.0.1"])
    async with (
        upstream() as port,
        running(TestProxy(kind, lookup={"8.8.8.8": "127.0.0.1"})) as proxy,
        opened(resolver=names) as gate,
    ):
        url = f"http://rebound.test:{port}/"
        assert await said(gate, ask(url, through(proxy), allow_private=False)) == b"ok"
    assert proxy.asked == [f"8.8.8.8:{port}"]
    assert names.asked.count("rebound.test") == 1


async def test_the_name_is_still_what_the_certificate_must_be_for(tls: ssl.SSLContext) -> None:
    names = Names(api=["8.8.8.8"], other=["8.8.8.8"])
    async with (
        upstream(tls) as port,
        running(TestProxy("socks5", lookup={"8.8.8.8": "127.0.0.1"})) as proxy,
        opened(resolver=names) as gate,
    ):
        pool = gate._pools.take(through(proxy), allow_private=False)
        pool.session.connector._ssl = ssl.create_default_context()  # type: ignore[union-attr]
        url = f"https://api.test:{port}/"
        assert await said(gate, ask(url, through(proxy), allow_private=False)) == b"ok"
        url = f"https://other.test:{port}/"
        error = await failure(gate, ask(url, through(proxy), allow_private=False))
    assert error.kind == "connect"
