"""Which combo fits a kind of task, by who is known to be good at it and what was measured.

Source of the table and the score: 03 §8.2.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError, TargetsUnavailable
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.survey import leaves, survey
from omniroute.routing.targets import Leaf, RouteFacts
from omniroute.storage.records.configuration import Combo
from omniroute.storage.records.usage import UsageTotals

TaskType: TypeAlias = Literal[
    "coding", "review", "planning", "analysis", "debugging", "documentation"
]

WINDOW_MS = 7 * 86_400_000
MOST_ALTERNATIVES = 3
_PLACE, _TRAIT = 10, 5
FREE = "free"


class Liking(Struct, frozen=True):
    """Providers that are good at a task, best first, and words that names of fit combos have."""

    providers: tuple[str, ...]
    traits: tuple[str, ...]


LIKINGS: Mapping[TaskType, Liking] = {
    "coding": Liking(("claude", "deepseek", "codex"), ("fast", "code-optimized")),
    "review": Liking(("claude", "gemini", "openai"), ("analytical", "thorough")),
    "planning": Liking(("gemini", "claude", "openai"), ("reasoning", "structured")),
    "analysis": Liking(("gemini", "claude"), ("deep-reasoning", "large-context")),
    "debugging": Liking(("claude", "deepseek", "codex"), ("code-aware", "fast")),
    "documentation": Liking(("gemini", "claude", "openai"), ("clear", "structured")),
}

_Positive = Annotated[float, Meta(gt=0)]


class ChoiceQuery(Struct, frozen=True, rename="camel"):
    """What a combo is wanted for.

    Attributes:
        task_type: the kind of task.
        budget_constraint: the most a request may have cost on average, USD.
        latency_constraint: the longest a request may have taken on average, milliseconds.
    """

    task_type: TaskType
    budget_constraint: _Positive | None = None
    latency_constraint: _Positive | None = None


class RecommendedCombo(Struct, frozen=True):
    """The combo to use, and why."""

    id: str
    name: str
    reason: str


class Alternative(Struct, frozen=True):
    """Another one, and what speaks against it."""

    id: str
    name: str
    tradeoff: str


class NamedCombo(Struct, frozen=True):
    """A combo."""

    id: str
    name: str


class ComboChoice(Struct, frozen=True, rename="camel"):
    """The best combo, up to three others, and one that costs nothing where there is one."""

    recommended_combo: RecommendedCombo
    alternatives: tuple[Alternative, ...]
    free_alternative: NamedCombo | None


class _Rated(Struct, frozen=True):
    combo: Combo
    score: int
    liked: tuple[str, ...]
    against: tuple[str, ...]
    free: bool

    def told(self) -> str:
        good = (
            f"has {', '.join(self.liked)}" if self.liked else "has none of the preferred providers"
        )
        return "; ".join((f"score {self.score}: {good}", *self.against))


async def best_combo_for_task(engine: Engine, caller: Caller, query: ChoiceQuery) -> ComboChoice:
    """The combos that are switched on, rated for a task. Those that break a constraint, as
    measured over the last 7 days, or have no account to ask, come last.

    Raises:
        TargetsUnavailable: no combo is switched on.
    """
    snapshot = engine.snapshot
    combos = [row for row in snapshot.combos.values() if row.is_active]
    if not combos:
        raise TargetsUnavailable(
            "No combo is switched on. Create one, switch one on, or ask for the model 'auto'."
        )
    await engine.journal.flush()
    rated = []
    for combo in sorted(combos, key=lambda row: row.sort_order):
        async with engine.database.reading() as work:
            sums = await work.usage.totals(engine.now_ms() - WINDOW_MS, combo=combo.name)
        rated.append(_rated(snapshot, combo, _targets(engine, combo), sums, query))
    best, *others = sorted(rated, key=lambda row: (len(row.against), -row.score))
    free = next((row for row in others if row.free), None)
    return ComboChoice(
        RecommendedCombo(best.combo.id, best.combo.name, best.told()),
        tuple(
            Alternative(row.combo.id, row.combo.name, row.told())
            for row in others[:MOST_ALTERNATIVES]
        ),
        NamedCombo(free.combo.id, free.combo.name) if free is not None else None,
    )


def _targets(engine: Engine, combo: Combo) -> list[Leaf]:
    """Every target of a combo, those of nested combos too; none where it cannot be resolved."""
    try:
        seen = survey(RouteFacts(model=combo.name), engine.snapshot, engine.live.world())
    except OmniRouteError:
        return []
    return leaves(seen.root)


def _rated(
    snapshot: Snapshot,
    combo: Combo,
    targets: Sequence[Leaf],
    sums: UsageTotals,
    query: ChoiceQuery,
) -> _Rated:
    liking = LIKINGS[query.task_type]
    places = {
        snapshot.provider_named(name) or name: len(liking.providers) - place
        for place, name in enumerate(liking.providers)
    }
    name = combo.name.lower()
    score = _PLACE * sum(places.get(leaf.provider, 0) for leaf in targets)
    score += _TRAIT * sum(trait in name for trait in liking.traits)
    providers = dict.fromkeys(leaf.provider for leaf in targets)
    return _Rated(
        combo,
        score,
        tuple(one for one in providers if one in places),
        tuple(_against(targets, sums, query)),
        FREE in name or (bool(providers) and all(FREE in one for one in providers)),
    )


def _against(targets: Sequence[Leaf], sums: UsageTotals, query: ChoiceQuery) -> list[str]:
    """What speaks against a combo, in sentences."""
    found = []
    if not any(leaf.accounts for leaf in targets):
        found.append("no account can serve it")
    if sums.requests:
        cost, latency_ms = (
            sums.cost_micro_usd / 1e6 / sums.requests,
            sums.latency_ms / sums.requests,
        )
        if query.budget_constraint is not None and cost > query.budget_constraint:
            found.append(f"${cost:.6f} a request is over the budget")
        if query.latency_constraint is not None and latency_ms > query.latency_constraint:
            found.append(f"{latency_ms:.0f} ms a request is over the time")
    return found
