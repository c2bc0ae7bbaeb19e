"""The scored strategy: factors that are measured or absent, and all that is wired to them."""

import random
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace
from tests.omniroute.routing.test_strategies import NOW_MS, choice, names
from tests.support.builders import account, combo, quiet, snapshot

from omniroute.catalog.fitness import shipped
from omniroute.catalog.quota_report import QuotaReport, QuotaWindow
from omniroute.chat import ChatRequest, Message, Text, Tool
from omniroute.errors import BudgetExceeded
from omniroute.routing.choices import Choice, RoutingView
from omniroute.routing.live import Live
from omniroute.routing.plan import Plan, plan
from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.refusals import refusal
from omniroute.routing.resilience.health import Health, HealthView
from omniroute.routing.scoring.auto import MODE_PACKS, VARIANTS, WEIGHTS, auto, incident, weights_of
from omniroute.routing.scoring.factors import factors_of
from omniroute.routing.scoring.healing import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, SelfHealing
from omniroute.routing.scoring.intent import intent_of
from omniroute.routing.scoring.measured import Measured
from omniroute.routing.scoring.specificity import recommended_tier, specificity
from omniroute.routing.targets import (
    Asked,
    Branch,
    Exclusion,
    Healing,
    LastGood,
    Performance,
    Quota,
    RouteFacts,
    Tuning,
)

NOTHING_ASKED = Asked()


def seen(p95_ms: float, spread_ms: float = 10, success: float = 1.0) -> Performance:
    return Performance(
        samples=20,
        success_rate=success,
        avg_latency_ms=p95_ms,
        p95_latency_ms=p95_ms,
        latency_stddev_ms=spread_ms,
    )


def ran(
    *choices: Choice, tuning: Tuning | None = None, asked: Asked = NOTHING_ASKED, **branch: Any
) -> list[Choice]:
    about = {"key": "", "combo": "auto", "strategy": "auto", **branch}
    children = tuple(one.node for one in choices)
    made = Branch(children=children, tuning=tuning or Tuning(), **about)
    return auto(choices, RoutingView(random.Random(1), made, asked, NOW_MS))


FACTORS: dict[str, tuple[list[Choice], Asked, str, list[float | None]]] = {
    "health by breaker": (
        [choice("a"), choice("b", breaker="HALF_OPEN")],
        NOTHING_ASKED,
        "health",
        [1.0, 0.5],
    ),
    "quota is what is left": (
        [choice("a", quota=Quota(used=0.25)), choice("b")],
        NOTHING_ASKED,
        "quota",
        [0.75, None],
    ),
    "a plan, and the sooner its shortest window is new the better": (
        [
            choice("a", tier="pro", quota=Quota(interval_ms=15 * 86_400_000)),
            choice("b", tier="pro"),
            choice("c", quota=Quota(interval_ms=1)),
        ],
        NOTHING_ASKED,
        "tierPriority",
        [0.8 * 0.67 + 0.1, 0.67, None],
    ),
    "quota: nothing left": (
        [choice("a", quota=Quota(exhausted=True))],
        NOTHING_ASKED,
        "quota",
        [0.0],
    ),
    "cost against the dearest": (
        [choice("a", cost_micro_usd=100), choice("b", cost_micro_usd=25), choice("c")],
        NOTHING_ASKED,
        "costInv",
        [0.0, 0.75, None],
    ),
    "latency against the slowest": (
        [choice("a", performance=seen(1000)), choice("b", performance=seen(250)), choice("c")],
        NOTHING_ASKED,
        "latencyInv",
        [0.0, 0.75, None],
    ),
    "stability against the wildest": (
        [choice("a", performance=seen(1, 40)), choice("b", performance=seen(1, 10))],
        NOTHING_ASKED,
        "stability",
        [0.0, 0.75],
    ),
    "fitness as the table says": (
        [choice("a", fitness=0.9), choice("b")],
        NOTHING_ASKED,
        "taskFit",
        [0.9, None],
    ),
    "a hard request fits a dear model": (
        [choice("a", input_price=3_000_000), choice("b", input_price=0), choice("c")],
        Asked(specificity=60),
        "specificityMatch",
        [0.9, 0.2, None],
    ),
    "an easy one a free model": (
        [choice("a", input_price=3_000_000), choice("b", input_price=0)],
        Asked(specificity=5),
        "specificityMatch",
        [0.3, 0.9],
    ),
    "nearness of the price class": (
        [
            choice("a", input_price=0),
            choice("b", input_price=500_000),
            choice("c", input_price=3_000_000),
        ],
        Asked(specificity=10),
        "tierAffinity",
        [1.0, 0.7, 0.3],
    ),
    "nobody said what is asked": (
        [choice("a", input_price=0)],
        NOTHING_ASKED,
        "tierAffinity",
        [None],
    ),
}


@pytest.mark.parametrize(("choices", "asked", "name", "values"), FACTORS.values(), ids=FACTORS)
def test_a_factor(
    choices: list[Choice], asked: Asked, name: str, values: list[float | None]
) -> None:
    assert [row[name] for row in factors_of(choices, asked)] == values


@pytest.mark.parametrize("weights", [WEIGHTS, *MODE_PACKS.values()], ids=["defaults", *MODE_PACKS])
def test_weights_sum_up_to_one(weights: dict[str, float]) -> None:
    assert sum(weights.values()) == pytest.approx(1)


def test_weights_that_do_not_are_not_used() -> None:
    assert weights_of(Tuning(weights={"health": 0.5})) is WEIGHTS
    own = {"health": 0.5, "quota": 0.5}
    assert weights_of(Tuning(weights=own)) == own
    assert weights_of(Tuning(weights=own, mode_pack="cost-saver")) is MODE_PACKS["cost-saver"]


def test_what_nobody_measured_does_not_count() -> None:
    (alone,) = ran(choice("a", quota=Quota(used=0.5)))
    known = {row.name: row.value for row in alone.factors if row.value is not None}
    assert known == {"health": 1.0, "quota": 0.5}
    assert alone.score == pytest.approx((0.22 + 0.5 * 0.17) / (0.22 + 0.17))


def test_what_is_not_known_of_one_is_taken_as_the_mean_of_the_others() -> None:
    tuning = Tuning(weights={"taskFit": 1.0})
    scores = {
        one.node.key: one.score
        for one in ran(
            choice("a", fitness=0.9), choice("b", fitness=0.5), choice("c"), tuning=tuning
        )
    }
    assert scores == {"a": 0.9, "b": 0.5, "c": pytest.approx(0.7)}


CHEAP_SLOW = choice("c", cost_micro_usd=1, performance=seen(2_000), fitness=0.5)
DEAR_FAST = choice("d", cost_micro_usd=900, performance=seen(100), fitness=0.6)
BRIGHT = choice("b", cost_micro_usd=1_000, performance=seen(2_000), fitness=1.0)
PACKS = {"cost-saver": "c", "ship-fast": "d", "quality-first": "b"}


@pytest.mark.parametrize(("pack", "first"), PACKS.items(), ids=PACKS)
def test_a_mode_pack_leads_with_what_it_is_for(pack: str, first: str) -> None:
    ordered = ran(CHEAP_SLOW, DEAR_FAST, BRIGHT, tuning=Tuning(mode_pack=pack))
    assert names(ordered)[0] == first
    scores = [one.score or 0 for one in ordered]
    assert scores == sorted(scores, reverse=True)


ROUTERS: dict[str, tuple[Tuning, dict[str, Any], str]] = {
    "cost": (Tuning(router="cost"), {}, "c"),
    "latency": (Tuning(router="latency"), {}, "d"),
    "who answered last": (
        Tuning(router="lkgp"),
        {"last_good": LastGood(provider="b", model="m", connection="x", at_ms=0)},
        "b",
    ),
    "who answered last has a bonus, not a right": (
        Tuning(router="bonus", mode_pack="cost-saver"),
        {"last_good": LastGood(provider="b", model="m", connection="x", at_ms=0)},
        "c",
    ),
    "only the pool": (Tuning(pool=("b",), mode_pack="cost-saver"), {}, "b"),
    "an empty pool is everybody": (Tuning(pool=("z",), mode_pack="cost-saver"), {}, "c"),
    "a cap": (Tuning(mode_pack="quality-first", budget_cap_micro_usd=950), {}, "d"),
    "a cap nobody keeps: the cheapest": (
        Tuning(mode_pack="quality-first", budget_cap_micro_usd=0),
        {},
        "c",
    ),
}


@pytest.mark.parametrize(("tuning", "about", "first"), ROUTERS.values(), ids=ROUTERS)
def test_who_goes_first(tuning: Tuning, about: dict[str, Any], first: str) -> None:
    ordered = ran(CHEAP_SLOW, DEAR_FAST, BRIGHT, tuning=tuning, **about)
    assert names(ordered)[0] == first
    assert sorted(names(ordered)) == ["b", "c", "d"]


def test_tools_need_models_that_can_call_them() -> None:
    mute = choice("a", fitness=1.0, tools=False)
    ordered = ran(mute, choice("b", fitness=0.1), asked=Asked(tools=1))
    assert names(ordered) == "ba"
    assert names(ran(mute, asked=Asked(tools=1))) == "a"


HEALED: dict[str, tuple[dict[str, Any], str]] = {
    "in its pause": ({"healing": Healing(since_ms=NOW_MS, pause_ms=1, reason="x")}, "ba"),
    "half open: a probe": (
        {"healing": Healing(since_ms=NOW_MS, pause_ms=1, reason="x"), "breaker": "HALF_OPEN"},
        "ab",
    ),
    "its pause is over and it scores well": (
        {"healing": Healing(since_ms=NOW_MS - 1, pause_ms=1, reason="x")},
        "ab",
    ),
}


@pytest.mark.parametrize(("about", "order"), HEALED.values(), ids=HEALED)
def test_self_healing_keeps_back(about: dict[str, Any], order: str) -> None:
    tuning = Tuning(weights={"taskFit": 1.0})
    ordered = ran(choice("a", fitness=1.0, **about), choice("b", fitness=0.4), tuning=tuning)
    assert names(ordered) == order


def test_a_provider_in_the_dead_band_stays_out() -> None:
    over = Healing(since_ms=0, pause_ms=1, reason="x")
    tuning = Tuning(weights={"taskFit": 1.0})
    low = choice("a", fitness=0.25, healing=over)
    assert names(ran(low, choice("b", fitness=0.24), tuning=tuning)) == "ba"
    back = choice("a", fitness=0.3, healing=over)
    assert names(ran(back, choice("b", fitness=0.24), tuning=tuning)) == "ab"


def firsts(exploration: float, *, down: int) -> Counter[str]:
    """Who goes first how often, with `down` broken providers in the pool."""
    broken = tuple(choice(name, breaker="OPEN").node for name in "xyz"[:down])
    pool = [choice("a", fitness=1.0), choice("b", fitness=0.1)]
    made = Branch(
        key="",
        combo="auto",
        strategy="auto",
        children=(*(one.node for one in pool), *broken),
        tuning=Tuning(exploration=exploration),
    )
    return Counter(
        auto(pool, RoutingView(random.Random(seed), made, NOTHING_ASKED, NOW_MS))[0].node.key
        for seed in range(2_000)
    )


def test_one_request_in_ten_explores() -> None:
    found = firsts(0.1, down=0)
    # Half of the explorations draw the best anyway.
    assert abs(found["b"] / 2_000 - 0.05) < 4 * (0.05 * 0.95 / 2_000) ** 0.5


def test_nobody_explores_during_an_incident() -> None:
    assert firsts(1.0, down=3) == {"a": 2_000}
    assert firsts(1.0, down=2)["b"] > 0


def test_an_incident_is_more_than_half_of_the_providers() -> None:
    def pool(*states: str) -> Branch:
        children = tuple(choice(f"p{at}", breaker=state).node for at, state in enumerate(states))
        return Branch(key="", combo="c", strategy="auto", children=children)

    assert incident(pool("OPEN", "OPEN", "CLOSED"))
    assert not incident(pool("OPEN", "CLOSED"))


def test_pauses_double_and_probes_end_them() -> None:
    clock = [0]
    healing = SelfHealing(lambda: clock[0])
    pauses = []
    for _ in range(5):
        healing.exclude("p", "low score")
        found = healing.of("p")
        assert found is not None
        healing.exclude("p", "again, in its pause: nothing changes")
        assert healing.of("p") == found
        pauses.append(found.pause_ms)
        clock[0] += found.pause_ms
    assert pauses == [
        FIRST_PAUSE_MS,
        2 * FIRST_PAUSE_MS,
        4 * FIRST_PAUSE_MS,
        LONGEST_PAUSE_MS,
        LONGEST_PAUSE_MS,
    ]
    for _ in range(3):
        assert healing.of("p") is not None
        healing.outcome("p", ok=True)
    assert healing.of("p") is None


WORLD = snapshot(
    accounts=[
        account("openai", "o", default_model="gpt-4o-mini"),
        account("anthropic", "c", default_model="claude-sonnet-4-5"),
        account("groq", "g", default_model="unknown-model"),
    ],
    combos=[
        combo(
            "capped",
            "openai/gpt-4o-mini",
            "anthropic/claude-sonnet-4-5",
            strategy="auto",
            config={"budgetCap": 0.000001, "budgetCapHard": True},
        )
    ],
)


def asked(model: str, text: str = "hi", measured: Measured | None = None, seed: int = 5) -> Plan:
    request = ChatRequest(
        model=model, messages=(Message("user", (Text(text),)),), max_output_tokens=100
    )
    world = quiet(HealthView(NOW_MS), **({"measured": measured} if measured else {}))
    return plan(RouteFacts(model=model), WORLD, world, seed, request)


def test_every_variant_weighs_as_it_says() -> None:
    cheap, smart = asked("auto/cheap"), asked("auto/smart", "Refactor this function: ```x```")
    assert cheap.candidates[0].provider == "openai"
    assert smart.candidates[0].provider == "anthropic"
    assert cheap.combo == "auto/cheap"
    assert set(VARIANTS) >= {"coding", "fast", "cheap", "offline", "smart", "lkgp"}


def test_the_plan_records_what_it_weighed() -> None:
    made = asked("auto", "Write a function that sorts a list")
    first = made.candidates[0]
    assert first.score is not None
    assert {row.name for row in first.factors} == set(WEIGHTS)
    assert made.survey.facts.asked.task == "coding"
    assert made.survey.facts.asked.output_tokens == 100
    absent = {row.name for row in first.factors if row.value is None}
    assert {"latencyInv", "stability", "quota", "tierPriority"} <= absent


def test_plan_and_option_say_what_kind_of_account_it_is() -> None:
    world = snapshot(
        accounts=[
            account("groq", "told", default_model="m", options={"tier": "ultra"}),
            account("openrouter", "known", default_model="m"),
        ]
    )
    quotas = Quotas(lambda: NOW_MS)
    quotas.report("known", QuotaReport(plan="pro", windows={"monthly": QuotaWindow(left=0.5)}))
    seen = quiet(HealthView(NOW_MS), quotas=quotas)
    made = plan(RouteFacts(model="auto"), world, seen, 5)
    found = {
        row.connection: factor.value
        for row in made.candidates
        for factor in row.factors
        if factor.name == "tierPriority"
    }
    assert found == {"told": 1.0, "known": pytest.approx(0.8 * 0.67)}


def test_a_measured_delay_makes_a_difference() -> None:
    measured = Measured(lambda: NOW_MS)
    for _ in range(5):
        measured.note("openai", "gpt-4o-mini", ok=True, latency_ms=9_000)
        measured.note("anthropic", "claude-sonnet-4-5", ok=True, latency_ms=100)
    assert asked("auto/fast", measured=measured).candidates[0].provider == "anthropic"


def test_a_hard_cap_refuses_what_is_too_dear() -> None:
    made = asked("capped")
    assert made.candidates == ()
    error = refusal(made, WORLD)
    assert (type(error), error.code) == (BudgetExceeded, "budget_cap_exceeded")


def test_real_plans_feed_self_healing() -> None:
    clock = [NOW_MS]
    live = Live.fresh(lambda: clock[0], Health(lambda: clock[0]))
    made = plan(RouteFacts(model="auto"), WORLD, live.world(), 1)
    scores = {"openai": 0.1, "anthropic": 0.5, "groq": 0.25}

    def scored(**better: float) -> Plan:
        rows = [replace(row, score={**scores, **better}[row.provider]) for row in made.candidates]
        return replace(made, candidates=tuple(rows))

    live.chosen(scored())
    assert list(live.healing.all()) == ["openai"]
    live.chosen(scored(openai=0.9))
    assert list(live.healing.all()) == ["openai"], "its pause is not over"
    clock[0] += FIRST_PAUSE_MS
    live.chosen(scored(openai=0.25))
    assert list(live.healing.all()) == ["openai"], "not good enough to come back"
    live.chosen(scored(openai=0.3))
    assert list(live.healing.all()) == []
    excluded = Exclusion(provider="groq", model="m", connection="g", reason="provider_circuit_open")
    live.chosen(replace(scored(openai=0.9), excluded=(excluded,)))
    assert list(live.healing.all()) == ["groq"]


SPECIFIC: dict[str, tuple[str, str]] = {
    "small talk": ("hello there", "free"),
    "code with reasons": (
        "Compare these because step by step\n" + "```python\ndef f(): return\n```\n" * 3,
        "cheap",
    ),
}


@pytest.mark.parametrize(("text", "tier"), SPECIFIC.values(), ids=SPECIFIC)
def test_demanding_requests_ask_for_better_models(text: str, tier: str) -> None:
    request = ChatRequest(model="m", messages=(Message("user", (Text(text),)),))
    assert recommended_tier(specificity(request, len(text) // 4)) == tier


def test_length_and_tools_count() -> None:
    plain = ChatRequest(model="m", messages=(Message("user", (Text("hi"),)),))
    armed = ChatRequest(model="m", messages=plain.messages, tools=(Tool("t"),) * 21)
    assert specificity(armed, 100_000) - specificity(plain, 10) == 25


INTENTS = {
    "code marks": ("```\nx\n```", "code"),
    "code in German": ("Bitte programmieren", "code"),
    "code in Chinese": ("请帮我调试这个", "code"),
    "code in Russian": ("напиши функцию", "code"),
    "reasoning": ("Analyze the causes of the war", "reasoning"),
    "reasoning in French": ("Veux-tu comparer ces deux idées", "reasoning"),
    "reasoning in Japanese": ("これらを比較してください", "reasoning"),
    "simple in Spanish": ("hola, ¿qué es un gato?", "simple"),
    "simple, but long": ("what is " + "word " * 80, "medium"),
    "neither": ("Paint me a picture of spring", "medium"),
    "a word inside a word": ("the barcodes were unimplemented", "medium"),
}


@pytest.mark.parametrize(("text", "intent"), INTENTS.values(), ids=INTENTS)
def test_intent(text: str, intent: str) -> None:
    request = ChatRequest(model="m", messages=(Message("user", (Text(text),)),))
    assert intent_of(request, 60) == intent


FITNESS = {
    "the longest name wins": ("gpt-4o-mini-2024", "coding", 0.80),
    "the shorter name elsewhere": ("gpt-4o-2024", "coding", 0.90),
    "another task falls back": ("claude-sonnet-4-5", "default", 0.85),
    "a task the row does not know": ("gpt-4-turbo", "analysis", None),
    "an unknown model": ("nobody-1", "coding", None),
}


@pytest.mark.parametrize(("model", "task", "score"), FITNESS.values(), ids=FITNESS)
def test_fitness(model: str, task: str, score: float | None) -> None:
    assert shipped().score(model, task) == score
