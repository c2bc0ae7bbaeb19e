"""Sessions of keys that have a limit of them, in SQL: shared by processes."""

from collections.abc import Iterable

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.live import SessionRow
from omniroute.storage.statements import upsert
from omniroute.storage.tables import api_keys
from omniroute.storage.tables import key_sessions as table


class SessionRepository:
    """Registered sessions by key and id."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def register(self, row: SessionRow, limit: int, alive_from_ms: int) -> bool:
        """Add a session unless its key has `limit` others that are alive; False then."""
        mine = table.c.key_id == row.owner
        # Whoever registers for the same key waits here, so that two cannot take the last place.
        key = select(api_keys.c.id).where(api_keys.c.id == row.owner).with_for_update()
        await self._connection.execute(key)
        await self._connection.execute(delete(table).where(mine, table.c.seen_ms < alive_from_ms))
        known = and_(mine, table.c.session_id == row.id)
        touched = await self._connection.execute(
            update(table).where(known).values(seen_ms=row.seen_ms)
        )
        if touched.rowcount:
            return True
        count = select(func.count()).select_from(table).where(mine)
        if (await self._connection.scalar(count) or 0) >= limit:
            return False
        await upsert(self._connection, table, _columns(row))
        return True

    async def save(self, rows: Iterable[SessionRow]) -> None:
        """Note what became of registered sessions; those that are gone stay gone."""
        # In one order everywhere: two processes that lock the same rows must not wait crosswise.
        for row in sorted(rows, key=lambda one: one.place):
            at = and_(table.c.key_id == row.owner, table.c.session_id == row.id)
            await self._connection.execute(update(table).where(at).values(_columns(row)))

    async def alive(self, from_ms: int) -> tuple[SessionRow, ...]:
        """Sessions that were seen since, longest unseen first."""
        rows = await self._connection.execute(
            select(table).where(table.c.seen_ms >= from_ms).order_by(table.c.seen_ms)
        )
        return tuple(
            SessionRow(
                owner=row.key_id,
                id=row.session_id,
                created_ms=int(row.created_ms),
                seen_ms=int(row.seen_ms),
                requests=int(row.requests),
                connection_id=row.connection_id,
            )
            for row in rows
        )

    async def drop_key(self, key_id: str) -> None:
        """Forget the sessions of a key."""
        await self._connection.execute(delete(table).where(table.c.key_id == key_id))


def _columns(row: SessionRow) -> dict[str, str | int | None]:
    return {
        "key_id": row.owner,
        "session_id": row.id,
        "created_ms": row.created_ms,
        "seen_ms": row.seen_ms,
        "requests": row.requests,
        "connection_id": row.connection_id,
    }
