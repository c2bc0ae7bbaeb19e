"""Combos: named lists of targets that answer as one model. Source: 02 §7."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import regex
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound, ValidationFailed
from omniroute.operations.combos.combo_steps import StepInput, StepText, require_no_cycle, steps_of
from omniroute.operations.inputs import field_problem
from omniroute.routing.combo_config import (
    ComboConfig,
    CompressionMode,
    StrategyName,
    read_config,
    tier_problems,
)
from omniroute.routing.strategies import STRATEGIES
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import Combo, ComboStep, Step

NAME_PATTERN = r"^[A-Za-z0-9_/.\-\[\] ]+$"
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=NAME_PATTERN)]
Providers = Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=1000)]
SystemMessage = Annotated[str, Meta(max_length=50_000)]
Regex = Annotated[str, Meta(max_length=1_000)]
ContextLength = Annotated[int, Meta(ge=1_000, le=2_000_000)]


class ComboInput(Struct, frozen=True, kw_only=True):
    """A new combo. Keys as in 02 §7.2.

    Without a strategy it has that of its `config`, of the setting `comboDefaults`, or `priority`.
    """

    name: Name
    models: list[StepText | StepInput] = []
    strategy: StrategyName | UnsetType = UNSET
    config: dict[str, Any] = {}
    allowed_providers: Providers = msgspec.field(default_factory=list, name="allowedProviders")
    system_message: SystemMessage | None = None
    tool_filter_regex: Regex | None = None
    context_cache_protection: bool = False
    context_length: ContextLength | None = None


class ComboChange(Struct, frozen=True, kw_only=True):
    """What to change of a combo; the rest stays. `compressionOverride` becomes the combo's
    `config.compressionMode`, and an empty one removes that."""

    name: Name | UnsetType = UNSET
    models: list[StepText | StepInput] | UnsetType = UNSET
    strategy: StrategyName | UnsetType = UNSET
    config: dict[str, Any] | UnsetType = UNSET
    allowed_providers: Providers | UnsetType = msgspec.field(default=UNSET, name="allowedProviders")
    system_message: SystemMessage | UnsetType | None = UNSET
    tool_filter_regex: Regex | UnsetType | None = UNSET
    context_cache_protection: bool | UnsetType = UNSET
    context_length: ContextLength | UnsetType | None = UNSET
    is_active: bool | UnsetType = msgspec.field(default=UNSET, name="isActive")
    compression_override: CompressionMode | str | UnsetType = msgspec.field(
        default=UNSET, name="compressionOverride"
    )


class ComboOrder(Struct, frozen=True, kw_only=True, rename="camel"):
    """All or some combos, in the order they shall have."""

    combo_ids: Annotated[list[str], Meta(min_length=1, max_length=1_000)]


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
    async with engine.configuration.change(caller, "combo.created", new.name) as work:
        combo = combo_of(engine, new, await work.combos.list())
        await work.combos.save(combo)
    return view(combo)


def combo_of(engine: Engine, new: ComboInput, others: Sequence[Combo]) -> Combo:
    """A combo as it would be stored beside the others.

    Raises:
        InvalidRequest: the name is taken, or references form a cycle or nest too deep.
        ValidationFailed: a field or step is not valid.
    """
    name = _fresh_name(new.name, others)
    place = 1 + max((row.sort_order for row in others), default=0)
    combo = drafted(engine, new, name, {row.name for row in others}, place)
    require_sound(combo, others)
    return combo


def drafted(engine: Engine, new: ComboInput, name: str, combos: set[str], sort_order: int) -> Combo:
    """A combo as it is written, before `require_sound` has seen it beside the others.

    Args:
        combos: names that steps may refer to.

    Raises:
        ValidationFailed: a step is not valid.
    """
    now = iso(engine.now_ms())
    return Combo(
        id=engine.new_id(),
        name=name,
        strategy=_strategy(engine, new),
        steps=steps_of(name, new.models, combos),
        config=new.config,
        allowed_providers=tuple(new.allowed_providers),
        system_message=new.system_message,
        tool_filter_regex=new.tool_filter_regex,
        context_cache_protection=new.context_cache_protection,
        context_length=new.context_length,
        sort_order=sort_order,
        created_at=now,
        updated_at=now,
    )


async def change_combo(
    engine: Engine, caller: Caller, combo_id: str, change: ComboChange
) -> ComboView:
    """Change what is named of a combo. A new name is written into whatever refers to it.

    Raises:
        NotFound: there is none with this id.
        InvalidRequest: the name is taken, or references form a cycle or nest too deep.
        ValidationFailed: nothing is named, or a field or step is not valid.
    """
    said = {
        name: value
        for name in change.__struct_fields__
        if (value := getattr(change, name)) is not UNSET
    }
    if not said:
        raise ValidationFailed([("", "at least one field is needed")])
    async with engine.configuration.change(caller, "combo.updated", combo_id) as work:
        stored = {row.id: row for row in await work.combos.list()}
        old = stored.pop(combo_id, None)
        if old is None:
            raise NotFound(f"There is no combo with the id '{combo_id}'.")
        others = tuple(stored.values())
        combo = _changed(old, said, others, iso(engine.now_ms()))
        if combo.name != old.name:
            others = await _renamed(work, old.name, combo.name, others)
        require_sound(combo, others)
        await work.combos.save(combo)
        work.details.update(name=combo.name, changed=sorted(said))
    return view(combo)


async def reorder_combos(engine: Engine, caller: Caller, order: ComboOrder) -> list[ComboView]:
    """Put combos in an order; those that are not named follow as they were.

    Raises:
        ValidationFailed: an id is unknown or named twice.
    """
    wanted = order.combo_ids
    async with engine.configuration.change(caller, "combo.reordered") as work:
        stored = {row.id: row for row in await work.combos.list()}
        problems = [
            (f"comboIds.{at}", "is named twice" if one in wanted[:at] else "is no combo's id")
            for at, one in enumerate(wanted)
            if one not in stored or one in wanted[:at]
        ]
        if problems:
            raise ValidationFailed(problems)
        named = [stored.pop(one) for one in wanted]
        for place, combo in enumerate([*named, *stored.values()], start=1):
            if combo.sort_order != place:
                await work.combos.save(replace(combo, sort_order=place))
    return await all_combos(engine, caller)


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


async def page_of_combos(
    engine: Engine, caller: Caller, limit: int | None, offset: int
) -> tuple[list[ComboView], int]:
    """A page of combos by sort order, and how many there are."""
    combos = sorted(engine.snapshot.combos.values(), key=lambda row: row.sort_order)
    stop = None if limit is None else offset + limit
    return [view(combo) for combo in combos[offset:stop]], len(combos)


async def delete_combo(engine: Engine, caller: Caller, combo_id: str) -> None:
    """Delete a combo. References to it resolve to nothing and are skipped.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.configuration.change(caller, "combo.deleted", combo_id) as work:
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


def _strategy(engine: Engine, new: ComboInput) -> str:
    if new.strategy is not UNSET:
        return new.strategy
    told = (new.config, engine.snapshot.settings["comboDefaults"])
    named = next((str(name) for one in told if (name := one.get("strategy"))), "priority")
    return named if named in STRATEGIES else "priority"


def _changed(old: Combo, said: Mapping[str, Any], others: Sequence[Combo], now: str) -> Combo:
    fields = {
        name: tuple(value) if name == "allowed_providers" else value
        for name, value in said.items()
        if name not in ("models", "name", "compression_override")
    }
    name = _fresh_name(said["name"], others) if "name" in said else old.name
    if "models" in said:
        fields["steps"] = steps_of(name, said["models"], {row.name for row in others})
    mode = said.get("compression_override")
    if mode is not None:
        config = dict(fields.get("config", old.config))
        config.pop("compressionMode", None)
        fields["config"] = {**config, "compressionMode": mode} if mode else config
    return replace(old, name=name, updated_at=now, **fields)


async def _renamed(work: Work, old: str, new: str, others: Sequence[Combo]) -> tuple[Combo, ...]:
    """The other combos with their references following a new name."""
    found: list[Combo] = []
    for combo in others:
        steps = tuple(
            replace(step, combo_name=new)
            if isinstance(step, ComboStep) and step.combo_name == old
            else step
            for step in combo.steps
        )
        if steps != combo.steps:
            combo = replace(combo, steps=steps)
            await work.combos.save(combo)
        found.append(combo)
    for alias, target in (await work.model_names.aliases()).items():
        if target == old:
            await work.model_names.set_alias(alias, new)
    return tuple(found)


def _fresh_name(written: str, others: Sequence[Combo]) -> str:
    name = written.strip()
    if not name:
        raise ValidationFailed([("name", "must not be blank")])
    if any(combo.name == name for combo in others):
        raise InvalidRequest(f"A combo named '{name}' already exists.", param="name")
    return name


def require_sound(combo: Combo, others: Sequence[Combo]) -> None:
    """Refuse what could be stored and not be used.

    Raises:
        InvalidRequest: references form a cycle or nest too deep.
        ValidationFailed: a field is not valid.
    """
    if combo.tool_filter_regex is not None:
        try:
            regex.compile(combo.tool_filter_regex)
        except regex.error as error:
            problem = ("tool_filter_regex", f"does not compile: {error}")
            raise ValidationFailed([problem]) from error
    try:
        config = read_config(combo.config)
    except msgspec.ValidationError as error:
        field, message = field_problem(str(error), ComboConfig)
        raise ValidationFailed([(f"config.{field}".rstrip("."), message)]) from error
    if config.composite_tiers is not None:
        problems = tier_problems(config.composite_tiers, [step.id for step in combo.steps])
        if problems:
            raise ValidationFailed(problems)
    require_no_cycle(combo, {row.name: row for row in others})
