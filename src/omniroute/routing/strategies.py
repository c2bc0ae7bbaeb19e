"""The order in which a combo's members are tried: one pure function per strategy. 05 §2.5.

Choices are never empty and can all be tried. What a strategy says in `why` ends up in the trace.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from omniroute.routing.choices import Choice, RoutingView
from omniroute.routing.scoring.auto import auto
from omniroute.routing.scoring.specificity import recommended_tier, tier_of
from omniroute.routing.targets import Leaf, Quota

Strategy: TypeAlias = Callable[[Sequence[Choice], RoutingView], list[Choice]]

Reading: TypeAlias = Literal[
    "turn",
    "price",
    "cost",
    "performance",
    "requests",
    "context",
    "quota",
    "fitness",
    "specificity",
    "last_good",
]
"""What may be looked up about a combo and its targets when a plan is made."""

FIVE_HOURS_MS = 5 * 3_600_000
SEVEN_DAYS_MS = 7 * 86_400_000


def priority(choices: Sequence[Choice], _view: RoutingView) -> list[Choice]:
    """In the order the combo lists them."""
    return list(choices)


def fill_first(choices: Sequence[Choice], _view: RoutingView) -> list[Choice]:
    """In the order the combo lists them; what has no quota left comes last."""
    return sorted(choices, key=lambda choice: _quota(choice).exhausted)


def weighted(choices: Sequence[Choice], view: RoutingView) -> list[Choice]:
    """Draw the first by weight; the others follow, heaviest first or as the tiers say."""
    total = sum(choice.node.weight for choice in choices)
    if total > 0:
        drawn = view.rng.choices(choices, [choice.node.weight for choice in choices])[0]
        why = f"drawn with weight {drawn.node.weight:g} of {total:g}"
    else:
        drawn = view.rng.choice(choices)
        why = f"drawn among {len(choices)} without weights"
    rest = [choice for choice in choices if choice is not drawn]
    if not view.branch.tuning.tiered:
        rest.sort(key=lambda choice: -choice.node.weight)
    return [replace(drawn, why=(why,)), *rest]


def round_robin(choices: Sequence[Choice], view: RoutingView) -> list[Choice]:
    """Each in turn, then the others in the same cycle."""
    start = view.branch.turn % len(choices)
    first, *rest = [*choices[start:], *choices[:start]]
    return [replace(first, why=(f"turn {start + 1} of {len(choices)}",)), *rest]


def shuffled(choices: Sequence[Choice], view: RoutingView) -> list[Choice]:
    """Any order, all equally likely."""
    return view.rng.sample(choices, len(choices))


def strict_random(choices: Sequence[Choice], view: RoutingView) -> list[Choice]:
    """Deal from a shuffled deck: each once a cycle, never the same twice in a row."""
    cycle, place = divmod(view.branch.turn, len(choices))
    dealt = _deck(choices, view, cycle)[place]
    why = f"card {place + 1} of {len(choices)} in deck {cycle + 1}"
    rest = [choice for at, choice in enumerate(choices) if at != dealt]
    return [replace(choices[dealt], why=(why,)), *rest]


def _deck(choices: Sequence[Choice], view: RoutingView, cycle: int) -> list[int]:
    """The order of one cycle: a function of the combo and the cycle, so it needs no storage."""
    size = len(choices)
    names = ",".join(choice.node.key for choice in choices)

    def shuffle(number: int) -> tuple[list[int], random.Random]:
        rng = random.Random(f"{view.branch.combo}:{names}:{number}")  # noqa: S311 - not a secret
        return rng.sample(range(size), size), rng

    if size == 2:
        return shuffle(0)[0]  # the only order in which nothing comes twice in a row
    deck, rng = shuffle(cycle)
    if cycle and size > 2 and deck[0] == shuffle(cycle - 1)[0][-1]:
        # The last card stays where it is: the next cycle is compared with it.
        other = rng.randrange(1, size - 1)
        deck[0], deck[other] = deck[other], deck[0]
    return deck


def p2c(choices: Sequence[Choice], view: RoutingView) -> list[Choice]:
    """Power of two choices: draw two, try the one that did better first.

    Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001).
    """
    drawn = view.rng.sample(choices, min(2, len(choices)))
    first = max(drawn, key=lambda choice: _standing(choice.head))
    names = " and ".join(f"{one.head.provider}/{one.head.model}" for one in drawn)
    rest = [choice for choice in choices if choice is not first]
    return [replace(first, why=(f"the better of {names}",)), *rest]


def _standing(leaf: Leaf) -> float:
    """How well a target did; the defaults for what nobody measured are the spec's (05 §2.5)."""
    if leaf.breaker == "OPEN":
        return -math.inf
    seen = leaf.performance
    success = 0.5 if seen is None else seen.success_rate
    latency_ms = None if seen is None else seen.avg_latency_ms
    speed = 0.25 if latency_ms is None else 1 / math.log10(latency_ms + 10)
    return success + speed - (0.25 if leaf.breaker == "HALF_OPEN" else 0)


def least_used(choices: Sequence[Choice], _view: RoutingView) -> list[Choice]:
    """Whoever this combo asked least often first."""
    ordered = sorted(choices, key=lambda choice: choice.head.requests or 0)
    return [
        replace(choice, why=(f"asked {choice.head.requests or 0} times",)) for choice in ordered
    ]


def cost_optimized(choices: Sequence[Choice], view: RoutingView) -> list[Choice]:
    """Cheapest input first; unknown prices last. Hard requests may ask for dear models only."""
    kept = list(choices)
    if view.branch.tuning.manifest and view.asked.specificity is not None:
        wanted = recommended_tier(view.asked.specificity)
        if wanted == "premium":
            kept = [one for one in choices if tier_of(one.head) == "premium"] or kept
    kept.sort(key=lambda choice: _price(choice.head))
    left = [choice for choice in choices if all(one.node is not choice.node for one in kept)]
    return [*(replace(choice, why=(_priced(choice.head),)) for choice in kept), *left]


def _price(leaf: Leaf) -> float:
    return math.inf if leaf.input_price is None else leaf.input_price


def _priced(leaf: Leaf) -> str:
    if leaf.input_price is None:
        return "no price known"
    return f"${leaf.input_price / 1e6:g} per million input tokens"


def context_optimized(choices: Sequence[Choice], _view: RoutingView) -> list[Choice]:
    """Largest known context window first."""
    ordered = sorted(choices, key=lambda choice: -(choice.head.context_tokens or 0))
    return [
        replace(choice, why=(f"window of {choice.head.context_tokens or 'unknown'} tokens",))
        for choice in ordered
    ]


def reset_aware(choices: Sequence[Choice], view: RoutingView) -> list[Choice]:
    """Spend first what is about to be given anew; near-equals take turns. 05 §2.5.1."""
    scored = sorted(
        ((_headroom(choice, view), choice) for choice in choices), key=lambda row: -row[0]
    )
    best = scored[0][0]
    band = [row for row in scored if row[0] >= best - view.branch.tuning.tie_band]
    start = view.branch.turn % len(band)
    ordered = [*band[start:], *band[:start], *scored[len(band) :]]
    return [
        replace(choice, why=(f"quota score {score:.3f}",), score=round(score, 6))
        for score, choice in ordered
    ]


def _headroom(choice: Choice, view: RoutingView) -> float:
    quota, tuning = choice.account.quota, view.branch.tuning
    if quota is None:
        return 0.5
    if quota.exhausted:
        return -1.0
    overall = 0.5 if quota.used is None else quota.used
    left_5h = 1 - (overall if quota.used_5h is None else quota.used_5h)
    left_7d = 1 - (overall if quota.used_7d is None else quota.used_7d)
    session = 0.55 * left_5h + 0.45 * _urgency(quota.reset_5h_ms, view.now_ms, FIVE_HOURS_MS)
    week = 0.55 * left_7d + 0.45 * _urgency(quota.reset_7d_ms, view.now_ms, SEVEN_DAYS_MS)
    both = tuning.session_weight + tuning.weekly_weight
    share = tuning.session_weight / both if both else 0.5
    score = share * session + (1 - share) * week
    if tuning.guard and left_5h < tuning.guard:
        score *= max(0.05, left_5h / tuning.guard)
    return score


def _urgency(reset_ms: int | None, now_ms: int, window_ms: int) -> float:
    """1 when the window is about to start afresh, 0 when it has just begun."""
    return 0.5 if reset_ms is None else min(1.0, max(0.0, 1 - (reset_ms - now_ms) / window_ms))


def last_known_good(choices: Sequence[Choice], view: RoutingView) -> list[Choice]:
    """Whoever answered last first: the same account, else the same provider."""
    good = view.branch.last_good
    if good is None:
        return list(choices)
    fitting = [
        choice
        for same_account in (True, False)
        for choice in choices
        if choice.head.provider == good.provider
        and (not same_account or good.connection in [row.id for row in choice.placed[0].accounts])
    ]
    if not fitting:
        return list(choices)
    first = fitting[0]
    rest = [choice for choice in choices if choice is not first]
    return [replace(first, why=("answered last",)), *rest]


def _quota(choice: Choice) -> Quota:
    return choice.account.quota or Quota()


class StrategyRow(Struct, frozen=True, kw_only=True):
    """A strategy, what it must be shown, and whether each account is a choice of its own.

    What nobody reads is not looked up: a plan costs what its strategy needs.
    """

    order: Strategy
    reads: frozenset[Reading] = frozenset()
    per_account: bool = False


def _reading(*reads: Reading) -> frozenset[Reading]:
    return frozenset(reads)


STRATEGIES: Mapping[str, StrategyRow] = {
    "priority": StrategyRow(order=priority),
    "fill-first": StrategyRow(order=fill_first, reads=_reading("quota")),
    "weighted": StrategyRow(order=weighted),
    "round-robin": StrategyRow(order=round_robin, reads=_reading("turn")),
    # Differs in what it hands over when the account changes, not in its order.
    "context-relay": StrategyRow(order=priority, reads=_reading("quota")),
    "random": StrategyRow(order=shuffled),
    "strict-random": StrategyRow(order=strict_random, reads=_reading("turn")),
    "p2c": StrategyRow(order=p2c, reads=_reading("performance")),
    "least-used": StrategyRow(order=least_used, reads=_reading("requests")),
    "cost-optimized": StrategyRow(order=cost_optimized, reads=_reading("price", "specificity")),
    "context-optimized": StrategyRow(order=context_optimized, reads=_reading("context")),
    "reset-aware": StrategyRow(
        order=reset_aware, reads=_reading("quota", "turn"), per_account=True
    ),
    "lkgp": StrategyRow(order=last_known_good, reads=_reading("last_good")),
    "auto": StrategyRow(
        order=auto,
        reads=_reading(
            "price", "cost", "performance", "quota", "fitness", "specificity", "last_good"
        ),
        per_account=True,
    ),
}
"""Every strategy by name."""
