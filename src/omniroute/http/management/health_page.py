"""The health answer of the management API, in the shape of 02 §12."""

import platform
import sys
from typing import Any

from msgspec import Struct

from omniroute.operations.routing.quota_monitor import MonitorSummary
from omniroute.operations.routing.resilience import LockLine
from omniroute.operations.routing.sessions import SessionSummary
from omniroute.operations.system.health import (
    BreakerLine,
    Cryptography,
    Dedup,
    GatewayHealth,
    LearnedLimit,
    LedgerLine,
)
from omniroute.operations.system.health import ProviderSummary as Providers


class HealthPage(Struct, frozen=True, kw_only=True, rename="camel"):
    """Vital signs. `uptime` is seconds, memory is bytes, money is micro-USD."""

    status: str
    timestamp: str
    version: str
    uptime: int
    memory_usage: dict[str, int]
    setup_complete: bool
    system: dict[str, Any]
    storage: str
    active_connections: int
    circuit_breakers: dict[str, int]
    provider_breakers: tuple[BreakerLine, ...]
    provider_health: dict[str, dict[str, Any]]
    provider_summary: Providers
    cooldown_count: int
    sessions: SessionSummary
    ledger: LedgerLine
    quota_monitor: MonitorSummary
    lockouts: tuple[LockLine, ...]
    learned_limits: dict[str, LearnedLimit]
    dedup: Dedup
    cryptography: Cryptography


def health_page(health: GatewayHealth) -> HealthPage:
    """Vital signs as the management API shows them."""
    states = [row.state for row in health.circuit_breakers]
    memory = {"rss": health.memory_usage.heap_used, "peak": health.memory_usage.heap_total}
    uptime = health.uptime_ms // 1000
    return HealthPage(
        status=health.status,
        timestamp=health.timestamp,
        version=health.version,
        uptime=uptime,
        memory_usage=memory,
        setup_complete=health.provider_summary.configured_count > 1,
        system={
            "version": health.version,
            "runtimeVersion": platform.python_version(),
            "uptime": uptime,
            "memoryUsage": memory,
            "platform": sys.platform,
        },
        storage=health.storage,
        active_connections=health.active_connections,
        circuit_breakers={
            "open": states.count("OPEN"),
            "halfOpen": states.count("HALF_OPEN"),
            "closed": states.count("CLOSED"),
            "total": len(states),
        },
        provider_breakers=health.circuit_breakers,
        provider_health={
            row.provider: {
                "state": row.state,
                "failures": row.failure_count,
                "lastFailure": row.last_failure,
                "retryAfterMs": row.retry_after_ms,
            }
            for row in health.circuit_breakers
        },
        provider_summary=health.provider_summary,
        cooldown_count=len(health.cooldowns),
        sessions=health.sessions,
        ledger=health.ledger,
        quota_monitor=health.quota_monitor,
        lockouts=health.lockouts,
        learned_limits=health.learned_limits,
        dedup=health.dedup,
        cryptography=health.cryptography,
    )
