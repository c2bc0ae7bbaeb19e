"""Budgets, the windows they hold for, and what processes have leased of them."""

from msgspec import Struct


class BudgetRow(Struct, frozen=True, kw_only=True):
    """The limits of one scope, micro-USD; None is no limit."""

    scope_kind: str
    scope_id: str
    daily_micro_usd: int | None = None
    weekly_micro_usd: int | None = None
    monthly_micro_usd: int | None = None
    total_micro_usd: int | None = None
    warning_threshold: float = 0.8
    reset_interval: str = "daily"
    reset_time: str = "00:00"
    action: str = "deny"
    created_at_ms: int = 0
    updated_at_ms: int = 0


class WindowKey(Struct, frozen=True, order=True):
    """One window of one limit."""

    kind: str
    id: str
    period: str
    start_ms: int


class WindowStanding(Struct, frozen=True, kw_only=True):
    """A window after a lease was asked for, micro-USD: `granted` was added to `mine`."""

    spent: int
    granted: int
    mine: int
    others: int


class LeaseRow(Struct, frozen=True):
    """What one process has leased of a window, micro-USD."""

    holder: str
    micro_usd: int
