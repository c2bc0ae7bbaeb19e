"""The outbound gate: every byte that leaves goes through its connectors.

The address rules sit in the connector's socket factory, which sees the resolved address of
each connection, so a name that resolves differently a second time cannot slip by. What goes
through a proxy has a pool of its own for each proxy; see `tunnels`. What fails does not repeat
the credentials it was sent; see `forgetting`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping

import aiohttp
from aiohttp.abc import AbstractResolver

from omniroute.upstream.forgetting import Forgetful
from omniroute.upstream.pools import Pool, Pools, ProxyLimits
from omniroute.upstream.proxies import OutboundProxy, Outcome, ProxyUse, Via
from omniroute.upstream.send import OutboundRequest, OutboundResponse, TransportFailed
from omniroute.upstream.tunnels import AddressRefused, ProxyFailed, guarded_sockets

MAX_WHOLE_BODY_BYTES = 64 * 1024 * 1024
POOL_KEEPALIVE_S = 30.0


def _unnoted(_use: ProxyUse) -> None:
    """Nobody wants to know."""


class Gate:
    """A `Sender` over aiohttp: pooled, redirects off, address rules on every connection.

    Create and close it inside a running event loop.

    Args:
        resolver: looks names up; None asks the system.
        limits: how long proxies are waited for.
        noted: told of every request that went through a proxy. Must not wait.
        clock: never goes back, seconds.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        resolver: AbstractResolver | None = None,
        limits: ProxyLimits | None = None,
        noted: Callable[[ProxyUse], None] = _unnoted,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._user_agent = user_agent
        self._resolver = resolver
        self._noted = noted
        self._clock = clock
        # Private reach is a right of the request, and pools hand out open connections: the two
        # kinds must not share one.
        self._sessions = {reach: self._direct(reach) for reach in (False, True)}
        self._pools = Pools(
            self._session, resolver, limits or ProxyLimits(), clock, POOL_KEEPALIVE_S
        )

    def _direct(self, allow_private: bool) -> aiohttp.ClientSession:
        return self._session(
            aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=POOL_KEEPALIVE_S,
                ttl_dns_cache=60,
                resolver=self._resolver,
                socket_factory=guarded_sockets(allow_private=allow_private),
            )
        )

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            headers={"user-agent": self._user_agent},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            read_bufsize=256 * 1024,
        )

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """See `Sender.send`. With a proxy it goes through that, or nowhere."""
        if request.via is None:
            session = self._sessions[request.allow_private]
            answer: OutboundResponse = Response(await _response(session, request))
        else:
            answer = await self._through(request, request.via)
        return answer if answer.status < 400 else Forgetful(answer, request)

    async def _through(self, request: OutboundRequest, via: Via) -> OutboundResponse:
        if via.problem is not None:
            raise TransportFailed("proxy_off", via.problem)
        began = self._clock()
        outcome: Outcome = "error"
        error: str | None = "given up"
        try:
            pool = self._pools.take(via, allow_private=request.allow_private)
            try:
                response = await _response(pool.session, request)
            except BaseException:
                self._pools.leave(pool)
                raise
            outcome, error = "success", None
            return _Tunnelled(response, self._pools, pool)
        except TransportFailed as failed:
            if failed.kind == "proxy_connect":
                failed.retry_after_ms = self._pools.unreachable(via.proxy)
            outcome = "timeout" if failed.kind == "timeout" else "error"
            error = str(failed)
            raise
        finally:
            latency_ms = round((self._clock() - began) * 1000)
            self._noted(
                ProxyUse(
                    via=via,
                    origin=_origin(request.url),
                    outcome=outcome,
                    latency_ms=latency_ms,
                    error=error,
                )
            )

    def keep_only(self, proxies: Collection[OutboundProxy]) -> None:
        """Give up the connections through all other proxies; what is under way ends first."""
        self._pools.keep_only(proxies)

    async def aclose(self) -> None:
        """See `Sender.aclose`."""
        for session in self._sessions.values():
            await session.close()
        await self._pools.aclose()


async def _response(
    session: aiohttp.ClientSession, request: OutboundRequest
) -> aiohttp.ClientResponse:
    times = request.timeouts
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=times.connect_s, sock_read=times.idle_s
    )
    try:
        async with asyncio.timeout(times.headers_s):
            return await session.request(
                request.method,
                request.url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=timeout,
            )
    except (TimeoutError, aiohttp.ServerTimeoutError) as error:
        raise TransportFailed("timeout", "The upstream did not answer in time") from error
    except ProxyFailed as error:
        raise TransportFailed(error.kind, str(error)) from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise TransportFailed("invalid", "The upstream's address is not a valid URL") from error
    except (aiohttp.ClientError, OSError) as error:
        refused = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        if isinstance(refused, AddressRefused):
            raise TransportFailed(
                "refused", f"The upstream's address was refused: {refused}"
            ) from error
        if isinstance(error, aiohttp.ClientConnectorError):
            raise TransportFailed("connect", "The upstream cannot be reached") from error
        raise TransportFailed("broken", "The upstream closed the connection") from error
    except ValueError as error:  # after the others: a bad certificate is one of these, too
        raise TransportFailed("invalid", "The upstream's address is not a valid URL") from error


def _origin(url: str) -> str:
    """Scheme, host and port: paths and queries may hold what is nobody's business."""
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.partition("/")[0].partition("?")[0].rpartition("@")[2]


class Response:
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


class _Tunnelled(Response):
    """A response that keeps its proxy's pool open until it is closed itself."""

    def __init__(self, response: aiohttp.ClientResponse, pools: Pools, pool: Pool) -> None:
        super().__init__(response)
        self._pools = pools
        self._pool: Pool | None = pool

    async def aclose(self) -> None:
        await super().aclose()
        if self._pool is not None:
            self._pools.leave(self._pool)
            self._pool = None
