"""What searches there were and what they cost, from the call log. Source: 01 §15.7."""

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import Forbidden
from omniroute.routing.naming.permission import model_allowed
from omniroute.storage.call_logs import EVERYBODY

DAY_MS = 86_400_000
MODEL = "analytics"


class ProviderSearches(Struct, frozen=True, kw_only=True, rename="camel"):
    """The searches of one provider."""

    count: int
    cost_usd: float


class HourOfSearches(Struct, frozen=True, kw_only=True, rename="camel"):
    """The searches of one hour, which begins at `hour` (ISO-8601)."""

    hour: str
    count: int
    cost_usd: float


class SearchAnalytics(Struct, frozen=True, kw_only=True, rename="camel"):
    """All searches the call log still has. `today` is since midnight UTC, `cache_hit_rate` whole
    percent of searches that were answered with results that were there already."""

    total: int
    today: int
    cached: int
    errors: int
    total_cost_usd: float
    by_provider: dict[str, ProviderSearches]
    cache_hit_rate: int
    avg_duration_ms: int
    last24h: tuple[HourOfSearches, ...]


async def search_analytics(engine: Engine, caller: Caller) -> SearchAnalytics:
    """The searches of the caller's key, or of everybody for whoever manages the gateway.

    Raises:
        Forbidden: the key is for other models only.
    """
    if not model_allowed(caller.allowed_models, [MODEL]):
        raise Forbidden(f"This API key may not use the model '{MODEL}'.", param="model")
    owner = EVERYBODY if caller.is_operator else caller.key_id
    now_ms = engine.now_ms()
    async with engine.database.reading() as work:
        sums = await work.calls.searches(owner, now_ms - now_ms % DAY_MS)
        hours = await work.calls.searches_by_hour(owner, now_ms - DAY_MS)
    total = sum(one.searches for one in sums)
    cached = sum(one.cached for one in sums)
    return SearchAnalytics(
        total=total,
        today=sum(one.today for one in sums),
        cached=cached,
        errors=sum(one.errors for one in sums),
        total_cost_usd=sum(one.cost_micro_usd for one in sums) / 1e6,
        by_provider={
            one.provider: ProviderSearches(count=one.searches, cost_usd=one.cost_micro_usd / 1e6)
            for one in sorted(sums, key=lambda one: one.provider or "")
            if one.provider is not None
        },
        cache_hit_rate=round(100 * cached / total) if total else 0,
        avg_duration_ms=round(sum(one.duration_ms for one in sums) / total) if total else 0,
        last24h=tuple(
            HourOfSearches(hour=iso(at), count=count, cost_usd=cost / 1e6)
            for at, count, cost in hours
        ),
    )
