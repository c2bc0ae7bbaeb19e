"""Budgets: what keys, sessions, runs and tasks may spend, and where they stand. Source: 02 §9.2."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import NotFound, ValidationFailed
from omniroute.pipeline.money.budgets import Budget, ScopeKind, bounds, budget_of
from omniroute.pipeline.money.purse import Purse
from omniroute.storage.records.money import BudgetRow

MICRO = 1_000_000
Usd = Annotated[float, Meta(gt=0, le=1_000_000_000)]
ScopeId = Annotated[str, Meta(min_length=1, max_length=200)]
ResetTime = Annotated[str, Meta(pattern=r"^(?:[01]\d|2[0-3]):[0-5]\d$")]


class BudgetLimits(Struct, frozen=True, kw_only=True, rename="camel"):
    """Limits in USD; at least one is needed. What happens when one is reached is the `action`:
    refuse, ask only what costs nothing, or let it pass with a warning."""

    daily_limit_usd: Usd | None = None
    weekly_limit_usd: Usd | None = None
    monthly_limit_usd: Usd | None = None
    total_limit_usd: Usd | None = None
    warning_threshold: Annotated[float, Meta(ge=0, le=1)] = 0.8
    reset_interval: Literal["daily", "weekly", "monthly"] = "daily"
    reset_time: ResetTime = "00:00"
    action: Literal["deny", "degrade", "alert"] = "deny"


class KeyBudgetInput(BudgetLimits, frozen=True, kw_only=True, rename="camel"):
    """The budget of a key."""

    api_key_id: ScopeId


class ScopeBudgetInput(BudgetLimits, frozen=True, kw_only=True, rename="camel"):
    """The budget of a key, a session, a run or an A2A task."""

    scope: ScopeKind
    scope_id: ScopeId


class WindowView(Struct, frozen=True, kw_only=True, rename="camel"):
    """One limit in its window. Money is USD, times are epoch milliseconds."""

    period: str
    limit_usd: float
    spent_usd: float
    reserved_usd: float
    remaining_usd: float
    warning_reached: bool
    period_start_at: int
    reset_at: int | None


class BudgetCheck(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether a request would be let in right now, by the tightest limit."""

    allowed: bool
    reason: str | None
    daily_used: float
    daily_limit: float
    period_used: float
    active_limit_usd: float
    remaining: float
    warning_reached: bool
    reset_interval: str
    reset_time: str
    budget_reset_at: int | None
    last_budget_reset_at: int | None
    period_start_at: int | None


class BudgetSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a scope stands. Limits are 0 when unset; `budget` is null without one."""

    api_key_id: str
    scope: str
    daily_total: float
    monthly_total: float
    total_entries: int
    total_cost_today: float
    total_cost_month: float
    total_cost_period: float
    active_limit_usd: float
    daily_limit_usd: float
    weekly_limit_usd: float
    monthly_limit_usd: float
    total_limit_usd: float
    warning_threshold: float
    reset_interval: str
    reset_time: str
    action: str
    budget_reset_at: int | None
    last_budget_reset_at: int | None
    period_start_at: int | None
    next_reset_at: int | None
    windows: tuple[WindowView, ...]
    budget: BudgetLimits | None
    budget_check: BudgetCheck


async def set_budget(engine: Engine, caller: Caller, written: ScopeBudgetInput) -> BudgetLimits:
    """Set or replace a budget; it holds from the next request on.

    Raises:
        ValidationFailed: no limit is set.
    """
    old = engine.snapshot.budgets.get((written.scope, written.scope_id))
    row = budget_row(written, old, engine.now_ms())
    await engine.journal.flush()  # what was spent before counts, too
    async with engine.configuration.change(
        caller, "budget.updated", f"{row.scope_kind}:{row.scope_id}"
    ) as work:
        await work.budgets.save(row)
    return limits_of(row)


def budget_row(written: ScopeBudgetInput, old: BudgetRow | None, now_ms: int) -> BudgetRow:
    """A budget as it is stored in the place of another.

    Raises:
        ValidationFailed: no limit is set.
    """
    limits = (
        written.daily_limit_usd,
        written.weekly_limit_usd,
        written.monthly_limit_usd,
        written.total_limit_usd,
    )
    if not any(limits):
        raise ValidationFailed(
            [
                (
                    "dailyLimitUsd",
                    "is needed, or a weekly, monthly or total limit",
                )
            ]
        )
    daily, weekly, monthly, total = (
        None if limit is None else round(limit * MICRO) for limit in limits
    )
    return BudgetRow(
        scope_kind=written.scope,
        scope_id=written.scope_id,
        daily_micro_usd=daily,
        weekly_micro_usd=weekly,
        monthly_micro_usd=monthly,
        total_micro_usd=total,
        warning_threshold=written.warning_threshold,
        reset_interval=written.reset_interval,
        reset_time=written.reset_time,
        action=written.action,
        created_at_ms=old.created_at_ms if old is not None else now_ms,
        updated_at_ms=now_ms,
    )


async def delete_budget(engine: Engine, caller: Caller, kind: ScopeKind, scope_id: str) -> None:
    """Remove a budget: nothing limits the scope any more.

    Raises:
        NotFound: it has none.
    """
    async with engine.configuration.change(caller, "budget.deleted", f"{kind}:{scope_id}") as work:
        if not await work.budgets.delete(kind, scope_id):
            raise NotFound(f"There is no budget of {kind} '{scope_id}'.")
    engine.ledger.forget(kind, scope_id)


async def budget_summary(
    engine: Engine, caller: Caller, kind: ScopeKind, scope_id: str
) -> BudgetSummary:
    """Where a scope stands; one without a budget is shown with what it spent."""
    row = engine.snapshot.budgets.get((kind, scope_id))
    budget = budget_of(row) if row is not None else None
    purses = await engine.ledger.looked_up(budget) if budget is not None else []
    daily, monthly, entries = 0, 0, 0
    if kind == "key":
        await engine.journal.flush()
        reset = budget.reset_time if budget is not None else "00:00"
        async with engine.database.reading() as work:
            today = await work.usage.totals(bounds("daily", reset, engine.now_ms())[0], scope_id)
            month = await work.usage.totals(bounds("monthly", reset, engine.now_ms())[0], scope_id)
        daily, monthly, entries = today.cost_micro_usd, month.cost_micro_usd, month.requests
    return _summary(kind, scope_id, row, budget, purses, daily, monthly, entries)


async def budget_summaries(engine: Engine, caller: Caller) -> dict[str, BudgetSummary]:
    """Where every key stands, by key id."""
    ids = {key.id for key in engine.snapshot.keys.values()}
    ids |= {scope_id for kind, scope_id in engine.snapshot.budgets if kind == "key"}
    return {one: await budget_summary(engine, caller, "key", one) for one in sorted(ids)}


async def scope_budgets(engine: Engine, caller: Caller) -> list[BudgetSummary]:
    """Where every scope with a budget stands."""
    return [
        await budget_summary(engine, caller, kind, scope_id)  # type: ignore[arg-type]
        for kind, scope_id in engine.snapshot.budgets
    ]


def _summary(
    kind: str,
    scope_id: str,
    row: BudgetRow | None,
    budget: Budget | None,
    purses: list[Purse],
    daily: int,
    monthly: int,
    entries: int,
) -> BudgetSummary:
    views = tuple(_window(purse) for purse in purses)
    tightest = min(views, key=lambda view: view.remaining_usd, default=None)
    active = next(
        (view for view in views if budget is not None and view.period == budget.reset_interval),
        tightest,
    )
    limits = {view.period: view.limit_usd for view in views}
    exhausted = [view for view in views if view.remaining_usd <= 0]
    interval = budget.reset_interval if budget is not None else "daily"
    check = BudgetCheck(
        allowed=not exhausted or (budget is not None and budget.action != "deny"),
        reason=f"the {exhausted[0].period} limit is reached" if exhausted else None,
        daily_used=_usd(daily),
        daily_limit=limits.get("daily", 0.0),
        period_used=active.spent_usd if active is not None else 0.0,
        active_limit_usd=tightest.limit_usd if tightest is not None else 0.0,
        remaining=tightest.remaining_usd if tightest is not None else 0.0,
        warning_reached=any(view.warning_reached for view in views),
        reset_interval=interval,
        reset_time=budget.reset_time if budget is not None else "00:00",
        budget_reset_at=active.reset_at if active is not None else None,
        last_budget_reset_at=active.period_start_at if active is not None else None,
        period_start_at=active.period_start_at if active is not None else None,
    )
    return BudgetSummary(
        api_key_id=scope_id,
        scope=kind,
        daily_total=_usd(daily),
        monthly_total=_usd(monthly),
        total_entries=entries,
        total_cost_today=_usd(daily),
        total_cost_month=_usd(monthly),
        total_cost_period=check.period_used,
        active_limit_usd=check.active_limit_usd,
        daily_limit_usd=limits.get("daily", 0.0),
        weekly_limit_usd=limits.get("weekly", 0.0),
        monthly_limit_usd=limits.get("monthly", 0.0),
        total_limit_usd=limits.get("total", 0.0),
        warning_threshold=budget.warning_threshold if budget is not None else 0.8,
        reset_interval=interval,
        reset_time=check.reset_time,
        action=budget.action if budget is not None else "deny",
        budget_reset_at=check.budget_reset_at,
        last_budget_reset_at=check.last_budget_reset_at,
        period_start_at=check.period_start_at,
        next_reset_at=check.budget_reset_at,
        windows=views,
        budget=limits_of(row) if row is not None else None,
        budget_check=check,
    )


def _window(purse: Purse) -> WindowView:
    window = purse.window
    return WindowView(
        period=window.period,
        limit_usd=_usd(window.limit),
        spent_usd=_usd(purse.spent),
        reserved_usd=_usd(purse.held),
        remaining_usd=_usd(max(0, purse.unspent)),
        warning_reached=purse.spent >= window.limit * window.warn_at,
        period_start_at=window.start_ms,
        reset_at=window.end_ms,
    )


def limits_of(row: BudgetRow) -> BudgetLimits:
    """What a stored budget allows."""

    def usd(micro_usd: int | None) -> float | None:
        return None if micro_usd is None else _usd(micro_usd)

    return BudgetLimits(
        daily_limit_usd=usd(row.daily_micro_usd),
        weekly_limit_usd=usd(row.weekly_micro_usd),
        monthly_limit_usd=usd(row.monthly_micro_usd),
        total_limit_usd=usd(row.total_micro_usd),
        warning_threshold=row.warning_threshold,
        reset_interval=row.reset_interval,  # type: ignore[arg-type]
        reset_time=row.reset_time,
        action=row.action,  # type: ignore[arg-type]
    )


def _usd(micro_usd: int) -> float:
    return micro_usd / MICRO
