"""Stored responses in SQL."""

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.agents import ResponseRow
from omniroute.storage.statements import insert_into
from omniroute.storage.tables import stored_responses as table

RUNNING = ("queued", "in_progress")
"""States of a background response that somebody has to finish."""


class ResponseRepository:
    """Responses by id. One that has ended keeps its state for good."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: ResponseRow) -> None:
        """Insert a response, or overwrite the one with its id."""
        statement = insert_into(self._connection, table)
        values = msgspec.structs.asdict(row)
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["id"],
                set_={name: statement.excluded[name] for name in values if name != "id"},
            ),
            values,
        )

    async def get(self, id: str, now_ms: int) -> ResponseRow | None:  # noqa: A002
        """The response with this id, unless it has expired."""
        found = select(table).where(table.c.id == id, table.c.expires_at_ms > now_ms)
        row = (await self._connection.execute(found)).mappings().first()
        return None if row is None else ResponseRow(**dict(row))

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Remove a response; False when there was none."""
        removed = await self._connection.execute(delete(table).where(table.c.id == id))
        return removed.rowcount > 0

    async def finish(self, id: str, status: str, response: str) -> bool:  # noqa: A002
        """Settle a running response; False when it has ended already, or is gone."""
        changed = await self._connection.execute(
            update(table)
            .where(table.c.id == id, table.c.status.in_(RUNNING))
            .values(status=status, response=response, lease_until_ms=0)
        )
        return changed.rowcount > 0

    async def claim(self, id: str, now_ms: int, until_ms: int) -> bool:  # noqa: A002
        """Take a running response whose lease has run out; False when somebody else has it."""
        taken = await self._connection.execute(
            update(table)
            .where(
                table.c.id == id,
                table.c.status.in_(RUNNING),
                table.c.lease_until_ms <= now_ms,
            )
            .values(lease_until_ms=until_ms)
        )
        return taken.rowcount > 0

    async def renew(self, id: str, until_ms: int) -> bool:  # noqa: A002
        """Keep a lease; False when the response has ended, by somebody else's hand."""
        kept = await self._connection.execute(
            update(table)
            .where(table.c.id == id, table.c.status.in_(RUNNING))
            .values(lease_until_ms=until_ms)
        )
        return kept.rowcount > 0

    async def unclaimed(self, now_ms: int) -> tuple[str, ...]:
        """Ids of running responses nobody works on, oldest first."""
        rows = await self._connection.execute(
            select(table.c.id)
            .where(table.c.status.in_(RUNNING), table.c.lease_until_ms <= now_ms)
            .order_by(table.c.created_at_ms)
        )
        return tuple(rows.scalars())
