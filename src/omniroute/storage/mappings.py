"""Patterns of model names that stand for combos, in SQL."""

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.failures import translated
from omniroute.storage.records.configuration import ModelMapping
from omniroute.storage.statements import upsert
from omniroute.storage.tables import model_combo_mappings as table


class MappingRepository:
    """Mappings in the order in which they are tried."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self) -> tuple[ModelMapping, ...]:
        """All mappings, highest priority first, then oldest first."""
        rows = await self._connection.execute(
            select(table).order_by(table.c.priority.desc(), table.c.created_at, table.c.id)
        )
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
