"""Connections through a proxy: dial it, ask it for a tunnel, speak to the upstream inside.

Every request goes through a tunnel (HTTP `CONNECT`, SOCKS5 `CONNECT`), `http://` ones as well, so
that whatever fails before the tunnel stands is known to be the proxy's doing.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, TypeAlias, cast
from weakref import WeakKeyDictionary

import aiohttp
import python_socks
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import AddrInfoType
from python_socks.async_.asyncio.v2 import Proxy

from omniroute.upstream.addresses import host_refusal, refusal
from omniroute.upstream.proxies import OutboundProxy

LONGEST_S = 3_600.0  # the caller's own limit is what counts
MakeSocket: TypeAlias = Callable[[AddrInfoType], socket.socket]
ProblemKind: TypeAlias = Literal["proxy_connect", "proxy_auth", "proxy_refused", "proxy_off"]

_TYPES = {
    "http": python_socks.ProxyType.HTTP,
    "https": python_socks.ProxyType.HTTP,
    "socks5": python_socks.ProxyType.SOCKS5,
}
_AUTH_REQUIRED = 407


class AddressRefused(OSError):
    """Our own rules refuse an address. Raised inside connectors."""


class ProxyFailed(Exception):
    """There is no tunnel, and that is the proxy's doing. One line without credentials."""

    def __init__(self, kind: ProblemKind, message: str) -> None:
        super().__init__(message)
        self.kind: ProblemKind = kind


def guarded_sockets(*, allow_private: bool) -> MakeSocket:
    """Sockets for addresses that pass the rules, and for no others."""

    def made(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        reason = refusal(str(address[0]), allow_private=allow_private)
        if reason is not None:
            raise AddressRefused(reason)
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    return made


class TunnelConnector(aiohttp.TCPConnector):
    """A pool of tunnels through one proxy.

    Where a target may not be on a private address, its name is looked up here, and the proxy is
    asked for the address that passed: what was judged is what is connected. Where it may, names
    are the proxy's to look up, and only what they say by themselves is judged.

    Args:
        dial_s: how long the proxy has to accept a connection.
    """

    def __init__(
        self,
        proxy: OutboundProxy,
        *,
        allow_private: bool,
        dial_s: float,
        resolver: AbstractResolver | None,
        keepalive_s: float,
    ) -> None:
        super().__init__(
            limit=0,
            keepalive_timeout=keepalive_s,
            ttl_dns_cache=60,
            resolver=_AsWritten() if allow_private else resolver,
        )
        self._proxy = proxy
        self._allow_private = allow_private
        self._dial = _Dial(proxy, resolver or aiohttp.ThreadedResolver(), dial_s)
        self._tls_to_proxy = ssl.create_default_context() if proxy.type == "https" else None
        # A stream writer closes its transport when it is collected, so it lives as long as that.
        self._writers: WeakKeyDictionary[ResponseHandler, asyncio.StreamWriter] = (
            WeakKeyDictionary()
        )

    async def _wrap_create_connection(
        self,
        *args: Any,
        addr_infos: list[AddrInfoType],
        req: aiohttp.ClientRequest,
        timeout: aiohttp.ClientTimeout,
        client_error: type[Exception] = aiohttp.ClientConnectorError,  # noqa: ARG002
        **kwargs: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        try:
            host = self._target(addr_infos)
            async with asyncio.timeout(timeout.sock_connect):
                stream = await self._tunnel(host, addr_infos[0][4][1])
        except AddressRefused as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        except TimeoutError as error:
            raise ProxyFailed("proxy_connect", "The proxy does not answer") from error
        context: ssl.SSLContext | None = kwargs.get("ssl")
        try:
            if context is not None:
                await stream.start_tls(kwargs["server_hostname"], context)
            protocol: ResponseHandler = args[0]()
            transport = cast("asyncio.Transport", stream.writer.transport)
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
        except BaseException as error:
            await stream.close()
            if isinstance(error, ssl.CertificateError):
                raise aiohttp.ClientConnectorCertificateError(req.connection_key, error) from error
            if isinstance(error, OSError):
                raise aiohttp.ClientConnectorError(req.connection_key, error) from error
            raise
        self._writers[protocol] = stream.writer
        return transport, protocol

    def _target(self, addr_infos: list[AddrInfoType]) -> str:
        """What the proxy is asked for: an address that passed, else the name as it is written."""
        hosts = [str(info[4][0]) for info in addr_infos]
        if self._allow_private:
            reason = host_refusal(hosts[0], allow_private=True)
            if reason is not None:
                raise AddressRefused(reason)
            return hosts[0]
        reasons = {host: refusal(host, allow_private=False) for host in hosts}
        passed = [host for host, reason in reasons.items() if reason is None]
        if not passed:
            raise AddressRefused(reasons[hosts[0]])
        # Not every proxy reaches IPv6.
        return min(passed, key=lambda host: ":" in host)

    async def _tunnel(self, host: str, port: int) -> "_Stream":
        proxy = Proxy(
            proxy_type=_TYPES[self._proxy.type],
            host=self._proxy.host,
            port=self._proxy.port,
            username=self._proxy.username or None,
            password=self._proxy.password if self._proxy.username else None,
            rdns=True,
            proxy_ssl=self._tls_to_proxy,
            forward=self._dial,  # type: ignore[arg-type]  # it asks for no more than `connect`
        )
        try:
            stream: Any = await proxy.connect(host, port, timeout=LONGEST_S)
        except python_socks.ProxyError as error:
            raise self._refused(error) from error
        except ssl.SSLError as error:
            raise ProxyFailed("proxy_connect", "The proxy's TLS is not in order") from error
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise ProxyFailed("proxy_connect", "The proxy broke off the connection") from error
        tunnel: _Stream = stream
        return tunnel

    def _refused(self, error: python_socks.ProxyError) -> ProxyFailed:
        # SOCKS5 has codes for refused targets only; without one it was the greeting that failed.
        socks = self._proxy.type == "socks5"
        if error.error_code == _AUTH_REQUIRED or (socks and error.error_code is None):
            return ProxyFailed("proxy_auth", "The proxy does not accept the credentials")
        if error.error_code is None:
            return ProxyFailed("proxy_connect", "The proxy answered something else than a proxy")
        return ProxyFailed("proxy_refused", "The proxy refused to connect to the upstream")


class _Dial:
    """The TCP connection to a proxy, whose address has to pass the rules like any other."""

    def __init__(self, proxy: OutboundProxy, resolver: AbstractResolver, dial_s: float) -> None:
        self._make_socket = guarded_sockets(allow_private=proxy.allow_private)
        self._resolver = resolver
        self._dial_s = dial_s

    async def connect(
        self,
        dest_host: str,
        dest_port: int,
        timeout: float | None = None,  # noqa: ARG002 - as the library asks
    ) -> "_Stream":
        """Connect to the first address of the proxy that takes it.

        Raises:
            ProxyFailed: none of its addresses may be called, or none can be reached.
        """
        try:
            async with asyncio.timeout(self._dial_s):
                return await self._first(dest_host, dest_port)
        except AddressRefused as error:
            told = f"The proxy's address was refused: {error}"
            raise ProxyFailed("proxy_off", told) from error
        except (OSError, TimeoutError) as error:
            raise ProxyFailed("proxy_connect", "The proxy cannot be reached") from error

    async def _first(self, host: str, port: int) -> "_Stream":
        found = await self._resolver.resolve(host, port, socket.AF_UNSPEC)
        failed: OSError = OSError("the proxy's name has no address")
        for row in found:
            info = (row["family"], socket.SOCK_STREAM, row["proto"], "", (row["host"], port))
            try:
                opened = self._make_socket(info)
            except AddressRefused as error:
                failed = error
                continue
            try:
                await asyncio.get_running_loop().sock_connect(opened, (row["host"], port))
                return _Stream(*await asyncio.open_connection(sock=opened))
            except BaseException as error:
                opened.close()
                if not isinstance(error, OSError):
                    raise
                failed = error
        raise failed


class _Stream:
    """The bytes between us and a proxy, and later, in the tunnel, us and an upstream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def write(self, data: bytes) -> None:
        """Send everything."""
        self.writer.write(data)
        await self.writer.drain()

    async def read(self, max_bytes: int = 0) -> bytes:  # noqa: ARG002 - as the library asks
        """The head of an HTTP proxy's answer, whole, and not a byte more."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def read_exactly(self, n: int) -> bytes:
        """So many bytes."""
        return await self._reader.readexactly(n)

    async def start_tls(self, hostname: str, ssl_context: ssl.SSLContext) -> "_Stream":
        """Speak TLS from here on."""
        await self.writer.start_tls(ssl_context, server_hostname=hostname)
        return self

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


class _AsWritten(AbstractResolver):
    """Leaves names as they are: the proxy looks them up."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=host, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""
