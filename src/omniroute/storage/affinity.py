"""Which account a conversation stays with, in SQL."""

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.live import Binding
from omniroute.storage.statements import upsert
from omniroute.storage.tables import session_account_affinity as table


class AffinityRepository:
    """Bindings by session and provider."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def seen_since(self, from_ms: int) -> tuple[Binding, ...]:
        """Bindings that were used since, longest unused first."""
        rows = await self._connection.execute(
            select(table).where(table.c.last_seen_ms >= from_ms).order_by(table.c.last_seen_ms)
        )
        return tuple(
            Binding(
                session=row.session_key,
                provider=row.provider,
                connection=row.connection_id,
                created_ms=int(row.created_ms),
                seen_ms=int(row.last_seen_ms),
            )
            for row in rows
        )

    async def save(self, bindings: Iterable[Binding]) -> None:
        """Store bindings, each over the one before."""
        # In one order everywhere: two processes that lock the same rows must not wait crosswise.
        for binding in sorted(bindings, key=lambda row: (row.session, row.provider)):
            row = {
                "session_key": binding.session,
                "provider": binding.provider,
                "connection_id": binding.connection,
                "created_ms": binding.created_ms,
                "last_seen_ms": binding.seen_ms,
            }
            await upsert(self._connection, table, row)

    async def delete(self, places: Iterable[tuple[str, str]]) -> None:
        """Forget the bindings of these sessions at these providers."""
        for session, provider in sorted(places):
            await self._connection.execute(
                delete(table).where(table.c.session_key == session, table.c.provider == provider)
            )

    async def drop_unseen(self, before_ms: int) -> None:
        """Forget bindings nobody has used for long."""
        await self._connection.execute(delete(table).where(table.c.last_seen_ms < before_ms))
