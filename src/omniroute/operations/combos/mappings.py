"""Patterns of model names that stand for combos. Source: 02 §7.7."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound, ValidationFailed
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import Combo, ModelMapping

Pattern = Annotated[str, Meta(min_length=1, max_length=500)]
Description = Annotated[str, Meta(max_length=1_000)]
Priority = Annotated[int, Meta(ge=-2_147_483_648, le=2_147_483_647)]


class MappingInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A new mapping. `pattern` holds `*` for any run of characters and `?` for one."""

    pattern: Pattern
    combo_id: Annotated[str, Meta(min_length=1, max_length=200)]
    priority: Priority = 0
    enabled: bool = True
    description: Description = ""


class MappingChange(Struct, frozen=True, kw_only=True, rename="camel"):
    """What to change of a mapping; the rest stays."""

    pattern: Pattern | UnsetType = UNSET
    combo_id: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class MappingView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A mapping as the management API shows it. `combo_name` is the name its combo has now."""

    id: str
    pattern: str
    combo_id: str
    combo_name: str
    priority: int
    enabled: bool
    description: str
    created_at: str
    updated_at: str


async def list_mappings(
    engine: Engine, caller: Caller, limit: int | None = None, offset: int = 0
) -> tuple[list[MappingView], int]:
    """A page of mappings in the order in which they are tried, and how many there are."""
    combos = engine.snapshot.combos_by_id
    async with engine.database.reading() as work:
        rows = await work.mappings.list(limit, offset)
        total = await work.mappings.count()
    return [_shown(row, combos.get(row.combo_id)) for row in rows], total


async def get_mapping(engine: Engine, caller: Caller, mapping_id: str) -> MappingView:
    """One mapping.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.database.reading() as work:
        return await _view(work, await _found(work, mapping_id))


async def create_mapping(engine: Engine, caller: Caller, new: MappingInput) -> MappingView:
    """Send the names that fit a pattern to a combo, from the next request on.

    Raises:
        InvalidRequest: there is no such combo.
        ValidationFailed: the pattern is blank.
    """
    now = iso(engine.now_ms())
    mapping = ModelMapping(
        id=engine.new_id(), created_at=now, updated_at=now, **msgspec.structs.asdict(new)
    )
    return await _save(engine, caller, "mapping.created", mapping)


async def change_mapping(
    engine: Engine, caller: Caller, mapping_id: str, change: MappingChange
) -> MappingView:
    """Change what is named of a mapping.

    Raises:
        NotFound: there is none with this id.
        InvalidRequest: there is no such combo.
        ValidationFailed: the pattern is blank.
    """
    async with engine.database.reading() as work:
        mapping = await _found(work, mapping_id)
    named = {name: v for name, v in msgspec.structs.asdict(change).items() if v is not UNSET}
    now = iso(engine.now_ms())
    changed = msgspec.structs.replace(mapping, **named, updated_at=now)
    return await _save(engine, caller, "mapping.updated", changed)


async def delete_mapping(engine: Engine, caller: Caller, mapping_id: str) -> None:
    """Delete a mapping.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.configuration.change(caller, "mapping.deleted", mapping_id) as work:
        if not await work.mappings.delete(mapping_id):
            raise NotFound(f"There is no mapping with the id '{mapping_id}'.")


async def _save(engine: Engine, caller: Caller, action: str, mapping: ModelMapping) -> MappingView:
    mapping = msgspec.structs.replace(mapping, pattern=mapping.pattern.strip())
    if not mapping.pattern:
        raise ValidationFailed([("pattern", "must not be blank")])
    async with engine.configuration.change(caller, action, mapping.pattern) as work:
        if await work.combos.get(mapping.combo_id) is None:
            raise InvalidRequest(
                f"There is no combo with the id '{mapping.combo_id}'. GET /api/combos lists them.",
                param="comboId",
            )
        await work.mappings.save(mapping)
        return await _view(work, mapping)


async def _found(work: Work, mapping_id: str) -> ModelMapping:
    mapping = await work.mappings.get(mapping_id)
    if mapping is None:
        raise NotFound(f"There is no mapping with the id '{mapping_id}'.")
    return mapping


async def _view(work: Work, mapping: ModelMapping) -> MappingView:
    return _shown(mapping, await work.combos.get(mapping.combo_id))


def _shown(mapping: ModelMapping, combo: Combo | None) -> MappingView:
    return MappingView(combo_name=combo.name if combo else "", **msgspec.structs.asdict(mapping))
