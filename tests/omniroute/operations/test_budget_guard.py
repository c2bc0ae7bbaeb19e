"""A cap a caller sets on itself: what it counts, whom it holds, and what happens at it."""

import pytest

from omniroute.caller import SYSTEM, Caller
from omniroute.catalog.overrides import StatedPrice
from omniroute.chat import ChatRequest, Message, Text
from omniroute.engine import Engine
from omniroute.errors import BudgetExceeded
from omniroute.operations.combos.combos import ComboInput, create_combo
from omniroute.operations.money.budget_guard import (
    GuardQuery,
    GuardStanding,
    guard_standing,
    set_budget_guard,
)
from omniroute.operations.money.budgets import ScopeBudgetInput, set_budget
from omniroute.operations.money.cost_report import (
    CostQuery,
    ProviderCost,
    RemainingBudget,
    cost_report,
)
from omniroute.operations.money.pricing import state_prices
from omniroute.operations.usage.session_snapshot import ActiveGuard, session_snapshot
from omniroute.pipeline.exchange import ChatCall

pytestmark = pytest.mark.anyio

MINE, OTHER = Caller(door="mcp", key_id="mine"), Caller(door="http", key_id="other")
ANYBODY = Caller(door="mcp", is_operator=True)


@pytest.fixture(autouse=True)
async def dear(engine: Engine) -> None:
    """`demo/echo` costs a dollar a token; the combo has a free target behind it."""
    dollar = StatedPrice(input=1_000_000, output=1_000_000)
    await state_prices(engine, SYSTEM, {"demo": {"echo": dollar}})
    await create_combo(
        engine, SYSTEM, ComboInput(name="dear-or-free", models=["demo/echo", "demo/reasoning"])
    )


async def ask(engine: Engine, caller: Caller, model: str = "demo/echo") -> str:
    """The model that answered."""
    request = ChatRequest(
        model=model, messages=(Message("user", (Text("a"),)),), max_output_tokens=1
    )
    call = ChatCall(request_id=engine.new_id(), caller=caller, request=request)
    return (await engine.chat.complete(call)).head.chosen.model


def stands(standing: GuardStanding | None) -> tuple[float, float, float, str, str] | None:
    """The numbers of a guard."""
    if standing is None:
        return None
    return (
        standing.budget_total,
        standing.budget_spent,
        standing.budget_remaining,
        standing.action,
        standing.status,
    )


async def test_a_guard_counts_what_its_caller_spent_before_and_after(engine: Engine) -> None:
    await ask(engine, MINE)
    await ask(engine, OTHER)
    first = await set_budget_guard(engine, MINE, GuardQuery(1_000, "block"))
    assert stands(first) == (1_000, 2, 998, "block", "active")
    await ask(engine, MINE)
    await ask(engine, OTHER)
    assert stands(await guard_standing(engine, MINE)) == (1_000, 4, 996, "block", "active")
    assert await guard_standing(engine, OTHER) is None
    again = await set_budget_guard(engine, MINE, GuardQuery(4.5, "alert"))
    assert stands(again) == (4.5, 4, 0.5, "alert", "warning")


async def test_at_the_cap_only_its_caller_is_refused(engine: Engine) -> None:
    await ask(engine, MINE)
    standing = await set_budget_guard(engine, MINE, GuardQuery(2, "block"))
    assert standing.status == "exceeded"
    with pytest.raises(BudgetExceeded, match="guard 'mine' is used up"):
        await ask(engine, MINE)
    await ask(engine, OTHER)
    await set_budget_guard(engine, MINE, GuardQuery(1_000, "block"))
    await ask(engine, MINE)


async def test_a_degraded_caller_has_what_is_free(engine: Engine) -> None:
    assert await ask(engine, MINE, "dear-or-free") == "echo"
    await set_budget_guard(engine, MINE, GuardQuery(2, "degrade", "cheap"))
    assert await ask(engine, MINE, "dear-or-free") == "reasoning"
    with pytest.raises(BudgetExceeded):
        await ask(engine, MINE)


async def test_an_alert_lets_everything_pass(engine: Engine) -> None:
    await set_budget_guard(engine, MINE, GuardQuery(1, "alert"))
    await ask(engine, MINE)
    assert stands(await guard_standing(engine, MINE)) == (1, 2, 0, "alert", "exceeded")


async def test_a_guard_lies_beside_the_budget_of_the_key(engine: Engine) -> None:
    budget = ScopeBudgetInput(scope="key", scope_id="mine", total_limit_usd=50)
    await set_budget(engine, SYSTEM, budget)
    await set_budget_guard(engine, MINE, GuardQuery(100, "block"))
    report = await cost_report(engine, MINE, CostQuery())
    assert report.budget == RemainingBudget(50, 50)
    await set_budget_guard(engine, MINE, GuardQuery(10, "block"))
    assert (await cost_report(engine, MINE, CostQuery())).budget == RemainingBudget(10, 10)


async def test_callers_without_a_key_share_a_guard(engine: Engine) -> None:
    await ask(engine, Caller(door="http"))
    await ask(engine, MINE)
    standing = await set_budget_guard(engine, ANYBODY, GuardQuery(2, "block"))
    assert stands(standing) == (2, 2, 0, "block", "exceeded")
    with pytest.raises(BudgetExceeded):
        await ask(engine, Caller(door="http"))
    await ask(engine, MINE)


async def test_reports_show_a_caller_its_own_and_operators_everything(engine: Engine) -> None:
    await ask(engine, MINE, "dear-or-free")
    await ask(engine, OTHER)
    await set_budget_guard(engine, MINE, GuardQuery(1_000, "block"))
    mine = await cost_report(engine, MINE, CostQuery())
    everybodys = await cost_report(engine, ANYBODY, CostQuery("week"))
    assert (mine.total_cost, mine.request_count, mine.token_count.prompt) == (2, 1, 1)
    assert (everybodys.total_cost, everybodys.request_count) == (4, 2)
    assert everybodys.by_provider == (ProviderCost("demo", 4, 2),)
    assert everybodys.by_model[0].model == "demo/echo"
    snapshot = await session_snapshot(engine, MINE)
    assert (snapshot.request_count, snapshot.cost_total, snapshot.errors) == (1, 2, 0)
    assert snapshot.budget_guard == ActiveGuard(active=True, remaining=998, action="block")
    assert (await session_snapshot(engine, ANYBODY)).budget_guard is None
