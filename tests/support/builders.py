"""Small configurations for tests of routing and pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

from omniroute.chat import ChatRequest
from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.resilience.health import HealthView
from omniroute.routing.scoring.healing import SelfHealing
from omniroute.routing.scoring.measured import Measured
from omniroute.routing.snapshot import Snapshot, build_snapshot
from omniroute.routing.turns.affinity import Affinity
from omniroute.routing.turns.pins import Pins
from omniroute.routing.turns.rotation import Rotation
from omniroute.routing.world import LiveWorld
from omniroute.storage.records.configuration import (
    ApiKey,
    Combo,
    ComboStep,
    Connection,
    CustomModel,
    ModelCompat,
    ModelMapping,
    ModelStep,
    ProviderNode,
    Step,
)
from omniroute.storage.records.money import BudgetRow


def node(prefix: str, *, base_url: str = "http://upstream.test/v1") -> ProviderNode:
    """An OpenAI-compatible node whose id is its prefix, doubled."""
    return ProviderNode(
        id=f"{prefix}-{prefix}",
        type="openai-compatible",
        name=prefix.title(),
        prefix=prefix,
        base_url=base_url,
        api_type="chat",
    )


def account(provider: str, name: str, **more: Any) -> Connection:
    """An account whose id is its name."""
    return Connection(id=name, provider=provider, name=name, api_key="key", **more)


def combo(name: str, *targets: str | Step, **more: Any) -> Combo:
    """A combo over model names and references."""
    steps = tuple(
        ModelStep(id=f"{name}-{place}", model=target) if isinstance(target, str) else target
        for place, target in enumerate(targets)
    )
    return Combo(id=f"id-{name}", name=name, steps=steps, **more)


def reference(name: str) -> ComboStep:
    """A step that stands for another combo."""
    return ComboStep(id=f"ref-{name}", combo_name=name)


def snapshot(
    *,
    nodes: Sequence[ProviderNode] = (),
    accounts: Sequence[Connection] = (),
    combos: Sequence[Combo] = (),
    keys: Sequence[ApiKey] = (),
    aliases: Mapping[str, str] | None = None,
    mappings: Sequence[ModelMapping] = (),
    custom_models: Sequence[CustomModel] = (),
    compat: Sequence[ModelCompat] = (),
    spellings: bool = True,
    budgets: Sequence[BudgetRow] = (),
    **settings: Any,
) -> Snapshot:
    """Configuration version 1."""
    return build_snapshot(
        version=1,
        nodes=nodes,
        connections=accounts,
        combos=combos,
        keys=keys,
        settings=settings,
        aliases=aliases,
        mappings=mappings,
        custom_models=custom_models,
        compat=compat,
        spellings=spellings,
        budgets=budgets,
    )


def quiet(health: HealthView, **known: Any) -> LiveWorld:
    """A world in which nothing has happened but what `health` and `known` say."""

    def now_ms() -> int:
        return health.now_ms

    parts = {
        "measured": Measured(now_ms),
        "rotation": Rotation(),
        "affinity": Affinity(now_ms),
        "self_healing": SelfHealing(now_ms),
        "pins": Pins(now_ms),
        "quotas": Quotas(now_ms),
    }
    return LiveWorld(health=health, **{**parts, **known})


def asking(*, include_usage: bool = False, model: str = "") -> ChatRequest:
    """The request behind a reply, where nothing of it matters but this."""
    return ChatRequest(model=model, messages=(), include_usage=include_usage)
