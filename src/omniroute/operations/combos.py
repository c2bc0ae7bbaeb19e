"""Combos: named lists of targets that answer as one model."""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound, ValidationFailed
from omniroute.storage.records import Combo, ComboStep, ModelStep, Step

MAX_DEPTH = 3
NAME_PATTERN = r"^[A-Za-z0-9_/.\-\[\] ]+$"

StrategyName = Literal[
    "priority",
    "weighted",
    "round-robin",
    "context-relay",
    "fill-first",
    "p2c",
    "random",
    "least-used",
    "cost-optimized",
    "reset-aware",
    "strict-random",
    "auto",
    "lkgp",
    "context-optimized",
]


class StepInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A step as written by an operator: a model, or a reference to another combo."""

    kind: Literal["model", "combo-ref"] | None = None
    model: Annotated[str, Meta(min_length=1, max_length=300)] | None = None
    combo_name: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    provider: Annotated[str, Meta(max_length=120)] | None = None
    provider_id: Annotated[str, Meta(max_length=120)] | None = None
    connection_id: Annotated[str, Meta(max_length=200)] | None = None
    id: Annotated[str, Meta(max_length=200)] | None = None
    weight: Annotated[float, Meta(ge=0, le=100)] = 0
    label: Annotated[str, Meta(max_length=200)] | None = None
    tags: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=20)] = []


StepText = Annotated[str, Meta(min_length=1, max_length=300)]


class ComboInput(Struct, frozen=True, kw_only=True):
    """A new combo. Keys as in 02 §7.2."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=NAME_PATTERN)]
    models: list[StepText | StepInput] = []
    strategy: StrategyName = "priority"
    config: dict[str, Any] = {}
    allowed_providers: Annotated[
        list[Annotated[str, Meta(max_length=200)]], Meta(max_length=1000)
    ] = msgspec.field(default_factory=list, name="allowedProviders")
    system_message: Annotated[str, Meta(max_length=50_000)] | None = None
    tool_filter_regex: Annotated[str, Meta(max_length=1_000)] | None = None
    context_cache_protection: bool = False
    context_length: Annotated[int, Meta(ge=1_000, le=2_000_000)] | None = None


class ComboView(Struct, frozen=True, kw_only=True):
    """A combo as the management API shows it (02 §7.1)."""

    id: str
    version: int
    name: str
    strategy: str
    is_active: bool = msgspec.field(name="isActive")
    is_hidden: bool = msgspec.field(name="isHidden")
    models: tuple[Step, ...]
    config: dict[str, Any]
    allowed_providers: tuple[str, ...] = msgspec.field(name="allowedProviders")
    system_message: str | None
    tool_filter_regex: str | None
    context_cache_protection: bool
    context_length: int | None
    sort_order: int = msgspec.field(name="sortOrder")
    created_at: str = msgspec.field(name="createdAt")
    updated_at: str = msgspec.field(name="updatedAt")


async def create_combo(engine: Engine, caller: Caller, new: ComboInput) -> ComboView:
    """Store a combo; it answers from the next request on.

    Raises:
        InvalidRequest: the name is taken, or references form a cycle or nest too deep.
        ValidationFailed: a field or step is not valid.
    """
    name = new.name.strip()
    if not name:
        raise ValidationFailed([("name", "must not be blank")])
    _require_regex(new.tool_filter_regex)
    now = iso(engine.now_ms())
    async with engine.configuration.change() as work:
        stored = await work.combos.list()
        if any(combo.name == name for combo in stored):
            raise InvalidRequest(f"A combo named '{name}' already exists.", param="name")
        combo = Combo(
            id=engine.new_id(),
            name=name,
            strategy=new.strategy,
            steps=_steps(name, new.models, {combo.name for combo in stored}),
            config=new.config,
            allowed_providers=tuple(new.allowed_providers),
            system_message=new.system_message,
            tool_filter_regex=new.tool_filter_regex,
            context_cache_protection=new.context_cache_protection,
            context_length=new.context_length,
            sort_order=1 + max((row.sort_order for row in stored), default=0),
            created_at=now,
            updated_at=now,
        )
        _require_no_cycle(combo, {row.name: row for row in stored})
        await work.combos.save(combo)
    return view(combo)


async def get_combo(engine: Engine, caller: Caller, combo_id: str) -> ComboView:
    """One combo.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.database.reading() as work:
        combo = await work.combos.get(combo_id)
    if combo is None:
        raise NotFound(f"There is no combo with the id '{combo_id}'.")
    return view(combo)


async def all_combos(engine: Engine, caller: Caller) -> list[ComboView]:
    """All combos, by sort order."""
    combos = sorted(engine.snapshot.combos.values(), key=lambda row: row.sort_order)
    return [view(combo) for combo in combos]


async def delete_combo(engine: Engine, caller: Caller, combo_id: str) -> None:
    """Delete a combo. References to it resolve to nothing and are skipped.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.configuration.change() as work:
        if not await work.combos.delete(combo_id):
            raise NotFound(f"There is no combo with the id '{combo_id}'.")


def view(combo: Combo) -> ComboView:
    """A stored combo in the shape of the management API."""
    return ComboView(
        id=combo.id,
        version=2,
        name=combo.name,
        strategy=combo.strategy,
        is_active=combo.is_active,
        is_hidden=combo.is_hidden,
        models=combo.steps,
        config=combo.config,
        allowed_providers=combo.allowed_providers,
        system_message=combo.system_message,
        tool_filter_regex=combo.tool_filter_regex,
        context_cache_protection=combo.context_cache_protection,
        context_length=combo.context_length,
        sort_order=combo.sort_order,
        created_at=combo.created_at,
        updated_at=combo.updated_at,
    )


def _steps(combo_name: str, written: list[str | StepInput], combos: set[str]) -> tuple[Step, ...]:
    return tuple(
        _step(combo_name, place, entry, combos) for place, entry in enumerate(written, start=1)
    )


def _step(combo_name: str, place: int, entry: str | StepInput, combos: set[str]) -> Step:
    """Every form an operator may write becomes a model step or a reference (02 §7.2)."""
    step = StepInput(model=entry) if isinstance(entry, str) else entry
    provider = step.provider_id or step.provider
    referred = step.combo_name if step.kind == "combo-ref" else None
    if step.kind is None and provider is None and step.model in {*combos, combo_name}:
        referred = step.model
    field = f"models.{place - 1}"
    if step.kind == "combo-ref" and referred is None:
        raise ValidationFailed([(f"{field}.comboName", "is required")])
    if referred is not None:
        return ComboStep(
            id=step.id or _step_id(combo_name, "ref", place, referred),
            combo_name=referred,
            weight=step.weight,
            label=step.label,
        )
    if not step.model:
        raise ValidationFailed([(f"{field}.model", "is required")])
    model = f"{provider}/{step.model}" if provider and "/" not in step.model else step.model
    target = f"{model}-{step.connection_id}" if step.connection_id else model
    return ModelStep(
        id=step.id or _step_id(combo_name, "model", place, target),
        model=model,
        provider_id=provider or (model.split("/", 1)[0] if "/" in model else None),
        connection_id=step.connection_id,
        weight=step.weight,
        label=step.label,
        tags=tuple(step.tags),
    )


def _step_id(combo_name: str, kind: str, place: int, target: str) -> str:
    return f"{_slug(combo_name)}-{kind}-{place}-{_slug(target)}"[:200]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _require_regex(pattern: str | None) -> None:
    if pattern is None:
        return
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValidationFailed([("tool_filter_regex", f"does not compile: {error}")]) from error


def _require_no_cycle(combo: Combo, stored: dict[str, Combo]) -> None:
    known = {**stored, combo.name: combo}

    def walk(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise InvalidRequest(f"Combo '{name}' refers to itself.", param="models")
        if len(path) > MAX_DEPTH:
            raise InvalidRequest(
                f"Combo '{combo.name}' nests deeper than {MAX_DEPTH} levels.", param="models"
            )
        for step in known[name].steps if name in known else ():
            if isinstance(step, ComboStep):
                walk(step.combo_name, (*path, name))

    walk(combo.name, ())


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
