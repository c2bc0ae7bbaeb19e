"""What agents may change of a combo: whether it answers, and by which strategy. 03 §8.1-8.2."""

from collections.abc import Mapping
from typing import Literal

from msgspec import UNSET, Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.combos.combo_named import combo_named
from omniroute.operations.combos.combos import ComboChange, change_combo
from omniroute.routing.combo_config import StrategyName

_CURRENT: Mapping[str, StrategyName] = {
    "usage": "least-used",
    "context": "context-optimized",
}
"""Older names of strategies."""


class SwitchQuery(Struct, frozen=True, rename="camel"):
    """Which combo, and how it shall be.

    Attributes:
        combo_id: the combo's id or name.
        active: whether it answers requests.
    """

    combo_id: str
    active: bool


class SwitchedCombo(Struct, frozen=True):
    """A combo as it is now."""

    id: str
    name: str
    enabled: bool


class Switched(Struct, frozen=True):
    """It was switched."""

    success: bool
    combo: SwitchedCombo


class StrategyQuery(Struct, frozen=True, rename="camel"):
    """Which combo, and how it shall choose.

    Attributes:
        combo_id: the combo's id or name.
        strategy: how its targets are put in order.
        auto_routing_strategy: what the strategy `auto` looks at; `rules` where it is not said.
    """

    combo_id: str
    strategy: StrategyName | Literal["usage", "context"]
    auto_routing_strategy: Literal["rules", "cost", "eco", "latency", "fast", "lkgp"] | None = None


class ChoosingCombo(Struct, frozen=True, rename="camel"):
    """A combo as it chooses now; `auto_routing_strategy` is null unless the strategy is `auto`."""

    id: str
    name: str
    strategy: StrategyName
    auto_routing_strategy: str | None


class StrategySet(Struct, frozen=True):
    """It was changed."""

    success: bool
    combo: ChoosingCombo


async def switch_combo(engine: Engine, caller: Caller, query: SwitchQuery) -> Switched:
    """Switch a combo on or off; it holds from the next request on.

    Raises:
        NotFound: there is no such combo.
    """
    combo = combo_named(engine.snapshot, query.combo_id, "comboId")
    changed = await change_combo(engine, caller, combo.id, ComboChange(is_active=query.active))
    return Switched(True, SwitchedCombo(changed.id, changed.name, changed.is_active))


async def set_routing_strategy(engine: Engine, caller: Caller, query: StrategyQuery) -> StrategySet:
    """Change how a combo chooses; it holds from the next request on.

    Raises:
        NotFound: there is no such combo.
    """
    combo = combo_named(engine.snapshot, query.combo_id, "comboId")
    strategy: StrategyName = _CURRENT.get(query.strategy, query.strategy)  # type: ignore[arg-type]
    router = (query.auto_routing_strategy or "rules") if strategy == "auto" else None
    config = {**combo.config, "routerStrategy": router} if router is not None else UNSET
    changed = await change_combo(
        engine, caller, combo.id, ComboChange(strategy=strategy, config=config)
    )
    return StrategySet(True, ChoosingCombo(changed.id, changed.name, strategy, router))
