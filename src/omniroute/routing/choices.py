"""What a strategy puts in order: the members of a combo, each with what it would try first."""

import random
from dataclasses import dataclass

from msgspec import Struct

from omniroute.routing.targets import Asked, Branch, Factor, Leaf, Node, SeenAccount


class Placed(Struct, frozen=True, kw_only=True):
    """A target on its way into the plan, with the accounts that may be tried, best first."""

    leaf: Leaf
    accounts: tuple[SeenAccount, ...]
    why: tuple[str, ...] = ()
    score: float | None = None
    factors: tuple[Factor, ...] = ()
    turns: tuple[str, ...] = ()


class Choice(Struct, frozen=True, kw_only=True):
    """One member of a combo: a target, or a nested combo already in its own order.

    A nested combo is judged by the target it would try first.
    """

    node: Node
    placed: tuple[Placed, ...]
    why: tuple[str, ...] = ()
    score: float | None = None
    factors: tuple[Factor, ...] = ()

    @property
    def head(self) -> Leaf:
        """The target this member stands for."""
        return self.placed[0].leaf

    @property
    def account(self) -> SeenAccount:
        """The account that target would use."""
        return self.placed[0].accounts[0]


@dataclass(frozen=True, slots=True)
class RoutingView:
    """What a strategy may look at beside its choices.

    `rng` is seeded by the plan, so that every draw can be repeated; `branch` is the combo with
    its counter, its last good target and its tuning.
    """

    rng: random.Random
    branch: Branch
    asked: Asked
    now_ms: int
