"""The proxies an operator configured, as a pool to look through and take turns in. 03 §8.5.

Nothing is harvested: who is in the pool is who stands in the registry.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import NotConfigured
from omniroute.storage.records.proxies import Proxy, ProxyCounts

WINDOW_MS = 24 * 3_600_000
TURNS = "proxyPool"
LAST = "last"
_COUNTRY_LETTERS = 2

Order: TypeAlias = Literal["random", "quality", "sequential"]


class PoolQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which proxies; all that are not named.

    Attributes:
        protocol: only those of this type.
        country_code: only those whose region is this country, two letters.
        min_quality: only those with at least this share of requests that worked, 0-100.
        limit: at most so many, the best first.
    """

    protocol: Literal["http", "https", "socks4", "socks5"] | None = None
    country_code: str | None = None
    min_quality: Annotated[float, Meta(ge=0, le=100)] | None = None
    limit: Annotated[float, Meta(ge=1, le=10_000)] | None = None


class PoolProxy(Struct, frozen=True, kw_only=True, rename="camel"):
    """One proxy. `quality_score` is the percentage of requests that worked in the last 24 hours,
    `latency_ms` their mean; null where nobody asked. What is not measured (`anonymity`,
    `google_access`) is null or false."""

    id: str
    host: str
    port: int
    type: str
    country_code: str | None
    quality_score: float | None
    latency_ms: float | None
    anonymity: str | None = None
    google_access: bool = False
    status: str


class PoolPage(Struct, frozen=True):
    """Proxies, the best first; `total` counts those that were asked for, listed or not."""

    items: tuple[PoolProxy, ...]
    total: int


class TurnQuery(Struct, frozen=True):
    """How to choose.

    Attributes:
        strategy: any, the best, or each in turn.
    """

    strategy: Order = "sequential"


class ChosenProxy(Struct, frozen=True, kw_only=True, rename="camel"):
    """The proxy whose turn it is."""

    id: str
    host: str
    port: int
    type: str
    country_code: str | None
    quality_score: float | None
    latency_ms: float | None


class ProtocolCount(Struct, frozen=True):
    """How many proxies are of a type."""

    protocol: str
    count: int


class CountryCount(Struct, frozen=True, rename="camel"):
    """How many proxies are in a country."""

    country_code: str
    count: int


class PoolStats(Struct, frozen=True, kw_only=True, rename="camel"):
    """The pool in figures. `last_validated` is the newest request through any of it, ISO-8601."""

    total: int
    active: int
    avg_quality: float | None
    last_validated: str | None
    by_protocol: tuple[ProtocolCount, ...]
    by_country: tuple[CountryCount, ...]


class PoolSync(Struct, frozen=True, kw_only=True, rename="camel"):
    """Proxies are not fetched from anywhere, so there never was a sync."""

    last_sync_success: bool = False
    last_sync_error: str | None = None
    last_sync_at: str | None = None
    last_sync_count: int = 0
    consecutive_failures: int = 0


class PoolReport(Struct, frozen=True):
    """The pool in figures."""

    stats: PoolStats
    status: PoolSync


async def list_pool(engine: Engine, caller: Caller, query: PoolQuery) -> PoolPage:
    """The proxies of the registry that pass every filter."""
    wanted = query.country_code.upper() if query.country_code else None
    rows = [
        one
        for one in _best_first(await _pool(engine))
        if query.protocol in (None, one.type)
        and wanted in (None, one.country_code)
        and (query.min_quality is None or (one.quality_score or 0) >= query.min_quality)
    ]
    limit = None if query.limit is None else int(query.limit)
    return PoolPage(tuple(rows[:limit]), len(rows))


async def next_proxy(engine: Engine, caller: Caller, query: TurnQuery) -> ChosenProxy:
    """The proxy whose turn it is, of those that are switched on.

    Raises:
        NotConfigured: there is none.
    """
    pool = [one for one in await _pool(engine) if one.status == "active"]
    if not pool:
        raise NotConfigured(
            "No proxy is switched on. Add one with POST /api/settings/proxies first."
        )
    async with engine.database.work() as work:
        last = (await work.settings.namespace(TURNS)).get(LAST)
        chosen = _ORDERS[query.strategy](pool, str(last or ""), engine.chat.new_seed())
        await work.settings.set(LAST, chosen.id, namespace=TURNS)
    return ChosenProxy(
        id=chosen.id,
        host=chosen.host,
        port=chosen.port,
        type=chosen.type,
        country_code=chosen.country_code,
        quality_score=chosen.quality_score,
        latency_ms=chosen.latency_ms,
    )


async def pool_report(engine: Engine, caller: Caller) -> PoolReport:
    """The pool in figures."""
    counts = await _counts(engine)
    pool = await _pool(engine)
    measured = [one.quality_score for one in pool if one.quality_score is not None]
    ids = {one.id for one in pool}
    seen = [row.last_seen_ms for id_, row in counts.items() if id_ in ids and row.last_seen_ms]
    protocols = Counter(one.type for one in pool)
    countries = Counter(one.country_code for one in pool if one.country_code is not None)
    stats = PoolStats(
        total=len(pool),
        active=sum(one.status == "active" for one in pool),
        avg_quality=round(sum(measured) / len(measured), 2) if measured else None,
        last_validated=iso(max(seen)) if seen else None,
        by_protocol=tuple(ProtocolCount(*one) for one in protocols.most_common()),
        by_country=tuple(CountryCount(*one) for one in countries.most_common()),
    )
    return PoolReport(stats, PoolSync())


async def _counts(engine: Engine) -> Mapping[str, ProxyCounts]:
    async with engine.database.reading() as work:
        return await work.proxy_logs.counts(engine.now_ms() - WINDOW_MS)


async def _pool(engine: Engine) -> list[PoolProxy]:
    """Every proxy of the registry, by id."""
    counts = await _counts(engine)
    rows = engine.snapshot.proxying.outbound.proxies
    pool = [_shown(row, counts.get(row.id, ProxyCounts())) for row in rows]
    return sorted(pool, key=lambda one: one.id)


def _shown(row: Proxy, counts: ProxyCounts) -> PoolProxy:
    region = (row.region or "").upper()
    return PoolProxy(
        id=row.id,
        host=row.host,
        port=row.port,
        type=row.type,
        country_code=region if len(region) == _COUNTRY_LETTERS and region.isalpha() else None,
        quality_score=round(100 * counts.successes / counts.requests, 2)
        if counts.requests
        else None,
        latency_ms=None if counts.avg_latency_ms is None else round(counts.avg_latency_ms, 1),
        status=row.status,
    )


def _best_first(pool: Sequence[PoolProxy]) -> list[PoolProxy]:
    """What worked best, then what nobody has tried."""
    return sorted(pool, key=lambda one: 0 if one.quality_score is None else -one.quality_score)


def _any(pool: Sequence[PoolProxy], _last: str, seed: int) -> PoolProxy:
    return random.Random(seed).choice(pool)  # noqa: S311 - not a secret


def _best(pool: Sequence[PoolProxy], _last: str, _seed: int) -> PoolProxy:
    return _best_first(pool)[0]


def _next(pool: Sequence[PoolProxy], last: str, _seed: int) -> PoolProxy:
    return next((one for one in pool if one.id > last), pool[0])


_ORDERS: Mapping[Order, Callable[[Sequence[PoolProxy], str, int], PoolProxy]] = {
    "random": _any,
    "quality": _best,
    "sequential": _next,
}
