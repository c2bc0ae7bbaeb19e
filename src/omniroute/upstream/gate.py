"""The outbound gate: every byte that leaves goes through its connectors.

The address rules sit in the connector's socket factory, which sees the resolved address of
each connection, so a name that resolves differently a second time cannot slip by.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.connector import AddrInfoType

from omniroute.upstream.addresses import refusal
from omniroute.upstream.send import OutboundRequest, OutboundResponse, TransportFailed

MAX_WHOLE_BODY_BYTES = 64 * 1024 * 1024
POOL_KEEPALIVE_S = 30.0


class _AddressRefused(OSError):
    """Raised inside the connector; travels out as a connection error."""


class Gate:
    """A `Sender` over aiohttp: pooled, redirects off, address rules on every connection.

    Create and close it inside a running event loop. `resolver` looks names up; None asks the
    system.
    """

    def __init__(self, *, user_agent: str, resolver: AbstractResolver | None = None) -> None:
        self._user_agent = user_agent
        self._resolver = resolver
        # Private reach is a right of the request, and pools hand out open connections: the two
        # kinds must not share one.
        self._sessions = {reach: self._session(reach) for reach in (False, True)}

    def _session(self, allow_private: bool) -> aiohttp.ClientSession:
        def guarded_socket(info: AddrInfoType) -> socket.socket:
            family, kind, protocol, _, address = info
            reason = refusal(str(address[0]), allow_private=allow_private)
            if reason is not None:
                raise _AddressRefused(reason)
            made = socket.socket(family, kind, protocol)
            made.setblocking(False)
            return made

        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=POOL_KEEPALIVE_S,
            ttl_dns_cache=60,
            resolver=self._resolver,
            socket_factory=guarded_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers={"user-agent": self._user_agent},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            read_bufsize=256 * 1024,
        )

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """See `Sender.send`."""
        times = request.timeouts
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=times.connect_s, sock_read=times.idle_s
        )
        try:
            async with asyncio.timeout(times.headers_s):
                response = await self._sessions[request.allow_private].request(
                    request.method,
                    request.url,
                    data=request.body,
                    headers=request.headers,
                    allow_redirects=False,
                    timeout=timeout,
                )
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            raise TransportFailed("timeout", "The upstream did not answer in time") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError) as error:
            raise TransportFailed("invalid", "The upstream's address is not a valid URL") from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _AddressRefused):
                raise TransportFailed(
                    "refused", f"The upstream's address was refused: {error.os_error}"
                ) from error
            raise TransportFailed("connect", "The upstream cannot be reached") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, _AddressRefused):
                raise TransportFailed(
                    "refused", f"The upstream's address was refused: {error}"
                ) from error
            raise TransportFailed("broken", "The upstream closed the connection") from error
        return _Response(response)

    async def aclose(self) -> None:
        """See `Sender.aclose`."""
        for session in self._sessions.values():
            await session.close()


class _Response:
    """An `OutboundResponse` over aiohttp's."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {k.lower(): v for k, v in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            self._response.close()
            raise TransportFailed("timeout", "The upstream fell silent") from error
        except (aiohttp.ClientError, OSError) as error:
            self._response.close()
            raise TransportFailed("broken", "The upstream broke off its answer") from error

    async def read(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > MAX_WHOLE_BODY_BYTES:
                await self.aclose()
                raise TransportFailed("too_large", "The upstream's answer is over the size limit")
            parts.append(chunk)
        self._response.release()
        return b"".join(parts)

    async def aclose(self) -> None:
        # A body that was read to its end leaves a reusable connection; any other is cut, so that
        # the upstream stops working for nobody.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()
