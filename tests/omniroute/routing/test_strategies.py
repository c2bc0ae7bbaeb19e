"""Every strategy: a table of orders, and how often each target comes first over many requests."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import account, combo, node, quiet, reference, snapshot

from omniroute.routing.choices import Choice, Placed, RoutingView
from omniroute.routing.plan import plan
from omniroute.routing.resilience.health import Cooldown, HealthView
from omniroute.routing.strategies import STRATEGIES
from omniroute.routing.targets import (
    Asked,
    Branch,
    LastGood,
    Leaf,
    Performance,
    Quota,
    RouteFacts,
    SeenAccount,
    Tuning,
)
from omniroute.routing.turns.rotation import Rotation

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
DRAWS = 4_000


def choice(
    name: str, *, quota: Quota | None = None, tier: str | None = None, **leaf: Any
) -> Choice:
    """A target called `name`, at a provider of that name."""
    seen = SeenAccount(id=f"{name}-account", priority=1, quota=quota, tier=tier)
    found = Leaf(key=name, provider=name, model="m", accounts=(seen,), **leaf)
    return Choice(node=found, placed=(Placed(leaf=found, accounts=(seen,)),))


NOTHING_ASKED = Asked()


def view(seed: int = 1, asked: Asked = NOTHING_ASKED, **branch: Any) -> RoutingView:
    about = {"key": "", "combo": "c", "strategy": "x", **branch}
    return RoutingView(random.Random(seed), Branch(**about), asked, NOW_MS)


def names(choices: Sequence[Choice]) -> str:
    return "".join(one.node.key for one in choices)


def ran(strategy: str, choices: Sequence[Choice], seen: RoutingView) -> str:
    ordered = STRATEGIES[strategy].order(choices, seen)
    assert sorted(names(ordered)) == sorted(names(choices)), "nothing is lost or doubled"
    return names(ordered)


A, B, C = choice("a"), choice("b"), choice("c")
SEEN = Performance(samples=10, success_rate=1.0, avg_latency_ms=90)
POOR = Performance(samples=10, success_rate=0.2, avg_latency_ms=90)


def quota(used: float, hours: float = 2.5) -> Quota:
    """Both windows used alike; the short one starts afresh in `hours`."""
    reset = NOW_MS + int(hours * HOUR_MS)
    return Quota(
        used=used, used_5h=used, used_7d=used, reset_5h_ms=reset, reset_7d_ms=NOW_MS + 84 * HOUR_MS
    )


ORDERS: dict[str, tuple[str, list[Choice], RoutingView, str]] = {
    "priority keeps the list": ("priority", [B, A, C], view(), "bac"),
    "fill-first keeps the list": ("fill-first", [B, A, C], view(), "bac"),
    "fill-first: an exhausted quota comes last": (
        "fill-first",
        [choice("a", quota=Quota(exhausted=True)), B],
        view(),
        "ba",
    ),
    "context-relay keeps the list": ("context-relay", [B, A], view(), "ba"),
    "weighted: a weight of nothing is never drawn": (
        "weighted",
        [choice("a"), choice("b", weight=5), choice("c", weight=0)],
        view(),
        "bac",
    ),
    "weighted: the rest by weight": (
        "weighted",
        [choice("a", weight=1), choice("b", weight=2), choice("c", weight=1e9)],
        view(),
        "cba",
    ),
    "weighted: the rest as the tiers say": (
        "weighted",
        [choice("a", weight=1), choice("b", weight=2), choice("c", weight=1e9)],
        view(tuning=Tuning(tiered=True)),
        "cab",
    ),
    "round-robin: the first turn": ("round-robin", [A, B, C], view(turn=0), "abc"),
    "round-robin: a later turn": ("round-robin", [A, B, C], view(turn=5), "cab"),
    "p2c: the better of two": (
        "p2c",
        [choice("a", performance=POOR), choice("b", performance=SEEN)],
        view(),
        "ba",
    ),
    "p2c: a half-open breaker counts against": (
        "p2c",
        [choice("a", performance=SEEN, breaker="HALF_OPEN"), choice("b", performance=SEEN)],
        view(),
        "ba",
    ),
    "p2c: one alone": ("p2c", [A], view(), "a"),
    "least-used: seldom asked first, never asked before that": (
        "least-used",
        [choice("a", requests=3), choice("b", requests=1), choice("c")],
        view(),
        "cba",
    ),
    "least-used: equals keep the list": ("least-used", [B, A], view(), "ba"),
    "cost-optimized: cheapest first, unknown last": (
        "cost-optimized",
        [choice("a"), choice("b", input_price=3_000_000), choice("c", input_price=0)],
        view(),
        "cba",
    ),
    "cost-optimized: a hard request goes to dear models": (
        "cost-optimized",
        [choice("a", input_price=0), choice("b", input_price=3_000_000)],
        view(asked=Asked(specificity=80), tuning=Tuning(manifest=True)),
        "ba",
    ),
    "cost-optimized: an easy one does not": (
        "cost-optimized",
        [choice("b", input_price=3_000_000), choice("a", input_price=0)],
        view(asked=Asked(specificity=10), tuning=Tuning(manifest=True)),
        "ab",
    ),
    "context-optimized: largest window first": (
        "context-optimized",
        [choice("a", context_tokens=8_000), B, choice("c", context_tokens=200_000)],
        view(),
        "cab",
    ),
    "context-optimized: nothing known, nothing changed": (
        "context-optimized",
        [B, A],
        view(),
        "ba",
    ),
    "reset-aware: what is about to be given anew": (
        "reset-aware",
        [choice("a", quota=quota(0.5, hours=4.9)), choice("b", quota=quota(0.5, hours=0.1))],
        view(),
        "ba",
    ),
    "reset-aware: an exhausted quota comes last": (
        "reset-aware",
        [choice("a", quota=Quota(exhausted=True)), B],
        view(),
        "ba",
    ),
    "reset-aware: nearly empty is spared": (
        "reset-aware",
        [choice("a", quota=quota(0.97, hours=0.1)), choice("b", quota=quota(0.5, hours=4.9))],
        view(),
        "ba",
    ),
    "reset-aware: near-equals take turns": ("reset-aware", [A, B, C], view(turn=1), "bca"),
    "lkgp: who answered last": (
        "lkgp",
        [A, B, C],
        view(last_good=LastGood(provider="c", model="m", connection="c-account", at_ms=0)),
        "cab",
    ),
    "lkgp: at least the same provider": (
        "lkgp",
        [A, B],
        view(last_good=LastGood(provider="b", model="m", connection="gone", at_ms=0)),
        "ba",
    ),
    "lkgp: nobody yet": ("lkgp", [B, A], view(), "ba"),
    "lkgp: gone from the list": (
        "lkgp",
        [B, A],
        view(last_good=LastGood(provider="z", model="m", connection="z", at_ms=0)),
        "ba",
    ),
}


@pytest.mark.parametrize(("strategy", "choices", "seen", "expected"), ORDERS.values(), ids=ORDERS)
def test_order(strategy: str, choices: list[Choice], seen: RoutingView, expected: str) -> None:
    assert ran(strategy, choices, seen) == expected


def first_of_many(
    strategy: str, choices: list[Choice], about: Callable[[int], RoutingView]
) -> Counter[str]:
    """How often each target is tried first."""
    return Counter(ran(strategy, choices, about(number))[0] for number in range(DRAWS))


def turning(number: int) -> RoutingView:
    """The request that takes this turn; draws differ from request to request."""
    return view(seed=number, turn=number)


WEIGHTED = [choice("a", weight=70), choice("b", weight=20), choice("c", weight=10)]
RATED = [choice("a", performance=SEEN), choice("b", performance=POOR), choice("c")]
SHARES: dict[str, tuple[str, list[Choice], dict[str, float]]] = {
    "weighted follows the weights": ("weighted", WEIGHTED, {"a": 0.7, "b": 0.2, "c": 0.1}),
    "weighted without weights is even": (
        "weighted",
        [A, B, C],
        {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3},
    ),
    "random is even": ("random", [A, B, C], {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
    "round-robin is exact": ("round-robin", [A, B, C], {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
    "strict-random is exact": ("strict-random", [A, B, C], {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
    "strict-random of two is exact": ("strict-random", [A, B], {"a": 1 / 2, "b": 1 / 2}),
    # Of two out of three the better one leads: the best in 2 of 3 pairs, the worst in none.
    "p2c prefers the better": ("p2c", RATED, {"a": 2 / 3, "b": 0.0, "c": 1 / 3}),
    "reset-aware turns among equals": ("reset-aware", [A, B], {"a": 1 / 2, "b": 1 / 2}),
    "priority always leads with its first": ("priority", [A, B], {"a": 1.0, "b": 0.0}),
}


@pytest.mark.parametrize(("strategy", "choices", "shares"), SHARES.values(), ids=SHARES)
def test_distribution(strategy: str, choices: list[Choice], shares: dict[str, float]) -> None:
    firsts = first_of_many(strategy, choices, turning)
    for name, share in shares.items():
        # Four standard deviations of a fair draw; exact ones are off by a card at most.
        slack = 4 * (share * (1 - share) / DRAWS) ** 0.5 + 1 / DRAWS
        assert abs(firsts[name] / DRAWS - share) <= slack, (name, firsts)


@given(st.integers(2, 7), st.integers(0, 500), st.text("xyz", max_size=4))
def test_a_deck_deals_each_once_a_cycle_and_never_twice_in_a_row(
    size: int, cycle: int, name: str
) -> None:
    choices = [choice(letter) for letter in "abcdefg"[:size]]
    dealt = [
        ran("strict-random", choices, view(turn=turn, combo=name))[0]
        for turn in range(cycle * size, (cycle + 2) * size)
    ]
    assert sorted(dealt[:size]) == sorted(dealt[size:]) == sorted(names(choices))
    assert all(one != other for one, other in pairwise(dealt))


def test_decks_differ_from_cycle_to_cycle() -> None:
    orders = {
        "".join(ran("strict-random", [A, B, C], view(turn=turn))[0] for turn in range(at, at + 3))
        for at in range(0, 90, 3)
    }
    assert len(orders) == 6


@given(
    st.sampled_from(sorted(STRATEGIES)), st.integers(1, 6), st.integers(0, 9), st.integers(0, 99)
)
def test_every_strategy_keeps_every_choice_and_repeats_itself(
    strategy: str, size: int, turn: int, seed: int
) -> None:
    choices = [choice(letter) for letter in "abcdef"[:size]]
    first = ran(strategy, choices, view(seed, turn=turn))
    assert ran(strategy, choices, view(seed, turn=turn)) == first


NESTED = snapshot(
    nodes=[node("one"), node("two")],
    accounts=[account("one-one", "a"), account("two-two", "b")],
    combos=[
        combo("turns", "one/x", "one/y", strategy="round-robin"),
        combo("outer", reference("turns"), "two/z"),
        combo("flat", reference("turns"), "two/z", config={"nestedMode": "flatten"}),
        combo(
            "cheapest",
            reference("paid"),
            "demo/echo",
            strategy="cost-optimized",
        ),
        combo("paid", "one/x"),
    ],
)


def planned(model: str, turns: int = 0) -> list[str]:
    rotation = Rotation()
    for _ in range(turns):
        rotation.advance("turns")
    world = quiet(HealthView(NOW_MS), rotation=rotation)
    made = plan(RouteFacts(model=model), NESTED, world, seed=3)
    return [row.model for row in made.candidates]


def test_the_strategy_of_a_nested_combo_counts() -> None:
    assert planned("outer", turns=0) == ["x", "y", "z"]
    assert planned("outer", turns=1) == ["y", "x", "z"]


def test_a_flattened_combo_only_gives_its_steps() -> None:
    assert planned("flat", turns=1) == ["x", "y", "z"]


def test_a_nested_combo_is_judged_by_what_it_would_try_first() -> None:
    assert planned("cheapest") == ["echo", "x"]


def test_the_turn_of_a_target_that_is_down_is_shared_by_the_others() -> None:
    world = snapshot(
        nodes=[node("one"), node("two"), node("three")],
        accounts=[account(f"{name}-{name}", name) for name in ("one", "two", "three")],
        combos=[combo("turns", "one/x", "two/y", "three/z", strategy="round-robin")],
    )
    cooling = Cooldown(until_ms=NOW_MS + 1, level=1, reason="x", message="", status=500)
    rotation = Rotation()
    firsts = []
    for _ in range(4):
        health = HealthView(NOW_MS, cooldowns={"one": cooling})
        made = plan(RouteFacts(model="turns"), world, quiet(health, rotation=rotation), seed=3)
        firsts.append(made.candidates[0].model)
        rotation.advance("turns")
    assert firsts == ["y", "z", "y", "z"]
