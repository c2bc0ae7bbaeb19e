"""What agents see and do of combos: reports, trials, recommendations, switches."""

from typing import Any

import pytest

from omniroute.caller import Caller
from omniroute.chat import ChatRequest, Message, Text
from omniroute.engine import Engine
from omniroute.errors import Conflict, NotFound, TargetsUnavailable
from omniroute.operations.accounts.connections import ConnectionInput, create_connection
from omniroute.operations.combos.combo_choice import ChoiceQuery, best_combo_for_task
from omniroute.operations.combos.combo_listing import CombosQuery, list_combos
from omniroute.operations.combos.combo_report import ComboQuery, ProviderShare, combo_report
from omniroute.operations.combos.combo_switches import (
    ChoosingCombo,
    StrategyQuery,
    SwitchQuery,
    set_routing_strategy,
    switch_combo,
)
from omniroute.operations.combos.combo_trial import TrialQuery, TrialSummary, try_combo
from omniroute.operations.combos.combos import ComboInput, create_combo, get_combo
from omniroute.pipeline.exchange import ChatCall

pytestmark = pytest.mark.anyio

OPERATOR = Caller(door="mcp", is_operator=True)


async def made(engine: Engine, name: str, *models: str, **more: Any) -> str:
    """The id of a new combo."""
    return (
        await create_combo(engine, OPERATOR, ComboInput(name=name, models=[*models], **more))
    ).id


async def ask(engine: Engine, model: str) -> None:
    """One request."""
    request = ChatRequest(model=model, messages=(Message("user", (Text("hi"),)),))
    await engine.chat.complete(
        ChatCall(request_id=engine.new_id(), caller=OPERATOR, request=request)
    )


async def test_a_report_counts_requests_and_attempts(engine: Engine) -> None:
    combo = await made(engine, "pair", "demo/flaky-500", "demo/echo")
    nothing = await combo_report(engine, OPERATOR, ComboQuery(combo))
    assert (nothing.requests, nothing.success_rate, nothing.by_provider) == (0, 1.0, ())
    (unasked,) = (await list_combos(engine, OPERATOR, CombosQuery(include_metrics=True))).combos
    assert (unasked.metrics, unasked.models[0].provider) == (None, "demo")
    await ask(engine, "pair")
    report = await combo_report(engine, OPERATOR, ComboQuery("pair"))
    assert (report.requests, report.success_rate, report.fallback_count) == (1, 1.0, 1)
    (share,) = report.by_provider
    assert share == ProviderShare(
        provider="demo", requests=2, success_rate=0.5, avg_latency=share.avg_latency
    )
    (asked,) = (await list_combos(engine, OPERATOR, CombosQuery(include_metrics=True))).combos
    assert asked.metrics
    assert asked.metrics.request_count == 1


async def test_a_combo_without_metrics_says_so(engine: Engine) -> None:
    await made(engine, "quiet", "demo/echo", config={"trackMetrics": False})
    with pytest.raises(Conflict, match="switch 'trackMetrics' on"):
        await combo_report(engine, OPERATOR, ComboQuery("quiet"))


async def test_unknown_combos_are_told_what_there_is(engine: Engine) -> None:
    with pytest.raises(NotFound, match="None is configured yet"):
        await combo_report(engine, OPERATOR, ComboQuery("x"))
    for name in ("alpha", "beta", "gamma", "delta", "epsilon", "zeta"):
        await made(engine, name, "demo/echo")
    with pytest.raises(NotFound, match=r"There are: .*, \.\.\.\."):
        await combo_report(engine, OPERATOR, ComboQuery("x"))
    with pytest.raises(NotFound, match="Did you mean 'gamma'"):
        await switch_combo(engine, OPERATOR, SwitchQuery("gama", active=True))


STRATEGIES: dict[str, tuple[StrategyQuery, tuple[str, str | None]]] = {
    "by name": (StrategyQuery("c", "random"), ("random", None)),
    "an older name": (StrategyQuery("c", "usage"), ("least-used", None)),
    "another": (StrategyQuery("c", "context"), ("context-optimized", None)),
    "auto": (StrategyQuery("c", "auto"), ("auto", "rules")),
    "auto by price": (StrategyQuery("c", "auto", "eco"), ("auto", "eco")),
    "what is not auto": (StrategyQuery("c", "p2c", "eco"), ("p2c", None)),
}


@pytest.mark.parametrize(("query", "expected"), STRATEGIES.values(), ids=STRATEGIES)
async def test_strategies_are_changed(
    engine: Engine, query: StrategyQuery, expected: tuple[str, str | None]
) -> None:
    combo = await made(engine, "c", "demo/echo", config={"maxRetries": 1})
    changed = (await set_routing_strategy(engine, OPERATOR, query)).combo
    assert changed == ChoosingCombo(combo, "c", *expected)  # type: ignore[arg-type]
    stored = await get_combo(engine, OPERATOR, combo)
    router = {"routerStrategy": expected[1]} if expected[1] is not None else {}
    assert (stored.strategy, stored.config) == (expected[0], {"maxRetries": 1, **router})


async def test_a_trial_reports_every_step_as_it_ends(engine: Engine) -> None:
    await made(engine, "pair", "demo/flaky-500", "demo/echo")
    heard: list[tuple[float, str]] = []

    async def report(progress: float, message: str) -> None:
        heard.append((progress, message.partition(" ")[0]))

    trial = await try_combo(engine, OPERATOR, TrialQuery("pair", "x" * 500), report)
    assert sorted(heard) == [(1, heard[0][1]), (2, heard[1][1])]
    assert {model for _, model in heard} == {"demo/flaky-500", "demo/echo"}
    failed, fine = trial.results
    assert (failed.success, fine.success, fine.token_count > 0) == (False, True, True)
    assert failed.error == "demo: scripted failure with status 500"
    assert trial.summary == TrialSummary(
        total_providers=2, successful=1, fastest_provider="demo", cheapest_provider="demo"
    )
    await switch_combo(engine, OPERATOR, SwitchQuery("pair", active=False))
    with pytest.raises(Conflict, match="switched off"):
        await try_combo(engine, OPERATOR, TrialQuery("pair", "x"), report)


async def test_the_best_combo_has_the_preferred_providers(engine: Engine) -> None:
    with pytest.raises(TargetsUnavailable, match="No combo is switched on"):
        await best_combo_for_task(engine, OPERATOR, ChoiceQuery("coding"))
    for provider in ("anthropic", "deepseek"):
        await create_connection(
            engine,
            OPERATOR,
            ConnectionInput(provider=provider, name=provider, api_key="sk-0123456789abcdef"),
        )
    await made(engine, "for-free", "demo/echo")
    both = await made(engine, "both", "anthropic/claude-x", "deepseek/deepseek-chat")
    await made(engine, "fast", "deepseek/deepseek-chat")
    await made(engine, "nobody-there", "anthropic/claude-x", "groq/llama-x", "gemini/gemini-x")
    choice = await best_combo_for_task(engine, OPERATOR, ChoiceQuery("coding"))
    assert (choice.recommended_combo.id, choice.recommended_combo.reason) == (
        both,
        "score 50: has anthropic, deepseek",
    )
    assert [one.name for one in choice.alternatives] == ["nobody-there", "fast", "for-free"]
    assert choice.free_alternative
    assert choice.free_alternative.name == "for-free"


async def test_who_breaks_a_constraint_comes_last(engine: Engine) -> None:
    await made(engine, "fast-demo", "demo/echo")
    await made(engine, "other", "demo/echo")
    await ask(engine, "fast-demo")
    free = await best_combo_for_task(engine, OPERATOR, ChoiceQuery("coding"))
    assert free.recommended_combo.name == "fast-demo"
    async with engine.database._writer.begin() as connection:
        await connection.exec_driver_sql("UPDATE usage_history SET latency_ms = 5000")
    bound = await best_combo_for_task(
        engine, OPERATOR, ChoiceQuery("coding", latency_constraint=1_000)
    )
    assert bound.recommended_combo.name == "other"
    assert bound.alternatives[0].tradeoff.endswith("5000 ms a request is over the time")
