"""Tool skills and their executions in SQL."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.skills import (
    ExecutionStatus,
    Skill,
    SkillExecution,
    SkillFilter,
)
from omniroute.storage.statements import insert_new, upsert
from omniroute.storage.tables import skill_executions, skills

_UNFINISHED = ("pending", "running")
_TAGS = type_coerce(skills.c.tags, Text)


class SkillRepository:
    """Skills by name, then version as text."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, skill: Skill) -> None:
        """Insert a skill.

        Raises:
            Conflict: its owner has one of this name and version; raised at the end of the work.
        """
        await self._connection.execute(insert(skills), msgspec.structs.asdict(skill))

    async def add_missing(self, rows: Sequence[Skill]) -> None:
        """Insert those whose ids are not there yet."""
        await insert_new(self._connection, skills, [msgspec.structs.asdict(row) for row in rows])

    async def save(self, skill: Skill) -> None:
        """Write a skill over the one with its id."""
        await upsert(self._connection, skills, msgspec.structs.asdict(skill))

    async def get(self, skill_id: str) -> Skill | None:
        """The skill with this id."""
        found = await self._connection.execute(select(skills).where(skills.c.id == skill_id))
        row = found.mappings().first()
        return None if row is None else _skill(row)

    async def named(self, name: str, owners: Sequence[str]) -> list[Skill]:
        """All versions some owners have under a name."""
        mine = (skills.c.name == name, skills.c.api_key_id.in_(owners))
        rows = await self._connection.execute(select(skills).where(*mine))
        return [_skill(row) for row in rows.mappings()]

    async def page(
        self, wanted: SkillFilter, limit: int | None = None, offset: int = 0
    ) -> list[Skill]:
        """Some of what passes the filter; all without a limit."""
        order = (skills.c.name, skills.c.version, skills.c.api_key_id)
        page = select(skills).where(*_where(wanted)).order_by(*order).limit(limit).offset(offset)
        return [_skill(row) for row in (await self._connection.execute(page)).mappings()]

    async def count(self, wanted: SkillFilter) -> int:
        """How many pass the filter."""
        counted = select(func.count()).select_from(skills).where(*_where(wanted))
        return int((await self._connection.execute(counted)).scalar_one())

    async def delete(self, skill_id: str) -> bool:
        """Remove a skill with its executions; False when there was none."""
        removed = await self._connection.execute(delete(skills).where(skills.c.id == skill_id))
        return removed.rowcount > 0

    async def drop_key(self, key_id: str) -> None:
        """Remove what a key owns and what it executed."""
        mine = skill_executions.c.api_key_id == key_id
        await self._connection.execute(delete(skill_executions).where(mine))
        await self._connection.execute(delete(skills).where(skills.c.api_key_id == key_id))


class ExecutionRepository:
    """Executions, newest first. One that has ended keeps its state for good."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, execution: SkillExecution) -> None:
        """Insert an execution."""
        row = msgspec.structs.asdict(execution)
        await self._connection.execute(insert(skill_executions), row)

    async def begin(self, execution_id: str) -> None:
        """It is pending no more."""
        await self._settle(execution_id, "running")

    async def finish(
        self,
        execution_id: str,
        status: ExecutionStatus,
        *,
        output: Any = None,
        error_message: str | None = None,
        duration_ms: int | None = None,
    ) -> None:
        """How it has ended."""
        values = {"output": output, "error_message": error_message, "duration_ms": duration_ms}
        await self._settle(execution_id, status, holder=None, **values)

    async def holders(self) -> tuple[str, ...]:
        """The processes that have something unfinished."""
        query = select(skill_executions.c.holder).where(skill_executions.c.status.in_(_UNFINISHED))
        found = (await self._connection.execute(query.distinct())).scalars()
        return tuple(name for name in found if name)

    async def abandon(self, holders: Sequence[str], error_message: str) -> int:
        """End what these processes have left unfinished; how many there were."""
        left = update(skill_executions).where(
            skill_executions.c.status.in_(_UNFINISHED), skill_executions.c.holder.in_(holders)
        )
        values = {"status": "error", "error_message": error_message, "holder": None}
        return (await self._connection.execute(left.values(values))).rowcount

    async def page(self, owner: str | None, limit: int, offset: int = 0) -> list[SkillExecution]:
        """Some executions of an owner, of all without one."""
        order = (skill_executions.c.created_at_ms.desc(), skill_executions.c.id)
        page = select(skill_executions).where(*_of(owner)).order_by(*order)
        rows = await self._connection.execute(page.limit(limit).offset(offset))
        return [SkillExecution(**dict(row)) for row in rows.mappings()]

    async def count(self, owner: str | None) -> int:
        """How many executions of an owner there are."""
        counted = select(func.count()).select_from(skill_executions).where(*_of(owner))
        return int((await self._connection.execute(counted)).scalar_one())

    async def _settle(self, execution_id: str, status: ExecutionStatus, **values: Any) -> None:
        mine = (
            skill_executions.c.id == execution_id,
            skill_executions.c.status.in_(_UNFINISHED),
        )
        changed = update(skill_executions).where(*mine).values(status=status, **values)
        await self._connection.execute(changed)


def _skill(row: Mapping[Any, Any]) -> Skill:
    schema, tags = row["schema"], row["tags"]
    return Skill(
        **{
            **dict(row),
            "schema": schema if isinstance(schema, dict) else {},
            "tags": tuple(map(str, tags)) if isinstance(tags, list) else (),
        }
    )


def _of(owner: str | None) -> list[ColumnElement[bool]]:
    return [] if owner is None else [skill_executions.c.api_key_id == owner]


def _where(wanted: SkillFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.owners is not None:
        found.append(skills.c.api_key_id.in_(wanted.owners))
    if wanted.name:
        found.append(skills.c.name.icontains(wanted.name, autoescape=True))
    if wanted.text:
        parts = (skills.c.name, skills.c.description, _TAGS)
        found.append(or_(*(part.icontains(wanted.text, autoescape=True) for part in parts)))
    if wanted.enabled is not None:
        found.append(skills.c.enabled.is_(wanted.enabled))
    if wanted.mode is not None:
        found.append(skills.c.mode == wanted.mode)
    if wanted.source == "local":
        found.append(or_(skills.c.source_provider.is_(None), skills.c.source_provider == "local"))
    elif wanted.source is not None:
        found.append(skills.c.source_provider == wanted.source)
    return found
