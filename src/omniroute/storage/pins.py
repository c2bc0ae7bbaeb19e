"""Which model a conversation keeps, in SQL."""

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.live import Pin
from omniroute.storage.statements import upsert
from omniroute.storage.tables import conversation_pins as table


class PinRepository:
    """Pins by conversation and combo."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def seen_since(self, from_ms: int) -> tuple[Pin, ...]:
        """Pins that were used since, longest unused first."""
        rows = await self._connection.execute(
            select(table).where(table.c.last_seen_ms >= from_ms).order_by(table.c.last_seen_ms)
        )
        return tuple(
            Pin(row.conversation, row.combo, row.provider, row.model, int(row.last_seen_ms))
            for row in rows
        )

    async def save(self, pins: Iterable[Pin]) -> None:
        """Store pins, each over the one before."""
        # In one order everywhere: two processes that lock the same rows must not wait crosswise.
        for pin in sorted(pins, key=lambda row: (row.conversation, row.combo)):
            row = {
                "conversation": pin.conversation,
                "combo": pin.combo,
                "provider": pin.provider,
                "model": pin.model,
                "last_seen_ms": pin.seen_ms,
            }
            await upsert(self._connection, table, row)

    async def drop_unseen(self, before_ms: int) -> None:
        """Forget pins nobody has used for long."""
        await self._connection.execute(delete(table).where(table.c.last_seen_ms < before_ms))
