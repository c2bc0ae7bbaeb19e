"""Tool skills: which there are, for whom, and switching, installing and deleting them. 02 §24."""

from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import Conflict, Forbidden, NotFound, ValidationFailed
from omniroute.operations.access.ownership import require_own
from omniroute.operations.skills.schemas import require_schemas
from omniroute.operations.skills.views import SkillLine, SkillView, skill_line, skill_view
from omniroute.skills.versions import PATTERN
from omniroute.storage.records.skills import (
    SHARED_OWNERS,
    SYSTEM_OWNER,
    Skill,
    SkillFilter,
    SkillMode,
)

Owner: TypeAlias = Annotated[str, Meta(max_length=200)]
SkillId: TypeAlias = Annotated[str, Meta(max_length=200)]
SkillName: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=100, pattern=r"^[^@\x00-\x1f]+$")
]
Description: TypeAlias = Annotated[str, Meta(max_length=500)]
HandlerText: TypeAlias = Annotated[str, Meta(min_length=1, max_length=50_000)]
Tags: TypeAlias = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=20)
]


class SkillSchema(Struct, frozen=True, kw_only=True):
    """JSON Schemas of what a skill takes and gives."""

    input: dict[str, Any] = {}
    output: dict[str, Any] = {}


class SkillsQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which skills are listed.

    Attributes:
        api_key_id: skills this key may use: its own and the shared ones. Operators may leave it
            out for the skills of all keys; for others it is their own key.
        name: a part of the name, in any case.
    """

    api_key_id: Owner | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    enabled: bool | None = None


class SkillsList(Struct, frozen=True):
    """Skills by name and version."""

    skills: list[SkillLine]
    count: int


class SkillToggle(Struct, frozen=True, kw_only=True, rename="camel"):
    """A skill to switch on or off.

    Attributes:
        api_key_id: who uses it: the id of the caller's own key; operators may name any.
        skill_id: its id, which a list of skills shows.
    """

    api_key_id: Owner
    skill_id: SkillId
    enabled: bool


class SkillToggled(Struct, frozen=True, rename="camel"):
    """How the skill is now."""

    success: bool
    skill_id: str
    enabled: bool


class SkillManifest(Struct, frozen=True, kw_only=True, rename="camel"):
    """A skill to install. `handler_code` names a built-in tool: it is never executed itself."""

    name: SkillName
    handler_code: HandlerText
    version: Annotated[str, Meta(pattern=PATTERN)] = "1.0.0"
    description: Description = ""
    schema: SkillSchema = field(default_factory=SkillSchema)
    api_key_id: Owner = SYSTEM_OWNER


class SkillChange(Struct, frozen=True, kw_only=True, rename="camel"):
    """What to change of a skill; the rest stays. `enabled` and `mode` move together."""

    name: SkillName | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    mode: SkillMode | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    schema: SkillSchema | UnsetType = UNSET
    handler: HandlerText | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


async def list_skills(engine: Engine, caller: Caller, query: SkillsQuery) -> SkillsList:
    """The skills a key may use; for operators without a key those of all.

    Raises:
        Forbidden: the key is somebody else's.
    """
    owner = query.api_key_id
    if owner is None and not caller.is_operator:
        owner = caller.owner
    if owner is not None:
        require_own(caller, owner)
    owners = None if owner is None else (owner, *SHARED_OWNERS)
    wanted = SkillFilter(owners=owners, name=query.name, enabled=query.enabled)
    async with engine.database.reading() as work:
        found = await work.skills.page(wanted)
    return SkillsList([skill_line(one) for one in found], len(found))


async def enable_skill(engine: Engine, caller: Caller, query: SkillToggle) -> SkillToggled:
    """Switch a skill on or off: a key its own, an operator also those that all keys share.

    Raises:
        Forbidden: the skill is not the caller's alone.
        NotFound: the key has no skill with this id.
    """
    require_own(caller, query.api_key_id)
    skill = await _get(engine, query.skill_id)
    if skill.api_key_id not in (query.api_key_id, *SHARED_OWNERS):
        raise _unknown(query.skill_id)
    if skill.api_key_id != query.api_key_id and not caller.is_operator:
        raise Forbidden(
            f"The skill '{skill.name}' is shared by all keys; only operators switch it."
        )
    changed = _switched(skill, enabled=query.enabled)
    if changed != skill:
        await _save(engine, caller, changed)
    return SkillToggled(True, skill.id, query.enabled)


async def skills_page(
    engine: Engine, caller: Caller, wanted: SkillFilter, limit: int, offset: int
) -> tuple[list[SkillView], int]:
    """Some of the skills of all keys, and how many pass the filter."""
    async with engine.database.reading() as work:
        found = await work.skills.page(wanted, limit, offset)
        total = await work.skills.count(wanted)
    return [skill_view(one) for one in found], total


async def get_skill(engine: Engine, caller: Caller, skill_id: str) -> SkillView:
    """One skill.

    Raises:
        NotFound: there is none with this id.
    """
    return skill_view(await _get(engine, skill_id))


async def install_skill(engine: Engine, caller: Caller, manifest: SkillManifest) -> SkillView:
    """Add a version of a skill, switched on.

    Raises:
        ValidationFailed: a schema is none.
        Conflict: its owner has this version already.
    """
    schema = _schema(manifest.schema)
    now_ms = engine.now_ms()
    skill = Skill(
        id=engine.new_id(),
        api_key_id=manifest.api_key_id or SYSTEM_OWNER,
        name=manifest.name,
        version=manifest.version,
        description=manifest.description,
        schema=schema,
        handler=manifest.handler_code,
        enabled=True,
        mode="on",
        source_provider="local",
        tags=(),
        install_count=0,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    target = _target(skill)
    async with engine.configuration.change(caller, "skill.installed", target) as work:
        await _require_free(work.skills.named, skill)
        await work.skills.add(skill)
    return skill_view(skill)


async def change_skill(
    engine: Engine, caller: Caller, skill_id: str, change: SkillChange
) -> SkillView:
    """Change what is named of a skill.

    Raises:
        ValidationFailed: nothing is named, a schema is none, or `enabled` contradicts `mode`.
        NotFound: there is none with this id.
        Conflict: its owner has this version under the new name, or it is built in.
    """
    said = {
        name: value
        for name in change.__struct_fields__
        if (value := getattr(change, name)) is not UNSET
    }
    if not said:
        raise ValidationFailed([("", "at least one field is needed")])
    skill = await _get(engine, skill_id)
    if is_built_in(skill) and said.keys() & {"name", "schema", "handler"}:
        raise Conflict("The skill is built in: only its mode, description and tags can change.")
    if isinstance(change.schema, SkillSchema):
        said["schema"] = _schema(change.schema)
    enabled, mode = said.pop("enabled", None), said.pop("mode", None)
    if enabled is not None and mode is not None and enabled != (mode != "off"):
        raise ValidationFailed([("mode", "must be 'off' exactly where enabled is false")])
    changed = replace(skill, **said)
    if mode is not None:
        changed = replace(changed, mode=mode, enabled=mode != "off")
    elif enabled is not None:
        changed = _switched(changed, enabled=enabled)
    return skill_view(await _save(engine, caller, changed, renamed=changed.name != skill.name))


async def delete_skill(engine: Engine, caller: Caller, skill_id: str) -> None:
    """Delete a skill with its executions.

    Raises:
        NotFound: there is none with this id.
        Conflict: it is built in.
    """
    skill = await _get(engine, skill_id)
    if is_built_in(skill):
        raise Conflict("The skill is built in; switch it off instead.")
    async with engine.configuration.change(caller, "skill.deleted", _target(skill)) as work:
        await work.skills.delete(skill_id)


def is_built_in(skill: Skill) -> bool:
    """Whether a skill comes with the gateway."""
    return skill.id == built_in_id(skill.handler)


def built_in_id(handler: str) -> str:
    """The id of the skill that comes with a built-in tool."""
    return f"builtin-{handler}"


def _switched(skill: Skill, *, enabled: bool) -> Skill:
    if skill.enabled == enabled:
        return skill
    return replace(skill, enabled=enabled, mode="on" if enabled else "off")


def _schema(given: SkillSchema) -> dict[str, Any]:
    schema = {"input": given.input, "output": given.output}
    require_schemas(schema)
    return schema


async def _get(engine: Engine, skill_id: str) -> Skill:
    async with engine.database.reading() as work:
        found = await work.skills.get(skill_id)
    if found is None:
        raise _unknown(skill_id)
    return found


async def _save(engine: Engine, caller: Caller, skill: Skill, *, renamed: bool = False) -> Skill:
    changed = replace(skill, updated_at_ms=engine.now_ms())
    async with engine.configuration.change(caller, "skill.updated", _target(skill)) as work:
        if renamed:
            await _require_free(work.skills.named, changed)
        await work.skills.save(changed)
        work.details.update({"mode": changed.mode, "enabled": changed.enabled})
    return changed


async def _require_free(named: Any, skill: Skill) -> None:
    others = await named(skill.name, (skill.api_key_id,))
    if any(other.version == skill.version for other in others):
        raise Conflict(f"'{_target(skill)}' is installed already; choose another version.")


def _target(skill: Skill) -> str:
    return f"{skill.name}@{skill.version}"


def _unknown(skill_id: str) -> NotFound:
    return NotFound(f"There is no skill '{skill_id[:100]}'; a list of skills shows the ids.")
