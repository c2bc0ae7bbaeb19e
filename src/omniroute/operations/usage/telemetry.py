"""How long the newest requests took, in all, by provider and by phase. Source: 02 §12, 05 §10.7."""

from collections.abc import Iterable
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.routing.quota_monitor import monitor_summary
from omniroute.operations.routing.sessions import session_summary
from omniroute.operations.system.health import resident_bytes
from omniroute.pipeline.telemetry import Phase
from omniroute.routing.percentile import percentile

DEFAULT_WINDOW_MS = 300_000

WindowMs: TypeAlias = Annotated[int, Meta(ge=1, le=86_400_000)]


class ProviderLatency(Struct, frozen=True, kw_only=True):
    """Milliseconds of the requests one provider answered."""

    p50: float
    p95: float
    p99: float
    count: int


class PhaseLatency(Struct, frozen=True, kw_only=True):
    """Milliseconds of one phase, of the requests that had it."""

    count: int
    p50: float
    p95: float
    avg: float


class Resident(Struct, frozen=True):
    """Bytes of memory of this process."""

    rss: int


class SessionCounts(Struct, frozen=True, rename="camel"):
    """Sessions that are alive, and those that stay with an account."""

    active_count: int
    sticky_bound_count: int


class MonitorCounts(Struct, frozen=True, kw_only=True, rename="camel"):
    """Accounts whose quotas are watched."""

    active: int
    alerting: int
    exhausted: int
    errors: int
    status_counts: dict[str, int]


class TelemetrySummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """Latencies in milliseconds, `uptime` in seconds, `error_rate` in percent of all requests.

    A request is an error when its caller was refused, or got no whole answer. `providers` are by
    id. `total_requests` and `avg_latency_ms` say the same as `count` and `avg`.
    """

    providers: dict[str, ProviderLatency]
    count: int
    avg: float
    p50: float
    p95: float
    p99: float
    total_requests: int
    avg_latency_ms: float
    phase_breakdown: dict[Phase, PhaseLatency]
    uptime: float
    memory_usage: Resident
    active_connections: int
    error_rate: float
    sessions: SessionCounts
    quota_monitor: MonitorCounts


async def telemetry_summary(
    engine: Engine, caller: Caller, window_ms: WindowMs = DEFAULT_WINDOW_MS
) -> TelemetrySummary:
    """How long requests of the last `window_ms` took, as far as they are among the newest 1000."""
    now_ms = engine.now_ms()
    samples = list(engine.chat.telemetry.since(now_ms - window_ms))
    by_provider: dict[str, list[float]] = {}
    by_phase: dict[Phase, list[float]] = {}
    for sample in samples:
        if sample.provider is not None:
            by_provider.setdefault(sample.provider, []).append(sample.total_s)
        for phase, took_s in sample.laps.items():
            by_phase.setdefault(phase, []).append(took_s)
    totals = _ms(sample.total_s for sample in samples)
    count, average = len(samples), _mean(totals)
    failed = sum(sample.failed for sample in samples)
    alive, watched = session_summary(engine, caller), monitor_summary(engine, caller)
    return TelemetrySummary(
        providers={name: _provider(_ms(took)) for name, took in sorted(by_provider.items())},
        count=count,
        avg=average,
        p50=percentile(totals, 50),
        p95=percentile(totals, 95),
        p99=percentile(totals, 99),
        total_requests=count,
        avg_latency_ms=average,
        phase_breakdown={phase: _phase(_ms(took)) for phase, took in by_phase.items()},
        uptime=(now_ms - engine.started_at_ms) / 1000,
        memory_usage=Resident(resident_bytes()),
        active_connections=sum(len(rows) for rows in engine.snapshot.accounts.values()),
        error_rate=round(100 * failed / count, 2) if count else 0,
        sessions=SessionCounts(alive.active_count, alive.sticky_bound_count),
        quota_monitor=MonitorCounts(
            active=watched.active,
            alerting=watched.alerting,
            exhausted=watched.exhausted,
            errors=watched.errors,
            status_counts=watched.status_counts,
        ),
    )


def _ms(seconds: Iterable[float]) -> list[float]:
    """Milliseconds, to the microsecond, the shortest first."""
    return sorted(round(one * 1000, 3) for one in seconds)


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 3) if values else 0


def _provider(took: list[float]) -> ProviderLatency:
    return ProviderLatency(
        p50=percentile(took, 50),
        p95=percentile(took, 95),
        p99=percentile(took, 99),
        count=len(took),
    )


def _phase(took: list[float]) -> PhaseLatency:
    return PhaseLatency(
        count=len(took), p50=percentile(took, 50), p95=percentile(took, 95), avg=_mean(took)
    )
