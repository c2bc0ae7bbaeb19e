"""Memories in SQL."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, case, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.memories import Memory, MemoryFilter
from omniroute.storage.search_index import contains
from omniroute.storage.statements import insert_into
from omniroute.storage.tables import memories as table
from omniroute.storage.words import words

_FIELDS = tuple(table.c[name] for name in Memory.__struct_fields__)
_NEWEST = (table.c.updated_at_ms.desc(), table.c.memory_id.desc())


class MemoryRepository:
    """Memories, newest first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(self, memory: Memory) -> Memory:
        """Add a memory, or renew the one its owner has under its key: that keeps its id and when
        it was made, and the members of its metadata that are not named anew.

        Returns:
            The memory as it is stored.
        """
        mine = (table.c.api_key_id == memory.api_key_id, table.c.key == memory.key)
        standing = select(*_FIELDS).where(*mine).with_for_update()
        statement = insert_into(self._connection, table).on_conflict_do_nothing(
            index_elements=["api_key_id", "key"]
        )
        found = None
        while found is None:  # one that is deleted between the two is added after all
            made = await self._connection.execute(statement, _row(memory))
            if made.rowcount > 0:
                return memory
            found = (await self._connection.execute(standing)).mappings().first()
        old = _memory(found)
        renewed = msgspec.structs.replace(
            memory,
            id=old.id,
            created_at_ms=old.created_at_ms,
            metadata={**old.metadata, **memory.metadata},
        )
        await self._connection.execute(update(table).where(*mine).values(_row(renewed)))
        return renewed

    async def get(self, memory_id: str) -> Memory | None:
        """The memory with this id."""
        found = await self._connection.execute(select(*_FIELDS).where(table.c.id == memory_id))
        row = found.mappings().first()
        return None if row is None else _memory(row)

    async def delete(self, memory_id: str) -> bool:
        """Remove a memory; False when there was none."""
        removed = await self._connection.execute(delete(table).where(table.c.id == memory_id))
        return removed.rowcount > 0

    async def clear(self, wanted: MemoryFilter) -> int:
        """Remove what passes the filter; how many there were."""
        removed = await self._connection.execute(delete(table).where(*_where(wanted)))
        return removed.rowcount

    async def page(self, wanted: MemoryFilter, limit: int, offset: int = 0) -> list[Memory]:
        """Some of what passes the filter."""
        page = select(*_FIELDS).where(*_where(wanted)).order_by(*_NEWEST)
        rows = await self._connection.execute(page.limit(limit).offset(offset))
        return [_memory(row) for row in rows.mappings()]

    async def counts(self, wanted: MemoryFilter) -> dict[str, int]:
        """How many pass the filter, by type."""
        counted = select(table.c.type, func.count()).where(*_where(wanted)).group_by(table.c.type)
        rows: list[Any] = list(await self._connection.execute(counted))
        return {row[0]: int(row[1]) for row in rows}

    async def matching(
        self, wanted: MemoryFilter, asked: tuple[str, ...], limit: int
    ) -> list[Memory]:
        """What passes the filter and has any of the words (see `words.asked_words`): the most of
        them first, then the newest."""
        if not asked:
            return []
        dialect = self._connection.dialect.name
        hits = [contains(table.c.memory_id, (word,), dialect) for word in asked]
        most = sum((case((hit, 1), else_=0) for hit in hits[1:]), case((hits[0], 1), else_=0))
        found = (
            select(*_FIELDS)
            .where(*_where(wanted), contains(table.c.memory_id, asked, dialect))
            .order_by(most.desc(), *_NEWEST)
            .limit(limit)
        )
        rows = await self._connection.execute(found)
        return [_memory(row) for row in rows.mappings()]


def _row(memory: Memory) -> dict[str, Any]:
    seen = dict.fromkeys(words(f"{memory.key} {memory.content}"))
    return {**msgspec.structs.asdict(memory), "terms": " ".join(seen)}


def _memory(row: Mapping[Any, Any]) -> Memory:
    metadata = row["metadata"]
    return Memory(**{**dict(row), "metadata": metadata if isinstance(metadata, dict) else {}})


def _where(wanted: MemoryFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        table.c[name] == value
        for name in ("api_key_id", "type", "session_id")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.text:
        parts = (table.c.content, table.c.key)
        found.append(or_(*(part.icontains(wanted.text, autoescape=True) for part in parts)))
    if wanted.since_ms is not None:
        found.append(table.c.updated_at_ms >= wanted.since_ms)
    if wanted.before_ms is not None:
        found.append(table.c.updated_at_ms < wanted.before_ms)
    if wanted.living_at_ms is not None:
        ends = table.c.expires_at_ms
        found.append(or_(ends.is_(None), ends > wanted.living_at_ms))
    return found
