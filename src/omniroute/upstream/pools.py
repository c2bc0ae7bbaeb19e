"""The open connections through proxies: a pool for each, given up when its proxy changes."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver

from omniroute.upstream.proxies import OutboundProxy, Via
from omniroute.upstream.send import TransportFailed
from omniroute.upstream.tunnels import TunnelConnector

FIRST_REST_S = 2.0


@dataclass(frozen=True, slots=True)
class ProxyLimits:
    """Seconds. `dial_s` is how long a proxy has to accept a connection, `rest_s` the longest time
    for which one that did not is left alone."""

    dial_s: float = 2.0
    rest_s: float = 30.0


@dataclass(slots=True, eq=False)
class Pool:
    """Connections through one proxy. `busy` counts what is under way on them."""

    session: aiohttp.ClientSession
    retired: bool = False
    busy: int = 0


@dataclass(frozen=True, slots=True)
class _Rest:
    """A proxy that could not be reached: left alone `until_s`, after a pause of `pause_s`."""

    until_s: float
    pause_s: float


class Pools:
    """Pools by proxy and by the right to private addresses, and which proxies are down.

    Args:
        session: makes a session of a connector.
        clock: never goes back, seconds.
    """

    def __init__(
        self,
        session: Callable[[aiohttp.TCPConnector], aiohttp.ClientSession],
        resolver: AbstractResolver | None,
        limits: ProxyLimits,
        clock: Callable[[], float],
        keepalive_s: float,
    ) -> None:
        self._session = session
        self._resolver = resolver
        self._limits = limits
        self._clock = clock
        self._keepalive_s = keepalive_s
        self._pools: dict[tuple[OutboundProxy, bool], Pool] = {}
        self._resting: dict[OutboundProxy, _Rest] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def take(self, via: Via, *, allow_private: bool) -> Pool:
        """The pool of a proxy, for one request; `leave` it when that is over.

        Raises:
            TransportFailed: the proxy could not be reached a moment ago.
        """
        rest = self._resting.get(via.proxy)
        if rest is not None and rest.until_s > self._clock():
            raise TransportFailed("proxy_connect", "The proxy cannot be reached")
        key = (via.proxy, allow_private)
        pool = self._pools.get(key)
        if pool is None:
            pool = Pool(self._session(self._connector(*key)), retired=via.passing)
            if not via.passing:
                self._pools[key] = pool
        pool.busy += 1
        return pool

    def leave(self, pool: Pool) -> None:
        """A request on the pool is over."""
        pool.busy -= 1
        self._close_if_idle(pool)

    def unreachable(self, proxy: OutboundProxy) -> int:
        """The proxy cannot be reached: how long it is left alone now, in milliseconds.

        A pause that is running goes on; the next one is twice as long.
        """
        now = self._clock()
        rest = self._resting.get(proxy)
        if rest is None or rest.until_s <= now:
            # In peace for as long as the longest pause, and it starts from the first again.
            again = rest is not None and now - rest.until_s < self._limits.rest_s
            pause = rest.pause_s * 2 if rest is not None and again else FIRST_REST_S
            pause = min(pause, self._limits.rest_s)
            rest = self._resting[proxy] = _Rest(now + pause, pause)
        return max(1, round((rest.until_s - now) * 1000))

    def keep_only(self, proxies: Collection[OutboundProxy]) -> None:
        """Give up the pools of all other proxies as soon as nothing is under way on them."""
        for key in [key for key in self._pools if key[0] not in proxies]:
            pool = self._pools.pop(key)
            pool.retired = True
            self._close_if_idle(pool)
        for proxy in [proxy for proxy in self._resting if proxy not in proxies]:
            del self._resting[proxy]

    async def aclose(self) -> None:
        """Close everything."""
        for pool in self._pools.values():
            await pool.session.close()
        self._pools.clear()
        await asyncio.gather(*self._closing)

    def _close_if_idle(self, pool: Pool) -> None:
        if pool.retired and not pool.busy:
            task = asyncio.create_task(pool.session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _connector(self, proxy: OutboundProxy, allow_private: bool) -> TunnelConnector:
        return TunnelConnector(
            proxy,
            allow_private=allow_private,
            dial_s=self._limits.dial_s,
            resolver=self._resolver,
            keepalive_s=self._keepalive_s,
        )
