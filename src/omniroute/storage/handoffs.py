"""Summaries of conversations that wait for another account, in SQL."""

from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.statements import upsert
from omniroute.storage.tables import context_handoffs as table


class HandoffRepository:
    """Summaries as JSON text, by session and combo."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def alive(self, now_ms: int) -> Mapping[tuple[str, str], str]:
        """Those that have not expired."""
        rows = await self._connection.execute(select(table).where(table.c.expires_at_ms > now_ms))
        return {(row.session, row.combo): row.data for row in rows}

    async def put(self, session: str, combo: str, data: str, expires_at_ms: int) -> None:
        """Store one, over the one before."""
        row = {"session": session, "combo": combo, "data": data, "expires_at_ms": expires_at_ms}
        await upsert(self._connection, table, row)

    async def drop(self, session: str, combo: str) -> None:
        """Forget one."""
        await self._connection.execute(
            delete(table).where(table.c.session == session, table.c.combo == combo)
        )

    async def drop_expired(self, now_ms: int) -> None:
        """Forget those nobody reads any more."""
        await self._connection.execute(delete(table).where(table.c.expires_at_ms <= now_ms))
