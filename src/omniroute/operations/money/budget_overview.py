"""Every limit a caller spends under, and its guard, in one look."""

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.money.budget_guard import GuardStanding, guard_standing
from omniroute.operations.money.budgets import BudgetSummary, budget_summary, scope_budgets


class BudgetOverview(Struct, frozen=True, kw_only=True):
    """`guard` is the cap the caller set for its own session, null without one."""

    budgets: tuple[BudgetSummary, ...]
    guard: GuardStanding | None


async def budget_overview(engine: Engine, caller: Caller) -> BudgetOverview:
    """All budgets for operators, its own for a key."""
    if caller.is_operator:
        budgets = await scope_budgets(engine, caller)
    elif caller.key_id is not None:
        budgets = [await budget_summary(engine, caller, "key", caller.key_id)]
    else:
        budgets = []
    return BudgetOverview(budgets=tuple(budgets), guard=await guard_standing(engine, caller))
