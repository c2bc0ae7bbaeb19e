"""What providers reported of accounts' quotas, in SQL: one row per window and report."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import RowMapping, and_, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.live import QuotaSnapshot
from omniroute.storage.tables import quota_snapshots as table


class QuotaRepository:
    """The history of quotas."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def append(self, rows: Sequence[QuotaSnapshot]) -> None:
        """Store the windows of one report."""
        for row in rows:
            values = msgspec.structs.asdict(row)
            values["raw_data"] = values.pop("raw")
            await self._connection.execute(insert(table), values)

    async def of(self, connection_id: str, limit: int) -> tuple[QuotaSnapshot, ...]:
        """The newest windows of an account, newest first."""
        rows = await self._connection.execute(
            select(table)
            .where(table.c.connection_id == connection_id)
            .order_by(table.c.created_at_ms.desc(), table.c.window_key)
            .limit(limit)
        )
        return tuple(_snapshot(row) for row in rows.mappings())

    async def since(
        self, since_ms: int, provider: str | None, limit: int
    ) -> tuple[QuotaSnapshot, ...]:
        """The newest windows of all accounts, or of a provider's, newest first."""
        wanted = select(table).where(table.c.created_at_ms >= since_ms)
        if provider is not None:
            wanted = wanted.where(table.c.provider == provider)
        newest = wanted.order_by(table.c.created_at_ms.desc(), table.c.id).limit(limit)
        rows = await self._connection.execute(newest)
        return tuple(_snapshot(row) for row in rows.mappings())

    async def latest(self) -> tuple[QuotaSnapshot, ...]:
        """The windows of every account's newest report."""
        newest = (
            select(table.c.connection_id, func.max(table.c.created_at_ms).label("at"))
            .group_by(table.c.connection_id)
            .subquery()
        )
        rows = await self._connection.execute(
            select(table).join(
                newest,
                and_(
                    table.c.connection_id == newest.c.connection_id,
                    table.c.created_at_ms == newest.c.at,
                ),
            )
        )
        return tuple(_snapshot(row) for row in rows.mappings())


def _snapshot(row: RowMapping) -> QuotaSnapshot:
    values = dict(row)
    return QuotaSnapshot(raw=values.pop("raw_data"), **values)
