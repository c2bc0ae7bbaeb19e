"""The built skills over a real engine: what they say, and what they say about it."""

from typing import Any

import pytest

from omniroute.caller import Caller
from omniroute.chat import Message, Text
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError, UnknownModel, ValidationFailed
from omniroute.operations.accounts.connections import ConnectionInput, create_connection
from omniroute.operations.combos.combos import ComboInput, create_combo
from omniroute.operations.money.budgets import ScopeBudgetInput, set_budget
from omniroute.operations.routing.routes import ExplainQuery, explain_route
from omniroute.routing.resilience.health import BREAKER_RESET_MS, Breaker, Cooldown, Lockout
from omniroute.skills.skill import InputRequired, Skill, SkillReply, SkillRequest
from omniroute_agents import SKILLS

pytestmark = pytest.mark.anyio

OPERATOR = Caller(door="a2a", is_operator=True)


def request(text: str = "one two three", **options: Any) -> SkillRequest:
    messages = (Message("user", (Text(text),)),)
    return SkillRequest("task-1", Caller(door="a2a", key_id="k"), messages, options)


async def ask(
    engine: Engine, skill: Skill[Engine], asked: SkillRequest
) -> tuple[SkillReply, list[str]]:
    """The reply, and the pieces it was emitted in."""
    emitted: list[str] = []

    async def emit(piece: str) -> None:
        emitted.append(piece)

    return await skill.run(engine, asked, emit), emitted


def test_every_skill_is_described_once() -> None:
    assert list(SKILLS) == [skill.id for skill in SKILLS.values()]
    poor = [
        one.id for one in SKILLS.values() if not (one.description and one.tags and one.examples)
    ]
    assert poor == []


LIMITS_S = {
    "smart-routing": 30,
    "quota-management": 10,
    "provider-discovery": 10,
    "cost-analysis": 15,
    "health-report": 10,
}


def test_every_skill_has_its_time_limit() -> None:
    assert {name: skill.time_limit_s for name, skill in SKILLS.items()} == LIMITS_S


async def test_smart_routing_answers_in_pieces_and_says_why(engine: Engine) -> None:
    reply, emitted = await ask(engine, SKILLS["smart-routing"], request(model="demo/echo"))
    assert (reply.text, emitted) == ("one two three", ["one ", "two ", "three"])
    shown = reply.metadata
    assert shown["routing_explanation"].startswith(
        "demo/echo on account 'Built-in demo' (target 1 by strategy priority; attempt 1, 1 planned)"
    )
    assert shown["cost_envelope"] == {"estimated": 0.0, "actual": 0.0, "currency": "USD"}
    assert shown["policy_verdict"] == {"allowed": True, "reason": "within budget"}
    assert (shown["provider"], shown["model"]) == ("demo", "echo")
    assert engine.ledger.open_reservations == 0


async def test_smart_routing_asks_auto_when_nobody_says_what(engine: Engine) -> None:
    reply, _ = await ask(engine, SKILLS["smart-routing"], request())
    assert (reply.text, reply.metadata["provider"]) == ("one two three", "demo")


async def test_smart_routing_goes_by_the_role(engine: Engine) -> None:
    reply, _ = await ask(engine, SKILLS["smart-routing"], request(model="demo/echo", role="review"))
    found = await explain_route(
        engine, OPERATOR, ExplainQuery(request_id=reply.metadata["request_id"])
    )
    assert found.trace is not None
    assert found.trace.plan is not None
    assert found.trace.plan.survey.facts.asked.task == "review"


async def test_smart_routing_tells_of_fallbacks(engine: Engine) -> None:
    combo = ComboInput(name="both", models=["demo/flaky-500", "demo/echo"])
    await create_combo(engine, OPERATOR, combo)
    reply, _ = await ask(engine, SKILLS["smart-routing"], request(combo="both", model="ignored"))
    events = [(row["event"], row["provider"]) for row in reply.metadata["resilience_trace"]]
    assert events == [("fallback_needed", "demo"), ("fallback_selected", "demo")]


REFUSED: dict[str, tuple[dict[str, Any], type[OmniRouteError]]] = {
    "an unknown model": ({"model": "nobody/x"}, UnknownModel),
    "a budget of nothing": ({"budget": 0}, ValidationFailed),
    "a budget beyond all bounds": ({"budget": 1e308}, ValidationFailed),
    "a budget that is no number": ({"budget": "much"}, ValidationFailed),
    "a role nobody has": ({"role": "dancing"}, ValidationFailed),
    "a model that is no text": ({"model": 5}, ValidationFailed),
    "a scripted failure": ({"model": "demo/flaky-500"}, OmniRouteError),
    "a stream that is cut": ({"model": "demo/cut-after-2"}, OmniRouteError),
    "an error inside the stream": ({"model": "demo/error-after-1"}, OmniRouteError),
}


@pytest.mark.parametrize(("options", "kind"), REFUSED.values(), ids=REFUSED)
async def test_smart_routing_fails_as_its_caller_may_see(
    engine: Engine, options: dict[str, Any], kind: type[OmniRouteError]
) -> None:
    with pytest.raises(kind):
        await ask(engine, SKILLS["smart-routing"], request(**options))
    assert (engine.ledger.open_reservations, engine.ledger.reserved_micro_usd) == (0, 0)


async def test_smart_routing_asks_before_it_spends_more(engine: Engine) -> None:
    await create_connection(
        engine, OPERATOR, ConnectionInput(provider="openai", name="a", api_key="sk-test")
    )
    tight = request("x" * 100_000, model="openai/gpt-4o", budget=0.000001)
    with pytest.raises(InputRequired, match="Answer with a higher metadata") as asked:
        await ask(engine, SKILLS["smart-routing"], tight)
    facts = asked.value.facts
    assert facts["needed_usd"] > facts["limit_usd"] == 0.000001
    assert (facts["spent_usd"], asked.value.approves) == (0.0, {"budget": None})


async def test_smart_routing_asks_when_a_limit_of_the_gateway_is_reached(engine: Engine) -> None:
    await create_connection(
        engine, OPERATOR, ConnectionInput(provider="openai", name="a", api_key="sk-test")
    )
    limit = ScopeBudgetInput(scope="key", scope_id="k", daily_limit_usd=0.000001)
    await set_budget(engine, OPERATOR, limit)
    with pytest.raises(InputRequired, match="answer 'yes' to try again") as asked:
        await ask(engine, SKILLS["smart-routing"], request("x" * 9_000, model="openai/gpt-4o"))
    assert (asked.value.facts["scope"], asked.value.facts["limit_usd"]) == ("key", 0.000001)
    assert asked.value.approves == {}


async def test_metadata_of_others_is_not_read(engine: Engine) -> None:
    asked = request(model="demo/echo", unknown=object())
    reply, _ = await ask(engine, SKILLS["smart-routing"], asked)
    assert reply.text == "one two three"


async def test_health_report_of_a_sound_gateway(engine: Engine) -> None:
    reply, emitted = await ask(engine, SKILLS["health-report"], request())
    assert emitted == [reply.text]
    assert reply.text.startswith("The gateway is healthy (version ")
    assert reply.text.endswith("No provider is failing and no account is cooling down.")
    shown = reply.metadata
    assert (shown["status"], shown["degradedProviders"], shown["lockoutCount"]) == (
        "healthy",
        [],
        0,
    )
    assert shown["activeRateLimits"] == []
    assert (shown["telemetry"]["count"], shown["telemetry"]["providers"]) == (0, {})
    assert shown["providerSummary"] == {"total": 1, "healthy": 1, "degradedCount": 0}


async def test_health_report_names_what_is_failing(engine: Engine) -> None:
    now_ms = engine.now_ms()
    engine.health._breakers = {"openai": Breaker(failures=12, last_failure_ms=now_ms, tripped=True)}
    engine.health._cooldowns = {
        "a": Cooldown(
            until_ms=now_ms + 60_000, level=1, reason="rate_limited", message="", status=429
        )
    }
    engine.health._lockouts = {
        ("openai", "a", "gpt-4o"): Lockout(
            until_ms=now_ms + 60_000, failures=1, reason="model_capacity"
        )
    }
    reply, _ = await ask(engine, SKILLS["health-report"], request())
    assert "The gateway is degraded" in reply.text
    assert "openai is OPEN after 12 failures, next try in " in reply.text
    assert "1 models are left alone for now." in reply.text
    assert reply.text.endswith("1 accounts are cooling down.")
    assert (reply.metadata["status"], reply.metadata["lockoutCount"]) == ("degraded", 1)
    (row,) = reply.metadata["degradedProviders"]
    assert (row["provider"], row["state"], row["failures"]) == ("openai", "OPEN", 12)
    assert 0 < row["retryAfterMs"] <= BREAKER_RESET_MS
