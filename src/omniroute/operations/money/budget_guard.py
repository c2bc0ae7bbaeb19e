"""A cap that a caller sets on its own spend in this session; the ledger enforces it. 03 §8.2."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.money.budgets import ScopeBudgetInput, budget_row
from omniroute.operations.usage.session_usage import own, since_of
from omniroute.pipeline.money.budgets import BreachAction, budget_of, windows_of

GuardAction: TypeAlias = Literal["degrade", "block", "alert"]

_STORED: Mapping[GuardAction, BreachAction] = {
    "block": "deny",
    "degrade": "degrade",
    "alert": "alert",
}
_TOLD: Mapping[str, GuardAction] = {stored: told for told, stored in _STORED.items()}
_WARN_AT = 0.8
_PLACES = 4


class GuardQuery(Struct, frozen=True, rename="camel"):
    """How much, and what then.

    Attributes:
        max_cost: the most this session may cost, in USD.
        action: at the cap `block` refuses, `degrade` asks only what is free, `alert` only says so.
        degrade_to_tier: what `degrade` falls back to; a cap is a cap, so both mean free targets.
    """

    max_cost: Annotated[float, Meta(ge=0.000001, le=1_000_000_000)]
    action: GuardAction
    degrade_to_tier: Literal["cheap", "free"] | None = None


class GuardStanding(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a guard stands, in USD. `warning`: less than a fifth remains."""

    session_id: str
    budget_total: float
    budget_spent: float
    budget_remaining: float
    action: GuardAction
    status: Literal["active", "warning", "exceeded"]


async def set_budget_guard(engine: Engine, caller: Caller, query: GuardQuery) -> GuardStanding:
    """Set or replace the caller's guard, from its next request on. What it has spent in this
    session before counts. Every caller key has one; all callers without a key share one.
    """
    name, now_ms = caller.owner, engine.now_ms()
    old = engine.snapshot.budgets.get(("guard", name))
    since_ms = since_of(engine, "session")
    if old is not None and old.created_at_ms < since_ms:
        old = None  # of a session that is over
    written = ScopeBudgetInput(
        scope="guard",
        scope_id=name,
        total_limit_usd=query.max_cost,
        warning_threshold=_WARN_AT,
        action=_STORED[query.action],
    )
    row = budget_row(written, old, now_ms)
    await engine.journal.flush()
    async with engine.configuration.change(caller, "budget.updated", f"guard:{name}") as work:
        if old is None:
            await work.budgets.delete("guard", name)
            sums = own(await work.rollups.sums(since_ms), caller)
            spent = sum(one.cost_micro_usd for one in sums)
            for window in windows_of(budget_of(row), now_ms):
                await work.leases.open(window.key, window.end_ms, spent)
            engine.ledger.forget("guard", name)
        await work.budgets.save(row)
    standing = await guard_standing(engine, caller)
    if standing is None:
        raise RuntimeError("The guard that was just set is gone")
    return standing


async def guard_standing(engine: Engine, caller: Caller) -> GuardStanding | None:
    """Where the caller's guard stands; None where it has none."""
    row = engine.snapshot.budgets.get(("guard", caller.owner))
    if row is None:
        return None
    (purse,) = await engine.ledger.looked_up(budget_of(row))
    total, left = purse.window.limit, max(0, purse.unspent)
    status: Literal["active", "warning", "exceeded"] = "active"
    if left == 0:
        status = "exceeded"
    elif left < (1 - _WARN_AT) * total:
        status = "warning"
    return GuardStanding(
        session_id=f"budget_{engine.now_ms()}",
        budget_total=_usd(total),
        budget_spent=_usd(purse.spent),
        budget_remaining=_usd(left),
        action=_TOLD[row.action],
        status=status,
    )


def _usd(micro_usd: int) -> float:
    return round(micro_usd / 1e6, _PLACES)
