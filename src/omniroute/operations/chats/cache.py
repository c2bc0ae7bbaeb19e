"""The response cache and its neighbours: what they hold, and how to empty them. Source: 02 §12."""

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest
from omniroute.storage.records.live import CacheEntry


class CacheFigures(Struct, frozen=True, kw_only=True, rename="camel"):
    """Kept answers. `hit_rate` is 0-1 since the process started, 0 without look-ups."""

    memory_size: int
    memory_max_size: int
    db_size: int
    hit_rate: float
    hits: int
    misses: int
    tokens_saved: int


class IdempotencyFigures(Struct, frozen=True, kw_only=True, rename="camel"):
    """Answers that are kept for repeated requests."""

    active_keys: int
    window_ms: int


class CacheStats(Struct, frozen=True, kw_only=True, rename="camel"):
    """The caches in figures."""

    semantic_cache: CacheFigures
    idempotency: IdempotencyFigures


class CacheConfig(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is switched on."""

    semantic_cache_enabled: bool


class CacheCounters(Struct, frozen=True, kw_only=True, rename="camel"):
    """Kept answers, in the words of the cache page."""

    memory_entries: int
    db_entries: int
    hits: int
    misses: int
    hit_rate: float
    tokens_saved: int


class CacheOverview(Struct, frozen=True, kw_only=True, rename="camel"):
    """The cache page. `in_flight` counts questions that others may join."""

    semantic_cache: CacheCounters
    idempotency: IdempotencyFigures
    in_flight: int
    config: CacheConfig


class Invalidated(Struct, frozen=True):
    """What was dropped, by what."""

    ok: bool
    invalidated: int
    scope: str


class CacheEntryView(Struct, frozen=True, kw_only=True, rename="camel"):
    """One kept answer, without its text. Times are epoch milliseconds."""

    signature: str
    model: str
    tokens: int
    hits: int
    created_at: int
    expires_at: int


class CacheEntries(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of kept answers, newest first."""

    entries: list[CacheEntryView]
    total: int
    limit: int
    offset: int


async def cache_stats(engine: Engine, caller: Caller) -> CacheStats:
    """How the caches do."""
    cache = engine.chat.answers.cache
    looked = cache.hits + cache.misses
    figures = CacheFigures(
        memory_size=cache.entries,
        memory_max_size=cache.limits.entries,
        db_size=cache.stored,
        hit_rate=cache.hits / looked if looked else 0,
        hits=cache.hits,
        misses=cache.misses,
        tokens_saved=cache.tokens_saved,
    )
    return CacheStats(semantic_cache=figures, idempotency=_idempotency(engine))


async def cache_overview(engine: Engine, caller: Caller) -> CacheOverview:
    """The same, as the cache page shows it."""
    figures = (await cache_stats(engine, caller)).semantic_cache
    counters = CacheCounters(
        memory_entries=figures.memory_size,
        db_entries=figures.db_size,
        hits=figures.hits,
        misses=figures.misses,
        hit_rate=figures.hit_rate,
        tokens_saved=figures.tokens_saved,
    )
    return CacheOverview(
        semantic_cache=counters,
        idempotency=_idempotency(engine),
        in_flight=engine.chat.answers.sharing.in_flight,
        config=CacheConfig(semantic_cache_enabled=engine.snapshot.settings["semanticCacheEnabled"]),
    )


async def clear_caches(engine: Engine, caller: Caller) -> int:
    """Empty every cache; how many answers were kept."""
    await engine.chat.answers.cache.settled()
    async with engine.database.work() as work:
        names = await work.response_cache.delete()
    count = engine.chat.answers.cache.clear()
    engine.chat.answers.idempotency.clear()
    return max(count, len(names))


async def invalidate(
    engine: Engine,
    caller: Caller,
    *,
    model: str | None = None,
    signature: str | None = None,
    stale_ms: int | None = None,
) -> Invalidated:
    """Drop answers of a model, one answer, those older than so many milliseconds, or all.

    Raises:
        InvalidRequest: more than one of them is named.
    """
    named = {"model": model, "signature": signature, "stale": stale_ms}
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise InvalidRequest(
            f"Name one of model, signature and staleMs, not {' and '.join(given)}."
        )
    if not given:
        return Invalidated(True, await clear_caches(engine, caller), "all")
    cache = engine.chat.answers.cache
    await cache.settled()
    before_ms = None if stale_ms is None else engine.now_ms() - stale_ms
    async with engine.database.work() as work:
        names = await work.response_cache.delete(
            model=model, signature=signature, before_ms=before_ms
        )
    for name in names:
        cache.forget(name)
    return Invalidated(True, len(names), given[0])


async def cache_entries(
    engine: Engine, caller: Caller, limit: int, offset: int, model: str | None
) -> CacheEntries:
    """A page of kept answers."""
    await engine.chat.answers.cache.settled()
    async with engine.database.reading() as work:
        rows, total = await work.response_cache.page(limit, offset, model)
    return CacheEntries(
        entries=[_view(row) for row in rows], total=total, limit=limit, offset=offset
    )


def _view(row: CacheEntry) -> CacheEntryView:
    return CacheEntryView(
        signature=row.signature,
        model=row.model,
        tokens=row.tokens,
        hits=row.hits,
        created_at=row.created_at_ms,
        expires_at=row.expires_at_ms,
    )


def _idempotency(engine: Engine) -> IdempotencyFigures:
    return IdempotencyFigures(
        active_keys=engine.chat.answers.idempotency.active,
        window_ms=engine.snapshot.settings["idempotencyWindowMs"],
    )
