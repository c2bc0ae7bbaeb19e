"""How the gateway is: uptime, memory, breakers, storage, money held in reserve."""

import resource
import sys
from pathlib import Path
from typing import Literal

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.catalog.providers import PROVIDERS
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import StorageUnavailable
from omniroute.operations.routing.provider_rates import RateLimitLine, provider_rates
from omniroute.operations.routing.quota_monitor import MonitorSummary, monitor_summary
from omniroute.operations.routing.resilience import LockLine, locked_models
from omniroute.operations.routing.sessions import SessionSummary, session_summary


class MemoryUsage(Struct, frozen=True, rename="camel"):
    """Bytes: `heap_used` is the resident set now, `heap_total` its peak."""

    heap_used: int
    heap_total: int


class BreakerLine(Struct, frozen=True, rename="camel"):
    """The breaker of one provider. `last_failure` is ISO-8601."""

    provider: str
    state: Literal["CLOSED", "OPEN", "HALF_OPEN"]
    failure_count: int
    last_failure: str | None
    retry_after_ms: int = 0


class CacheLine(Struct, frozen=True, rename="camel"):
    """Look-ups in the response cache since the start. `hit_rate` is 0-1."""

    hits: int
    misses: int
    hit_rate: float


class Cryptography(Struct, frozen=True, rename="camel"):
    """State of the encryption of credentials at rest."""

    status: Literal["healthy", "missing_or_invalid"]
    provider: str = "aes-256-gcm"


class CooldownLine(Struct, frozen=True, rename="camel"):
    """An account that is left alone. `until` is ISO-8601, None when only an operator ends it."""

    connection: str
    reason: str
    until: str | None


class LedgerLine(Struct, frozen=True, rename="camel"):
    """Money, in micro-USD."""

    open_reservations: int
    reserved_micro_usd: int
    spent_micro_usd: int


class ProviderSummary(Struct, frozen=True, rename="camel"):
    """Counts of providers: known to this build, with an account, with an active account."""

    catalog_count: int
    configured_count: int
    active_count: int
    monitored_count: int


class LearnedLimit(Struct, frozen=True, rename="camel"):
    """What a provider said of its limits by itself."""

    max_tools: int


class Dedup(Struct, frozen=True, rename="camel"):
    """Requests under way that others with the same question may join."""

    inflight_requests: int


class GatewayHealth(Struct, frozen=True, rename="camel"):
    """Vital signs. `uptime` is text for people, `uptime_ms` for programs.

    `status` is `healthy`, or `degraded` when a breaker is not closed or storage does not answer.
    """

    status: str
    version: str
    uptime: str
    uptime_ms: int
    timestamp: str
    memory_usage: MemoryUsage
    storage: str
    circuit_breakers: tuple[BreakerLine, ...]
    cooldowns: tuple[CooldownLine, ...]
    rate_limits: tuple[RateLimitLine, ...]
    cache_stats: CacheLine
    provider_summary: ProviderSummary
    active_connections: int
    sessions: SessionSummary
    ledger: LedgerLine
    configuration_version: int
    quota_monitor: MonitorSummary
    lockouts: tuple[LockLine, ...]
    learned_limits: dict[str, LearnedLimit]
    dedup: Dedup
    cryptography: Cryptography


async def get_health(engine: Engine, caller: Caller) -> GatewayHealth:
    """Vital signs of the gateway. Never fails: what cannot be read is said to be unknown."""
    now_ms = engine.now_ms()
    view = engine.health.view()
    breakers = tuple(
        BreakerLine(
            provider=provider,
            state=row.state(now_ms),
            failure_count=row.failures,
            last_failure=iso(row.last_failure_ms) if row.last_failure_ms else None,
            retry_after_ms=max(0, row.half_open_at_ms - now_ms) if row.tripped else 0,
        )
        for provider, row in sorted(view.breakers.items())
    )
    storage = await _storage_state(engine)
    sound = storage == "healthy" and all(row.state == "CLOSED" for row in breakers)
    snapshot = engine.snapshot
    configured = {row.provider for row in snapshot.connections.values()}
    uptime_ms = now_ms - engine.started_at_ms
    return GatewayHealth(
        status="healthy" if sound else "degraded",
        version=engine.version,
        uptime=_duration(uptime_ms),
        uptime_ms=uptime_ms,
        timestamp=iso(now_ms),
        memory_usage=_memory(),
        storage=storage,
        circuit_breakers=breakers,
        cooldowns=tuple(
            CooldownLine(
                connection=connection if caller.is_operator else "hidden",
                reason=row.terminal or row.reason,
                until=None if row.terminal else iso(row.until_ms),
            )
            for connection, row in sorted(view.cooldowns.items())
            if row.terminal or row.until_ms > now_ms
        ),
        rate_limits=provider_rates(engine),
        cache_stats=_cache(engine),
        provider_summary=ProviderSummary(
            catalog_count=len(PROVIDERS),
            configured_count=len(configured),
            active_count=len(snapshot.accounts),
            monitored_count=len(breakers),
        ),
        active_connections=sum(len(rows) for rows in snapshot.accounts.values()),
        sessions=session_summary(engine, caller),
        ledger=LedgerLine(
            engine.ledger.open_reservations,
            engine.ledger.reserved_micro_usd,
            engine.ledger.spent_micro_usd(),
        ),
        configuration_version=snapshot.version,
        quota_monitor=monitor_summary(engine, caller),
        lockouts=tuple(await locked_models(engine, caller)) if caller.is_operator else (),
        learned_limits={
            provider: LearnedLimit(row.most)
            for provider, row in view.tool_limits.items()
            if caller.is_operator and row.until_ms > now_ms
        },
        dedup=Dedup(engine.chat.answers.sharing.in_flight),
        cryptography=Cryptography("healthy"),
    )


async def _storage_state(engine: Engine) -> str:
    try:
        async with engine.database.reading() as work:
            await work.settings.version()
    except StorageUnavailable:
        return "unavailable"
    return "healthy"


def _cache(engine: Engine) -> CacheLine:
    cache = engine.chat.answers.cache
    looked = cache.hits + cache.misses
    return CacheLine(cache.hits, cache.misses, cache.hits / looked if looked else 0)


def _memory() -> MemoryUsage:
    return MemoryUsage(resident_bytes(), _peak_bytes())


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """The resident set of this process; its peak where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return _peak_bytes()
    return pages * resource.getpagesize()


def _duration(ms: int) -> str:
    seconds = ms // 1000
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, secs = divmod(rest, 60)
    days_text = f"{days}d " if days else ""
    return f"{days_text}{hours:02d}:{minutes:02d}:{secs:02d}"
