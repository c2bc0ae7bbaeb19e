"""Why a request goes where it goes: before, from the plan, and after, from the record."""

import re

import pytest

from omniroute.caller import Caller
from omniroute.chat import ChatRequest, Message, Text
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound, OmniRouteError
from omniroute.operations.accounts.connections import ConnectionInput, create_connection
from omniroute.operations.chats import chat
from omniroute.operations.combos.combos import ComboInput, create_combo
from omniroute.operations.routing.routes import (
    Decision,
    ExplainQuery,
    Explanation,
    Fallback,
    explain_route,
)
from omniroute.operations.routing.simulation import FallbackTree, SimulateQuery, simulate_route
from omniroute.pipeline.exchange import ChatCall

pytestmark = pytest.mark.anyio

OPERATOR = Caller(door="http", is_operator=True)
MINE, OTHER, NOBODY = (
    Caller(door="http", key_id="mine"),
    Caller(door="http", key_id="other"),
    Caller(door="http"),
)


def call(model: str, caller: Caller, request_id: str) -> ChatCall:
    messages = (Message("user", (Text("one two"),)),)
    return ChatCall(request_id, caller, ChatRequest(model=model, messages=messages))


VISIBLE = {
    "its own key": (MINE, MINE, True),
    "another key": (MINE, OTHER, False),
    "no key": (MINE, NOBODY, False),
    "an operator": (MINE, OPERATOR, True),
    "anonymous and anonymous": (NOBODY, NOBODY, True),
    "a key and an anonymous request": (NOBODY, MINE, False),
}


@pytest.mark.parametrize(("author", "reader", "visible"), VISIBLE.values(), ids=VISIBLE)
async def test_a_decision_is_shown_to_its_author_and_to_operators(
    engine: Engine, author: Caller, reader: Caller, visible: bool
) -> None:
    await chat.complete(engine, call("demo/echo", author, "request-1"))
    found = await explain_route(engine, reader, ExplainQuery("request-1"))
    unknown = await explain_route(engine, reader, ExplainQuery("request-2"))
    if visible:
        assert (found.decision.model_used, found.note) == ("echo", None)
    else:
        # What is hidden looks exactly like what does not exist.
        assert found == Explanation(
            "request-1", unknown.decision, text=unknown.text, note=unknown.note
        )


async def test_a_decision_tells_the_whole_way(engine: Engine) -> None:
    await create_combo(
        engine, OPERATOR, ComboInput(name="both", models=["demo/flaky-503", "demo/echo"])
    )
    await chat.complete(engine, call("both", MINE, "request-1"))
    found = await explain_route(engine, MINE, ExplainQuery("request-1"))
    latency_ms = found.decision.latency_actual
    assert found.decision == Decision(
        combo_used="both",
        provider_selected="demo",
        model_used="echo",
        score=0,
        factors=(),
        fallbacks_triggered=(Fallback("demo", "server_error"),),
        cost_actual=0,
        latency_actual=latency_ms,
    )
    told = re.sub(r"\d+ ms", "0 ms", found.text).split("\n")
    assert told == [
        "both was asked for through http.",
        "Planned by priority over combo both: 2 candidates, 0 left out.",
        "Attempt 1: demo/flaky-503 on 'Built-in demo', because: target 1 by strategy priority.",
        "It failed with 503 (server_error: scripted failure with status 503); then: next-account.",
        "Attempt 2: demo/echo on 'Built-in demo', because: target 2 by strategy priority.",
        "It answered (0 ms), 2 tokens in, 2 out ($0 and $0 per million).",
        "Outcome: completed after 0 ms, 2 tokens in, 2 out, cost $0.000000.",
    ]


async def test_a_failure_is_explained_too(engine: Engine) -> None:
    with pytest.raises(OmniRouteError) as failed:
        await chat.complete(engine, call("demo/flaky-500", MINE, "request-1"))
    found = await explain_route(engine, MINE, ExplainQuery("request-1"))
    assert found.trace is not None
    assert (found.trace.outcome, found.trace.status) == ("failed", 500)
    assert found.text.endswith(f"Told the caller: {failed.value}")


async def test_a_refusal_has_no_plan(engine: Engine) -> None:
    with pytest.raises(InvalidRequest):
        await chat.complete(engine, call("nobody/x", MINE, "request-1"))
    found = await explain_route(engine, MINE, ExplainQuery("request-1"))
    assert found.trace is not None
    assert (found.trace.plan, found.trace.outcome, found.trace.status) == (None, "refused", 0)
    assert found.decision.provider_selected == "none"


async def test_a_simulation_prices_its_steps_in_order(engine: Engine) -> None:
    account = ConnectionInput(provider="openai", name="main", api_key="sk-0123456789abcdef")
    await create_connection(engine, OPERATOR, account)
    await create_combo(
        engine, OPERATOR, ComboInput(name="both", models=["openai/gpt-4o-mini", "demo/echo"])
    )
    found = await simulate_route(engine, OPERATOR, SimulateQuery("both", 1_000_000))
    steps = [(row.provider, row.probability, row.estimated_cost) for row in found.simulated_path]
    assert steps == [("openai", 1.0, 0.15), ("demo", 0.0, 0.0)]
    assert found.fallback_tree == FallbackTree(
        primary="openai/gpt-4o-mini",
        fallbacks=("demo/echo",),
        worst_case_cost=0.1692,
        best_case_cost=0.0,
    )
    assert engine.ledger.open_reservations == 0


async def test_a_combo_can_be_simulated_by_its_id(engine: Engine) -> None:
    made = await create_combo(engine, OPERATOR, ComboInput(name="c", models=["demo/echo"]))
    query = SimulateQuery("anything", 1, combo=made.id)
    assert (await simulate_route(engine, OPERATOR, query)).combo == "c"


@pytest.mark.parametrize("tokens", [-1, 1e9 + 1, 1e308, float("nan"), float("inf")])
async def test_an_estimate_out_of_range_is_refused(engine: Engine, tokens: float) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await simulate_route(engine, OPERATOR, SimulateQuery("demo/echo", tokens))
    assert refused.value.param == "promptTokenEstimate"


async def test_an_unknown_combo_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFound):
        await simulate_route(engine, OPERATOR, SimulateQuery("x", 1, combo="nobody"))
