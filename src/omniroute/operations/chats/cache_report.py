"""The caches as agents see them: ours, and those of providers. 03 §8.3."""

from collections.abc import Sequence

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.chats.cache import (
    CacheConfig,
    IdempotencyFigures,
    Invalidated,
    cache_overview,
    invalidate,
)
from omniroute.storage.records.usage import PromptCacheSum

WINDOW_MS = 30 * 86_400_000


class SemanticCache(Struct, frozen=True, kw_only=True, rename="camel"):
    """Kept answers, and look-ups since the start. `hit_rate` is text, as in "12.5%"."""

    memory_entries: int
    db_entries: int
    hits: int
    misses: int
    hit_rate: str
    tokens_saved: int


class PromptCache(Struct, frozen=True, kw_only=True, rename="camel"):
    """What providers' own caches did in the last 30 days. `estimated_cost_saved` is USD, at the
    prices of today."""

    total_requests: int
    requests_with_cache_control: int
    total_input_tokens: int
    total_cached_tokens: int
    total_cache_creation_tokens: int
    tokens_saved: int
    estimated_cost_saved: float


class CacheReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """Every cache. `prompt_cache` is null where nothing was asked."""

    semantic_cache: SemanticCache
    prompt_cache: PromptCache | None
    idempotency: IdempotencyFigures
    config: CacheConfig


class FlushQuery(Struct, frozen=True):
    """What to drop; everything where nothing is named.

    Attributes:
        signature: one kept answer, by its signature; wins over `model`.
        model: the kept answers of a model.
    """

    signature: str | None = None
    model: str | None = None


async def cache_report(engine: Engine, caller: Caller) -> CacheReport:
    """How every cache does."""
    overview = await cache_overview(engine, caller)
    ours = overview.semantic_cache
    await engine.journal.flush()
    async with engine.database.reading() as work:
        sums = await work.usage.prompt_cache(engine.now_ms() - WINDOW_MS)
    return CacheReport(
        semantic_cache=SemanticCache(
            memory_entries=ours.memory_entries,
            db_entries=ours.db_entries,
            hits=ours.hits,
            misses=ours.misses,
            hit_rate=f"{100 * ours.hit_rate:.1f}%",
            tokens_saved=ours.tokens_saved,
        ),
        prompt_cache=_prompt_cache(engine, sums) if sums else None,
        idempotency=overview.idempotency,
        config=overview.config,
    )


async def flush_cache(engine: Engine, caller: Caller, query: FlushQuery) -> Invalidated:
    """Drop one kept answer, those of a model, or all."""
    if query.signature is not None:
        return await invalidate(engine, caller, signature=query.signature)
    return await invalidate(engine, caller, model=query.model)


def _prompt_cache(engine: Engine, sums: Sequence[PromptCacheSum]) -> PromptCache:
    cached = sum(row.cached_tokens for row in sums)
    return PromptCache(
        total_requests=sum(row.attempts for row in sums),
        requests_with_cache_control=sum(row.cached_attempts for row in sums),
        total_input_tokens=sum(row.prompt_tokens for row in sums),
        total_cached_tokens=cached,
        total_cache_creation_tokens=sum(row.written_tokens for row in sums),
        tokens_saved=cached,
        estimated_cost_saved=round(sum(_saved_pico(engine, row) for row in sums) / 1e12, 6),
    )


def _saved_pico(engine: Engine, row: PromptCacheSum) -> int:
    """What reading from a cache was cheaper than reading, pico-USD; nothing without a price."""
    if row.provider not in engine.snapshot.providers:
        return 0
    price = engine.snapshot.price(row.provider, row.model)
    return 0 if price is None else row.cached_tokens * (price.input.base - price.cache_read.base)
