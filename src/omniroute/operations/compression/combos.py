"""Named pipelines of compression, and the combos they are for (02 §11.2)."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, to_builtins

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import Conflict, NotFound, ValidationFailed
from omniroute.routing.compression import DEFAULT_COMBO, PIPELINE, CavemanIntensity, Name, Step
from omniroute.storage.database import Work
from omniroute.storage.records.compression import Assignment, CompressionCombo, StoredStep

Title = Annotated[str, Meta(min_length=1, max_length=120)]
Description = Annotated[str, Meta(max_length=1_000)]
Pipeline = Annotated[tuple[Step, ...], Meta(min_length=1, max_length=10)]
Packs = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=20)]


class CompressionComboInput(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """A new pipeline. Without an id it gets one."""

    id: Name | None = None
    name: Title
    description: Description = ""
    pipeline: Pipeline = PIPELINE
    language_packs: Packs = ("en",)
    output_mode: bool = False
    output_mode_intensity: CavemanIntensity = "full"
    is_default: bool = False


class CompressionComboChange(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """What to change of a pipeline; the rest stays."""

    name: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    pipeline: Pipeline | UnsetType = UNSET
    language_packs: Packs | UnsetType = UNSET
    output_mode: bool | UnsetType = UNSET
    output_mode_intensity: CavemanIntensity | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET


class CompressionComboView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A pipeline. Times are ISO-8601."""

    id: str
    name: str
    description: str
    pipeline: tuple[StoredStep, ...]
    language_packs: tuple[str, ...]
    output_mode: bool
    output_mode_intensity: CavemanIntensity
    is_default: bool
    created_at: str
    updated_at: str


class CompressionCombos(Struct, frozen=True):
    """Every pipeline, the default one first."""

    combos: tuple[CompressionComboView, ...]


class AssignmentView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A combo, and the pipeline its requests go through."""

    id: str
    compression_combo_id: str
    routing_combo_id: str
    created_at: str


class Assignments(Struct, frozen=True):
    """The combos a pipeline is for."""

    assignments: tuple[AssignmentView, ...]


class AssignmentsInput(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The ids of the combos a pipeline is for, and no others."""

    routing_combo_ids: Annotated[tuple[Name, ...], Meta(max_length=1_000)]


async def prepare_compression(engine: Engine) -> None:
    """At a start: have the default pipeline, unless it is there."""
    async with engine.database.reading() as work:
        if await work.compression_combos.get(DEFAULT_COMBO) is not None:
            return
        others = await work.compression_combos.list()
    made = _new(engine, CompressionComboInput(id=DEFAULT_COMBO, name="Default"), DEFAULT_COMBO)
    is_default = not any(one.is_default for one in others)
    async with engine.database.work() as work:
        await work.compression_combos.add_missing(
            msgspec.structs.replace(made, is_default=is_default)
        )


async def list_compression_combos(engine: Engine, caller: Caller) -> CompressionCombos:
    """Every pipeline, the default one first, then by name."""
    async with engine.database.reading() as work:
        return CompressionCombos(tuple(_view(one) for one in await work.compression_combos.list()))


async def compression_combo(engine: Engine, caller: Caller, combo_id: str) -> CompressionComboView:
    """One pipeline.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.database.reading() as work:
        return _view(await found(work, combo_id))


async def create_compression_combo(
    engine: Engine, caller: Caller, given: CompressionComboInput
) -> CompressionComboView:
    """Make a pipeline; a new default takes the place of the old one.

    Raises:
        Conflict: one has this id.
    """
    made = _new(engine, given, given.id or engine.new_id())
    action = "compressionCombo.created"
    async with engine.configuration.change(caller, action, made.name) as work:
        if await work.compression_combos.get(made.id) is not None:
            raise Conflict(f"A compression combo has the id '{made.id}' already.")
        await work.compression_combos.save(made)
    return _view(made)


async def change_compression_combo(
    engine: Engine, caller: Caller, combo_id: str, change: CompressionComboChange
) -> CompressionComboView:
    """Change what is named of a pipeline.

    Raises:
        NotFound: there is none with this id.
        ValidationFailed: nothing is named, or no pipeline would be the default any more.
    """
    said: dict[str, Any] = to_builtins(change)  # what is unset is not in it
    if not said:
        raise ValidationFailed([("", "at least one field is needed")])
    async with engine.configuration.change(caller, "compressionCombo.updated", combo_id) as work:
        old = await found(work, combo_id)
        if old.is_default and change.is_default is False:
            told = "one pipeline must be the default: make another one that"
            raise ValidationFailed([("isDefault", told)])
        whole = {**to_builtins(_view(old)), **said}
        named = msgspec.convert(
            {name: whole[name] for name in whole if name in _CHANGEABLE}, CompressionComboInput
        )
        new = msgspec.structs.replace(_new(engine, named, old.id), created_at_ms=old.created_at_ms)
        await work.compression_combos.save(new)
        work.details.update(said)
    return _view(new)


_CHANGEABLE = frozenset(
    field.encode_name for field in msgspec.structs.fields(CompressionComboChange)
)


async def delete_compression_combo(engine: Engine, caller: Caller, combo_id: str) -> None:
    """Remove a pipeline. The combos it was for have none then.

    Raises:
        NotFound: there is none with this id, or it is the default, which cannot go.
    """
    async with engine.configuration.change(caller, "compressionCombo.deleted", combo_id) as work:
        if (await found(work, combo_id)).is_default:
            raise NotFound("The default compression combo stays; make another one the default.")
        await work.compression_combos.delete(combo_id)


async def assignments(engine: Engine, caller: Caller, combo_id: str) -> Assignments:
    """The combos a pipeline is for.

    Raises:
        NotFound: there is no such pipeline.
    """
    async with engine.database.reading() as work:
        await found(work, combo_id)
        return _assigned(await work.compression_combos.assignments(combo_id))


async def assign(
    engine: Engine, caller: Caller, combo_id: str, given: AssignmentsInput
) -> Assignments:
    """Have a pipeline be for these combos and no others; a combo has one at most.

    Raises:
        NotFound: there is no such pipeline.
        ValidationFailed: a combo does not exist.
    """
    known = engine.snapshot.combos_by_id
    problems = [
        (f"routingComboIds.{place}", f"is not the id of a combo.{did_you_mean(one, known)}")
        for place, one in enumerate(given.routing_combo_ids)
        if one not in known
    ]
    async with engine.configuration.change(caller, "compressionCombo.assigned", combo_id) as work:
        await found(work, combo_id)
        if problems:
            raise ValidationFailed(problems)
        rows = tuple(
            Assignment(
                id=engine.new_id(),
                compression_combo_id=combo_id,
                routing_combo_id=one,
                created_at_ms=engine.now_ms(),
            )
            for one in dict.fromkeys(given.routing_combo_ids)
        )
        await work.compression_combos.assign(combo_id, rows)
    return _assigned(rows)


async def found(work: Work, combo_id: str) -> CompressionCombo:
    """The pipeline with an id.

    Raises:
        NotFound: there is none.
    """
    combo = await work.compression_combos.get(combo_id)
    if combo is None:
        known = [one.id for one in await work.compression_combos.list()]
        hint = did_you_mean(combo_id, known)
        raise NotFound(f"There is no compression combo '{combo_id[:100]}'.{hint}")
    return combo


def _new(engine: Engine, given: CompressionComboInput, combo_id: str) -> CompressionCombo:
    now_ms = engine.now_ms()
    return CompressionCombo(
        id=combo_id,
        name=given.name,
        description=given.description,
        pipeline=tuple(StoredStep(one.engine, one.intensity) for one in given.pipeline),
        language_packs=given.language_packs,
        output_mode=given.output_mode,
        output_mode_intensity=given.output_mode_intensity,
        is_default=given.is_default,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )


def _view(combo: CompressionCombo) -> CompressionComboView:
    fields = msgspec.structs.asdict(combo)
    created, updated = fields.pop("created_at_ms"), fields.pop("updated_at_ms")
    return CompressionComboView(**fields, created_at=iso(created), updated_at=iso(updated))


def _assigned(rows: tuple[Assignment, ...]) -> Assignments:
    return Assignments(
        tuple(
            AssignmentView(
                id=row.id,
                compression_combo_id=row.compression_combo_id,
                routing_combo_id=row.routing_combo_id,
                created_at=iso(row.created_at_ms),
            )
            for row in rows
        )
    )
