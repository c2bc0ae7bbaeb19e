"""The nine factors of a score, each 0-1 and each measured; what was not measured is absent."""

from collections.abc import Iterable, Mapping, Sequence

from omniroute.routing.choices import Choice
from omniroute.routing.scoring.specificity import TIERS, recommended_tier, tier_of
from omniroute.routing.targets import Asked, Leaf, SeenAccount

_HEALTH: Mapping[str, float] = {"CLOSED": 1.0, "HALF_OPEN": 0.5, "OPEN": 0.0}
_ACCOUNT_TIERS: Mapping[str, float] = {"ultra": 1.0, "pro": 0.67, "standard": 0.33, "free": 0.0}
MONTH_S = 2_592_000
_PREMIUM_ABOVE = 50
_CHEAP_ABOVE = 15


def factors_of(choices: Sequence[Choice], asked: Asked) -> list[dict[str, float | None]]:
    """The factors of every choice, by name. Several compare a choice with the others. 05 §3.4."""
    dearest = _most(choice.head.cost_micro_usd for choice in choices)
    slowest = _most(_p95(choice.head) for choice in choices)
    wildest = _most(_spread(choice.head) for choice in choices)
    return [
        {
            "health": _HEALTH[choice.head.breaker],
            "quota": _quota(choice.account),
            "costInv": _inverse(choice.head.cost_micro_usd, dearest, 1),
            "latencyInv": _inverse(_p95(choice.head), slowest, 1),
            "taskFit": choice.head.fitness,
            "specificityMatch": _specificity(choice.head, asked),
            "stability": _inverse(_spread(choice.head), wildest, 0.001),
            "tierPriority": _account_tier(choice.account),
            "tierAffinity": _affinity(choice.head, asked),
        }
        for choice in choices
    ]


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _inverse(value: float | None, most: float | None, least: float) -> float | None:
    """1 for nothing, 0 for the most of all."""
    return None if value is None or most is None else 1 - value / max(most, least)


def _p95(leaf: Leaf) -> float | None:
    return leaf.performance.p95_latency_ms if leaf.performance else None


def _spread(leaf: Leaf) -> float | None:
    return leaf.performance.latency_stddev_ms if leaf.performance else None


def _quota(account: SeenAccount) -> float | None:
    quota = account.quota
    if quota is None:
        return None
    if quota.exhausted:
        return 0.0
    return None if quota.used is None else min(1.0, max(0.0, 1 - quota.used))


def _account_tier(account: SeenAccount) -> float | None:
    """The better the plan and the sooner its shortest window is new, the nearer to 1."""
    base = _ACCOUNT_TIERS.get(account.tier or "")
    interval_ms = account.quota.interval_ms if account.quota is not None else None
    if base is None or interval_ms is None:
        return base
    return min(1.0, 0.8 * base + 0.2 * max(0.0, 1 - interval_ms / 1000 / MONTH_S))


def _specificity(leaf: Leaf, asked: Asked) -> float | None:
    tier, score = tier_of(leaf), asked.specificity
    if tier is None or score is None:
        return None
    fits = {
        "free": score <= _CHEAP_ABOVE,
        "cheap": _CHEAP_ABOVE < score <= _PREMIUM_ABOVE,
        "premium": score > _PREMIUM_ABOVE,
    }
    misfit = {"free": 0.2, "cheap": 0.4, "premium": 0.3}
    return 0.9 if fits[tier] else misfit[tier]


def _affinity(leaf: Leaf, asked: Asked) -> float | None:
    tier = tier_of(leaf)
    if tier is None or asked.specificity is None:
        return None
    distance = abs(TIERS.index(tier) - TIERS.index(recommended_tier(asked.specificity)))
    return (1.0, 0.7, 0.3)[distance]
