"""The accounts whose quotas are watched: how many are in which state, and which they are."""

from collections import Counter

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.routing.quotas.monitor import ALERTING, Monitor
from omniroute.storage.records.configuration import Connection

MOST_MONITORS = 8


class MonitorLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """One watched account. `used_percent` is that of its fullest window; times are ISO-8601."""

    connection_id: str
    provider: str
    status: str
    used_percent: float | None
    since: str | None
    last_alert_at: str | None
    last_error: str | None


class MonitorSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """The watched accounts, counted. At most eight are named, the worst first."""

    active: int = 0
    alerting: int = 0
    exhausted: int = 0
    errors: int = 0
    status_counts: dict[str, int] = {}
    by_provider: dict[str, int] = {}
    monitors: tuple[MonitorLine, ...] = ()


def monitor_summary(engine: Engine, caller: Caller) -> MonitorSummary:
    """The accounts with `quotaMonitorEnabled`. Only operators see which they are."""
    watched = engine.quota_watch.monitors
    counts = Counter[str](row.status for row in watched.values())
    accounts = engine.snapshot.connections
    worst = sorted(watched.items(), key=lambda row: (-_urgency(row[1]), row[0]))
    return MonitorSummary(
        active=len(watched),
        alerting=sum(counts[status] for status in ALERTING),
        exhausted=counts["exhausted"],
        errors=counts["error"],
        status_counts=dict(counts),
        by_provider=dict(Counter(accounts[name].provider for name in watched)),
        monitors=tuple(_monitor(accounts[name], row) for name, row in worst[:MOST_MONITORS])
        if caller.is_operator
        else (),
    )


def _urgency(monitor: Monitor) -> float:
    return 2.0 if monitor.problem is not None else monitor.used or 0.0


def _monitor(account: Connection, row: Monitor) -> MonitorLine:
    return MonitorLine(
        connection_id=account.id,
        provider=account.provider,
        status=row.status,
        used_percent=None if row.used is None else round(100 * row.used, 2),
        since=iso(row.changed_at_ms) if row.changed_at_ms else None,
        last_alert_at=None if row.alerted_at_ms is None else iso(row.alerted_at_ms),
        last_error=row.problem,
    )
