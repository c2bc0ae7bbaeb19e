"""The combos as agents see them: short, with what was measured about them."""

from msgspec import UNSET, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.combos.combo_named import combo_named
from omniroute.routing.combo_config import StrategyName
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.configuration import Combo, ComboStep, Step


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
    success_rate: float
    avg_latency_ms: float
    total_cost: float


class ListedCombo(Struct, frozen=True, kw_only=True):
    """One combo with its steps in order; `metrics` are null where nobody has asked it."""

    id: str
    name: str
    models: tuple[ListedStep, ...]
    strategy: StrategyName
    enabled: bool
    metrics: ComboMetrics | UnsetType | None = UNSET


class CombosList(Struct, frozen=True):
    """All combos."""

    combos: tuple[ListedCombo, ...]


DAY_MS = 86_400_000


async def list_combos(engine: Engine, caller: Caller, query: CombosQuery) -> CombosList:
    """The configured combos, optionally with what was measured about them."""
    combos = sorted(engine.snapshot.combos.values(), key=lambda row: row.sort_order)
    await engine.journal.flush()
    listed = [await _listed(engine, combo, measured=query.include_metrics) for combo in combos]
    return CombosList(tuple(listed))


async def listed_combo(engine: Engine, caller: Caller, named: str) -> ListedCombo:
    """One combo, by id or name, with what was measured about it.

    Raises:
        NotFound: there is none; names the nearest.
    """
    await engine.journal.flush()
    return await _listed(engine, combo_named(engine.snapshot, named), measured=True)


async def _listed(engine: Engine, combo: Combo, *, measured: bool) -> ListedCombo:
    steps = enumerate(combo.steps, start=1)
    return ListedCombo(
        id=combo.id,
        name=combo.name,
        models=tuple(_listed_step(engine.snapshot, step, place) for place, step in steps),
        strategy=combo.strategy,  # type: ignore[arg-type]
        enabled=combo.is_active,
        metrics=await _metrics(engine, combo.name) if measured else UNSET,
    )


def _listed_step(snapshot: Snapshot, step: Step, place: int) -> ListedStep:
    if isinstance(step, ComboStep):
        return ListedStep("combo", step.combo_name, place)
    prefix = step.model.partition("/")[0]
    provider = step.provider_id or snapshot.provider_named(prefix)
    return ListedStep(provider or "unknown", step.model, place)


async def _metrics(engine: Engine, combo: str) -> ComboMetrics | None:
    async with engine.database.reading() as work:
        sums = await work.usage.totals(engine.now_ms() - DAY_MS, combo=combo)
    tried = sums.requests
    if not tried:
        return None
    return ComboMetrics(
        request_count=tried,
        success_rate=(tried - sums.failures) / tried,
        avg_latency_ms=sums.latency_ms / tried,
        total_cost=sums.cost_micro_usd / 1e6,
    )
