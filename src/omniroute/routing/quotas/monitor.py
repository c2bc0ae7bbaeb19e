"""How a watched account is doing: a pure step from what its provider said last. Source: 05 §5.4."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute.routing.quotas.remaining import FRESH_MS, Standing

Status: TypeAlias = Literal["starting", "idle", "healthy", "warning", "exhausted", "error"]

WARNING_FROM = 0.80
EXHAUSTED_FROM = 0.95
ALERT_PAUSE_MS = 5 * 60_000
IDLE_AFTER_MS = 30 * 60_000
"""An account nobody has used for that long is not polled any more, only kept up to date."""

ALERTING: frozenset[Status] = frozenset({"warning", "exhausted"})

_POLL_MS: Mapping[Status, int] = {"warning": 15_000, "exhausted": 15_000, "idle": FRESH_MS}
USUAL_POLL_MS = 60_000


class Monitor(Struct, frozen=True, kw_only=True):
    """One watched account. `used` is the share (0-1) of its fullest window; times are epoch ms."""

    status: Status = "starting"
    used: float | None = None
    changed_at_ms: int = 0
    alerted_at_ms: int | None = None
    problem: str | None = None

    @property
    def poll_ms(self) -> int:
        """How often the account is asked about."""
        return _POLL_MS.get(self.status, USUAL_POLL_MS)


def judged(
    old: Monitor, standing: Standing, used: float | None, last_used_ms: int | None, now_ms: int
) -> Monitor:
    """How an account is doing now.

    Args:
        used: the share of its fullest window; None where no window is known.
        last_used_ms: when a request last went to it, epoch ms; None for never.
    """
    status = _status(standing, used, last_used_ms, now_ms)
    alerts = status in ALERTING
    quiet = old.alerted_at_ms is not None and now_ms - old.alerted_at_ms < ALERT_PAUSE_MS
    return Monitor(
        status=status,
        used=used,
        changed_at_ms=old.changed_at_ms if status == old.status else now_ms,
        alerted_at_ms=now_ms if alerts and not quiet else old.alerted_at_ms,
        problem=standing.problem,
    )


def _status(
    standing: Standing, used: float | None, last_used_ms: int | None, now_ms: int
) -> Status:
    if standing.problem is not None:
        return "error"
    if standing.report is None:
        return "starting"
    if standing.report.exhausted or (used is not None and used >= EXHAUSTED_FROM):
        return "exhausted"
    if used is not None and used >= WARNING_FROM:
        return "warning"
    unused = last_used_ms is None or now_ms - last_used_ms >= IDLE_AFTER_MS
    return "idle" if unused else "healthy"
