"""The scored strategy: nine factors, each measured or absent, weighed into one number. 05 §3.

One way for every variant: weights, scores, self-healing, exploration, budget cap.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from msgspec.structs import replace

from omniroute.routing.choices import Choice, RoutingView
from omniroute.routing.scoring.factors import factors_of
from omniroute.routing.targets import Branch, Factor, Leaf, Tuning

WEIGHTS: Mapping[str, float] = {
    "health": 0.22,
    "quota": 0.17,
    "costInv": 0.17,
    "latencyInv": 0.13,
    "taskFit": 0.08,
    "specificityMatch": 0.08,
    "stability": 0.05,
    "tierPriority": 0.05,
    "tierAffinity": 0.05,
}
"""What each factor counts when nobody says otherwise; the sum is 1. 05 §3.4."""

MODE_PACKS: Mapping[str, Mapping[str, float]] = {
    "ship-fast": {
        "quota": 0.15,
        "health": 0.30,
        "costInv": 0.05,
        "latencyInv": 0.35,
        "taskFit": 0.10,
        "stability": 0.0,
        "tierPriority": 0.05,
    },
    "cost-saver": {
        "quota": 0.15,
        "health": 0.20,
        "costInv": 0.40,
        "latencyInv": 0.05,
        "taskFit": 0.10,
        "stability": 0.05,
        "tierPriority": 0.05,
    },
    "quality-first": {
        "quota": 0.10,
        "health": 0.20,
        "costInv": 0.05,
        "latencyInv": 0.05,
        "taskFit": 0.40,
        "stability": 0.15,
        "tierPriority": 0.05,
    },
    "offline-friendly": {
        "quota": 0.40,
        "health": 0.30,
        "costInv": 0.10,
        "latencyInv": 0.05,
        "taskFit": 0.0,
        "stability": 0.10,
        "tierPriority": 0.05,
    },
}
"""Weights by purpose. 05 §3.5."""

VARIANTS: Mapping[str, Tuning] = {
    "": Tuning(exploration=0.05, router="bonus"),
    "lkgp": Tuning(exploration=0.05, router="lkgp"),
    "coding": Tuning(exploration=0.05, router="bonus", mode_pack="quality-first"),
    "smart": Tuning(exploration=0.10, router="bonus", mode_pack="quality-first"),
    "fast": Tuning(exploration=0.05, router="bonus", mode_pack="ship-fast"),
    "cheap": Tuning(exploration=0.05, router="bonus", mode_pack="cost-saver"),
    "offline": Tuning(exploration=0.05, router="bonus", mode_pack="offline-friendly"),
}
"""What `auto/<variant>` means. 05 §3.1."""

ROUTERS = ("rules", "bonus", "cost", "eco", "latency", "fast", "lkgp")
LAST_GOOD_BONUS = 0.05
"""Who answered last stays, unless another is clearly better: a conversation keeps its model."""
LOW_SCORE = 0.2
READMIT_SCORE = 0.3
INCIDENT_SHARE = 0.5


def auto(choices: Sequence[Choice], view: RoutingView) -> list[Choice]:
    """Best score first; what self-healing keeps back and what the cap forbids come last."""
    tuning = view.branch.tuning
    scored = _scored(choices, view)
    ranked = sorted(scored, key=_score, reverse=True)
    pool = [choice for choice in ranked if not tuning.pool or choice.head.provider in tuning.pool]
    pool = _with_tools(pool or ranked, view)
    fit = [choice for choice in pool if not kept_back(choice, view.now_ms)] or pool
    affordable = [choice for choice in fit if not _over_cap(choice, tuning)]
    if not affordable:  # the cheapest is as close to the cap as anything gets
        affordable = [min(fit, key=_cost)]
    chosen, why = _head(affordable, view)
    first = replace(chosen, why=(*chosen.why, why))
    rest = [choice for choice in (*affordable, *fit, *pool, *ranked) if choice is not chosen]
    return [first, *{id(choice): choice for choice in rest}.values()]


def weights_of(tuning: Tuning) -> Mapping[str, float]:
    """The weights in force: a mode pack, else valid weights of the combo, else the defaults."""
    pack = MODE_PACKS.get(tuning.mode_pack or "")
    if pack is not None:
        return pack
    own = tuning.weights
    return own if own and abs(sum(own.values()) - 1) < 0.01 else WEIGHTS


def score_of(factors: Sequence[Factor]) -> float:
    """The weighted mean of the factors that count; 0 when none does."""
    known = [(factor.counted, factor.weight) for factor in factors if factor.counted is not None]
    weight = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / weight if weight else 0.0


def kept_back(choice: Choice, now_ms: int) -> bool:
    """Whether self-healing keeps this provider out of the first place. 05 §3.10."""
    healing = choice.head.healing
    if healing is None:
        return False
    if not healing.over(now_ms):
        return choice.head.breaker != "HALF_OPEN"  # which is let through, as a probe
    return _score(choice) < READMIT_SCORE


def incident(branch: Branch) -> bool:
    """Whether more than half of the providers in question are down: no time for experiments."""
    states = {leaf.provider: leaf.breaker for leaf in _leaves(branch)}
    down = sum(state == "OPEN" for state in states.values())
    return down > INCIDENT_SHARE * len(states)


def _scored(choices: Sequence[Choice], view: RoutingView) -> list[Choice]:
    weights = weights_of(view.branch.tuning)
    rows = factors_of(choices, view.asked)
    means = {name: _mean([row[name] for row in rows]) for name in weights}
    scored = []
    for choice, values in zip(choices, rows, strict=True):
        factors = tuple(
            Factor(
                name=name,
                value=values[name],
                weight=weight,
                counted=means[name] if values[name] is None else values[name],
            )
            for name, weight in weights.items()
            if weight
        )
        score = score_of(factors)
        scored.append(replace(choice, score=score, factors=factors, why=(f"score {score:.3f}",)))
    return scored


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _head(choices: Sequence[Choice], view: RoutingView) -> tuple[Choice, str]:
    """Who goes first among `choices`, best first, and why."""
    tuning = view.branch.tuning
    best = choices[0]
    draw = view.rng.random()
    if len(choices) > 1 and draw < tuning.exploration and not incident(view.branch):
        return view.rng.choice(choices), f"explored (1 in {1 / tuning.exploration:.0f})"
    good = view.branch.last_good
    last = [one for one in choices if good is not None and one.head.provider == good.provider]
    if tuning.router == "lkgp" and last:
        return last[0], "answered last"
    if tuning.router == "bonus" and last and _score(last[0]) + LAST_GOOD_BONUS >= _score(best):
        return last[0], "answered last, and nothing is clearly better"
    if tuning.router in ("cost", "eco"):
        return min(choices, key=_cost), "the cheapest"
    if tuning.router in ("latency", "fast"):
        return min(choices, key=_delay_ms), "the fastest"
    return best, "the best score"


def _with_tools(choices: list[Choice], view: RoutingView) -> list[Choice]:
    if not view.asked.tools:
        return choices
    return [choice for choice in choices if choice.head.tools is not False] or choices


def _over_cap(choice: Choice, tuning: Tuning) -> bool:
    cap, cost = tuning.budget_cap_micro_usd, choice.head.cost_micro_usd
    return cap is not None and cost is not None and cost > cap


def _score(choice: Choice) -> float:
    return choice.score or 0.0


def _cost(choice: Choice) -> float:
    cost = choice.head.cost_micro_usd
    return float("inf") if cost is None else cost


def _delay_ms(choice: Choice) -> float:
    seen = choice.head.performance
    if seen is None or seen.p95_latency_ms is None:
        return float("inf")
    return seen.p95_latency_ms + 1000 * (1 - seen.success_rate)


def _leaves(branch: Branch) -> list[Leaf]:
    found: list[Leaf] = []
    for child in branch.children:
        found += _leaves(child) if isinstance(child, Branch) else [child]
    return found
