"""What may be spent: scopes, their limits, and the windows they hold for. Source: 05 §10.4."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.pipeline.callers.session_ids import names_of
from omniroute.storage.records.money import BudgetRow, WindowKey

ScopeKind: TypeAlias = Literal["key", "session", "run", "task", "guard"]
Period: TypeAlias = Literal["daily", "weekly", "monthly", "total"]
BreachAction: TypeAlias = Literal["deny", "degrade", "alert"]

PERIODS: tuple[Period, ...] = ("daily", "weekly", "monthly", "total")


class Scope(Struct, frozen=True):
    """Whose money it is: a key, a session, everything one run causes, or one A2A task. A guard
    is what a caller limits itself to, by the name its records are kept under."""

    kind: ScopeKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Budget(Struct, frozen=True, kw_only=True):
    """The limits of one scope, micro-USD; None is no limit, and every limit that is set holds.

    `reset_time` is `HH:MM` UTC; `warning_threshold` is a share of a limit. `reset_interval` is
    the window that summaries show first.
    """

    scope: Scope
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None
    total: int | None = None
    warning_threshold: float = 0.8
    reset_interval: Literal["daily", "weekly", "monthly"] = "daily"
    reset_time: str = "00:00"
    action: BreachAction = "deny"

    def limit(self, period: Period) -> int | None:
        """The limit of one period."""
        found: int | None = getattr(self, period)
        return found


class Window(Struct, frozen=True, kw_only=True):
    """One limit over one stretch of time. `end_ms` is None for what never starts afresh.

    `warn_at` is the share of the limit at which a warning is due.
    """

    scope: Scope
    period: Period
    start_ms: int
    end_ms: int | None
    limit: int
    warn_at: float = 0.8
    action: BreachAction = "deny"

    @property
    def key(self) -> WindowKey:
        """What its records are kept under."""
        return WindowKey(self.scope.kind, self.scope.id, self.period, self.start_ms)


def budget_of(row: BudgetRow) -> Budget:
    """A stored budget."""
    return Budget(
        scope=Scope(row.scope_kind, row.scope_id),  # type: ignore[arg-type]
        daily=row.daily_micro_usd,
        weekly=row.weekly_micro_usd,
        monthly=row.monthly_micro_usd,
        total=row.total_micro_usd,
        warning_threshold=row.warning_threshold,
        reset_interval=row.reset_interval,  # type: ignore[arg-type]
        reset_time=row.reset_time,
        action=row.action,  # type: ignore[arg-type]
    )


def budgets_for(
    caller: Caller, session: str | None, budgets: Mapping[tuple[str, str], BudgetRow]
) -> list[Budget]:
    """Every budget that a caller's requests in a session count against."""
    if not budgets:
        return []
    scopes = (
        ("key", caller.key_id),
        *(("session", name) for name in names_of(session)),
        ("run", caller.run_id),
        ("task", caller.task_id),
        ("guard", caller.owner),
    )
    rows = (budgets.get((kind, name)) for kind, name in scopes if name is not None)
    return [budget_of(row) for row in rows if row is not None]


def windows_of(budget: Budget, now_ms: int) -> Iterator[Window]:
    """The windows that every limit of a budget is in right now."""
    for period in PERIODS:
        limit = budget.limit(period)
        if limit is not None:
            start_ms, end_ms = bounds(period, budget.reset_time, now_ms)
            yield Window(
                scope=budget.scope,
                period=period,
                start_ms=start_ms,
                end_ms=end_ms,
                limit=limit,
                warn_at=budget.warning_threshold,
                action=budget.action,
            )


def bounds(period: Period, reset_time: str, now_ms: int) -> tuple[int, int | None]:
    """Begin and end of a window in epoch milliseconds: weeks begin on Monday, months on the 1st."""
    if period == "total":
        return 0, None
    hour, minute = (int(part) for part in reset_time.split(":"))
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    start = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if start > now:
        start -= timedelta(days=1)
    if period == "weekly":
        start -= timedelta(days=start.weekday())
        end = start + timedelta(days=7)
    elif period == "monthly":
        start = start.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
    else:
        end = start + timedelta(days=1)
    return int(start.timestamp() * 1000), int(end.timestamp() * 1000)
