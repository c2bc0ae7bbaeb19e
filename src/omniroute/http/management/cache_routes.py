"""The caches as routes (02 §12)."""

from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import Struct

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.paging import Offset
from omniroute.http.problems import delete, get
from omniroute.operations.chats import cache


class Cleared(Struct, frozen=True):
    """What was done."""

    success: bool
    message: str


Model = Annotated[str | None, QueryParameter(name="model")]
Signature = Annotated[str | None, QueryParameter(name="signature")]
StaleMs = Annotated[int | None, QueryParameter(name="staleMs", ge=0, le=10**15)]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]


@get("/api/cache/stats", tags=["Cache"], operation_id="cache_stats")
async def stats(engine: TheEngine, operator: Operator) -> cache.CacheStats:
    """How the response cache and idempotency do."""
    return await cache.cache_stats(engine, operator)


@delete("/api/cache/stats", status_code=200, tags=["Cache"], operation_id="clear_caches")
async def clear(engine: TheEngine, operator: Operator) -> Cleared:
    """Empty every cache."""
    count = await cache.clear_caches(engine, operator)
    return Cleared(True, f"{count} kept answers were dropped")


@get("/api/cache", tags=["Cache"], operation_id="cache_overview")
async def overview(engine: TheEngine, operator: Operator) -> cache.CacheOverview:
    """The caches with what is switched on."""
    return await cache.cache_overview(engine, operator)


@delete("/api/cache", status_code=200, tags=["Cache"], operation_id="invalidate_cache")
async def invalidate(
    engine: TheEngine,
    operator: Operator,
    model: Model = None,
    signature: Signature = None,
    stale_ms: StaleMs = None,
) -> cache.Invalidated:
    """Drop the answers of a model, one answer, old ones, or all."""
    return await cache.invalidate(
        engine, operator, model=model, signature=signature, stale_ms=stale_ms
    )


@get("/api/cache/entries", tags=["Cache"], operation_id="cache_entries")
async def entries(
    engine: TheEngine,
    operator: Operator,
    limit: Limit = 50,
    offset: Offset = 0,
    model: Model = None,
) -> cache.CacheEntries:
    """A page of kept answers, without their texts."""
    return await cache.cache_entries(engine, operator, limit, offset, model)


@delete("/api/cache/entries", status_code=200, tags=["Cache"], operation_id="delete_cache_entries")
async def delete_entries(
    engine: TheEngine, operator: Operator, model: Model = None, signature: Signature = None
) -> cache.Invalidated:
    """Drop the answers of a model, or one of them."""
    return await cache.invalidate(engine, operator, model=model, signature=signature)


CACHE: tuple[HTTPRouteHandler, ...] = (stats, clear, overview, invalidate, entries, delete_entries)
"""Every route about caches."""
