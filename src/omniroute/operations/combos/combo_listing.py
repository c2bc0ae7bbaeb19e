"""The combos as agents see them: short, with what was measured about them."""

from msgspec import UNSET, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.storage.records.configuration import ComboStep, Step


class CombosQuery(Struct, frozen=True, rename="camel"):
    """What to list.

    Attributes:
        include_metrics: add requests, success rate, latency and cost of each combo.
    """

    include_metrics: bool = False


class ListedStep(Struct, frozen=True):
    """One step; provider `combo` stands for another combo."""

    provider: str
    model: str
    priority: float


class ComboMetrics(Struct, frozen=True, rename="camel"):
    """Measured over the last 24 hours. `success_rate` is 0-1, cost is USD."""

    request_count: int
    success_rate: float | None
    avg_latency_ms: float | None
    total_cost: float


class ListedCombo(Struct, frozen=True, kw_only=True):
    """One combo with its steps in order."""

    id: str
    name: str
    models: tuple[ListedStep, ...]
    strategy: str
    enabled: bool
    metrics: ComboMetrics | UnsetType = UNSET


class CombosList(Struct, frozen=True):
    """All combos."""

    combos: tuple[ListedCombo, ...]


DAY_MS = 86_400_000


async def list_combos(engine: Engine, caller: Caller, query: CombosQuery) -> CombosList:
    """The configured combos, optionally with what was measured about them."""
    combos = sorted(engine.snapshot.combos.values(), key=lambda row: row.sort_order)
    listed: list[ListedCombo] = []
    for combo in combos:
        metrics: ComboMetrics | UnsetType = UNSET
        if query.include_metrics:
            metrics = await _metrics(engine, combo.name)
        listed.append(
            ListedCombo(
                id=combo.id,
                name=combo.name,
                models=tuple(
                    _listed_step(step, place) for place, step in enumerate(combo.steps, start=1)
                ),
                strategy=combo.strategy,
                enabled=combo.is_active,
                metrics=metrics,
            )
        )
    return CombosList(tuple(listed))


def _listed_step(step: Step, place: int) -> ListedStep:
    if isinstance(step, ComboStep):
        return ListedStep("combo", step.combo_name, place)
    return ListedStep(step.provider_id or "unknown", step.model, place)


async def _metrics(engine: Engine, combo: str) -> ComboMetrics:
    await engine.journal.flush()
    async with engine.database.reading() as work:
        sums = await work.usage.totals(engine.now_ms() - DAY_MS, combo=combo)
    tried = sums.requests
    return ComboMetrics(
        request_count=tried,
        success_rate=(tried - sums.failures) / tried if tried else None,
        avg_latency_ms=sums.latency_ms / tried if tried else None,
        total_cost=sums.cost_micro_usd / 1e6,
    )
