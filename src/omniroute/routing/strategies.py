"""The order in which a combo's targets are tried: one function per strategy."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

TargetT = TypeVar("TargetT")


@dataclass(frozen=True, slots=True)
class RoutingView:
    """What a strategy may look at. `rng` is seeded by the plan, so a draw can be repeated."""

    rng: random.Random


Strategy: TypeAlias = Callable[[Sequence[Any], RoutingView], list[Any]]


def priority(targets: Sequence[TargetT], _view: RoutingView) -> list[TargetT]:
    """In the order the combo lists them."""
    return list(targets)


STRATEGIES: Mapping[str, Strategy] = {"priority": priority}
"""Every strategy this build can run, by name. Targets are never empty."""
