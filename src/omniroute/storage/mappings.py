"""Patterns of model names that stand for combos, in SQL."""

from collections.abc import Collection

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.failures import translated
from omniroute.storage.records.configuration import ModelMapping
from omniroute.storage.statements import rows_of, upsert
from omniroute.storage.tables import model_combo_mappings as table


class MappingRepository:
    """Mappings in the order in which they are tried."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self, limit: int | None = None, offset: int = 0) -> tuple[ModelMapping, ...]:
        """A page of mappings, highest priority first, then oldest first; all without a limit."""
        ordered = select(table).order_by(table.c.priority.desc(), table.c.created_at, table.c.id)
        parts = rows_of(self._connection, ordered.limit(limit).offset(offset))
        return tuple([ModelMapping(**row) async for part in parts for row in part])

    async def count(self) -> int:
        """How many mappings there are."""
        total: int = await self._connection.scalar(select(func.count()).select_from(table)) or 0
        return total

    async def some(self, ids: Collection[str]) -> tuple[ModelMapping, ...]:
        """Those mappings of these ids that exist, in no order."""
        rows = await self._connection.execute(select(table).where(table.c.id.in_(ids)))
        return tuple(ModelMapping(**row) for row in rows.mappings())

    async def get(self, id: str) -> ModelMapping | None:  # noqa: A002
        """The mapping with this id."""
        rows = await self._connection.execute(select(table).where(table.c.id == id))
        row = rows.mappings().first()
        return None if row is None else ModelMapping(**row)

    async def save(self, mapping: ModelMapping) -> None:
        """Insert the mapping, or overwrite the one with its id.

        Raises:
            Conflict: its combo is gone.
        """
        with translated("The combo of this mapping does not exist any more."):
            await upsert(self._connection, table, msgspec.structs.asdict(mapping))

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Remove the mapping; False when there was none."""
        removed = await self._connection.execute(delete(table).where(table.c.id == id))
        return removed.rowcount > 0
