"""Routing decisions in SQL: the stored answer to why a request went where it went."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.usage import TraceRow
from omniroute.storage.statements import insert_new
from omniroute.storage.tables import routing_decisions as table


class TraceRepository:
    """One row per finished request."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[TraceRow]) -> None:
        """Insert the rows; those whose request is stored already are left as they are."""
        values = [msgspec.structs.asdict(row) for row in rows]
        for value in values:
            value["timestamp"] = value.pop("timestamp_ms")
        await insert_new(self._connection, table, values)

    async def known(self, request_ids: Sequence[str]) -> set[str]:
        """Which of these requests are stored already."""
        rows = await self._connection.execute(
            select(table.c.request_id).where(table.c.request_id.in_(request_ids))
        )
        return {row.request_id for row in rows}

    async def get(self, request_id: str) -> TraceRow | None:
        """The decision about one request."""
        rows = await self._connection.execute(select(table).where(table.c.request_id == request_id))
        row = rows.mappings().first()
        return None if row is None else _record(dict(row))

    async def of_combo(self, combo: str, since_ms: int, limit: int) -> tuple[TraceRow, ...]:
        """The newest decisions of a combo since a time, oldest first."""
        newest = select(table).where(table.c.combo == combo, table.c.timestamp >= since_ms)
        newest = newest.order_by(table.c.timestamp.desc(), table.c.request_id.desc()).limit(limit)
        rows = (await self._connection.execute(newest)).mappings().all()
        return tuple(_record(dict(row)) for row in reversed(rows))

    async def recent(self, limit: int) -> tuple[TraceRow, ...]:
        """The latest decisions, newest first."""
        newest = select(table).order_by(table.c.timestamp.desc(), table.c.request_id.desc())
        rows = await self._connection.execute(newest.limit(limit))
        return tuple(_record(dict(row)) for row in rows.mappings())


def _record(row: dict[str, Any]) -> TraceRow:
    return TraceRow(timestamp_ms=row.pop("timestamp"), **row)
