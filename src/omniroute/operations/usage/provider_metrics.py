"""How one provider does: latency, failures, breaker and quota. 03 §8.2."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.operations.models.provider_named import provider_named
from omniroute.operations.routing.quotas import known_quotas
from omniroute.routing.percentile import percentile
from omniroute.routing.trace import RouteTrace
from omniroute.storage.records.usage import UsageRow

WINDOW_MS = 86_400_000
MOST_ATTEMPTS = 10_000


class ProviderQuery(Struct, frozen=True):
    """Which provider.

    Attributes:
        provider: its id or one of its prefixes.
    """

    provider: str


class LastError(Struct, frozen=True):
    """The latest failed attempt; `timestamp` is ISO-8601."""

    message: str
    timestamp: str


class QuotaInfo(Struct, frozen=True, rename="camel"):
    """The account with the least left, in the provider's unit; `reset_at` is ISO-8601."""

    used: float
    total: float | None
    reset_at: str | None


class ProviderMetrics(Struct, frozen=True, kw_only=True, rename="camel"):
    """Attempts of the last 24 hours. Rates are 0-1, `success_rate` 1 without any; latencies are
    milliseconds of the attempts that succeeded."""

    provider: str
    success_rate: float
    request_count: int
    avg_latency_ms: float
    p50_latency_ms: float
    p95_latency_ms: float
    p99_latency_ms: float
    error_rate: float
    last_error: LastError | None
    circuit_breaker_state: Literal["CLOSED", "OPEN", "HALF_OPEN"]
    quota_info: QuotaInfo


async def provider_metrics(engine: Engine, caller: Caller, query: ProviderQuery) -> ProviderMetrics:
    """How a provider does.

    Raises:
        InvalidRequest: there is no such provider.
    """
    provider = provider_named(engine.snapshot, query.provider, param="provider")
    await engine.journal.flush()
    async with engine.database.reading() as work:
        since_ms = engine.now_ms() - WINDOW_MS
        rows = await work.usage.recent(since_ms, MOST_ATTEMPTS, provider)
    took = sorted(row.latency_ms for row in rows if row.success)
    failed = [row for row in rows if not row.success]
    return ProviderMetrics(
        provider=provider,
        success_rate=round(len(took) / len(rows), 4) if rows else 1.0,
        request_count=len(rows),
        avg_latency_ms=round(sum(took) / len(took), 1) if took else 0,
        p50_latency_ms=percentile(took, 50),
        p95_latency_ms=percentile(took, 95),
        p99_latency_ms=percentile(took, 99),
        error_rate=round(len(failed) / len(rows), 4) if rows else 0,
        last_error=await _last_error(engine, failed),
        circuit_breaker_state=engine.health.view().breaker(provider),
        quota_info=_quota(engine, provider),
    )


async def _last_error(engine: Engine, failed: Sequence[UsageRow]) -> LastError | None:
    """What the newest failure said, as its decision has it."""
    if not failed:
        return None
    newest = failed[-1]
    async with engine.database.reading() as work:
        decision = await work.traces.get(newest.request_id)
    attempts = msgspec.json.decode(decision.data, type=RouteTrace).attempts if decision else ()
    told = next((one.error for one in attempts if one.number == newest.attempt), None)
    message = told or newest.error_code or f"status {newest.status}"
    return LastError(message, iso(newest.timestamp_ms))


def _quota(engine: Engine, provider: str) -> QuotaInfo:
    lines = known_quotas(engine, provider)
    if not lines:
        return QuotaInfo(0, None, None)
    return QuotaInfo(lines[0].quota_used, lines[0].quota_total, lines[0].reset_at)
