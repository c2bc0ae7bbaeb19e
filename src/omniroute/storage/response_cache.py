"""Kept answers in SQL: what memory forgets, and what survives a restart."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.live import CachedAnswer, CacheEntry
from omniroute.storage.statements import upsert
from omniroute.storage.tables import response_cache as table

_ENTRY = [column for column in table.c if column.name not in ("data", "owner")]


class ResponseCacheRepository:
    """One row per answer."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, signature: str) -> CachedAnswer | None:
        """One answer."""
        rows = await self._connection.execute(select(table).where(table.c.signature == signature))
        row = rows.mappings().first()
        return None if row is None else CachedAnswer(**row)

    async def put(self, row: CachedAnswer) -> None:
        """Store an answer, or overwrite it."""
        await upsert(self._connection, table, msgspec.structs.asdict(row))

    async def used(self, signature: str) -> None:
        """An answer was given again."""
        await self._connection.execute(
            update(table).where(table.c.signature == signature).values(hits=table.c.hits + 1)
        )

    async def names(self, now_ms: int) -> Mapping[str, int]:
        """Every answer that has not expired, with when it will."""
        rows = await self._connection.execute(
            select(table.c.signature, table.c.expires_at_ms).where(table.c.expires_at_ms > now_ms)
        )
        return {row.signature: row.expires_at_ms for row in rows}

    async def page(
        self, limit: int, offset: int, model: str | None
    ) -> tuple[tuple[CacheEntry, ...], int]:
        """A page of answers without their texts, newest first, and how many there are."""
        which = select(*_ENTRY)
        count = select(func.count()).select_from(table)
        if model is not None:
            which, count = which.where(table.c.model == model), count.where(table.c.model == model)
        which = which.order_by(table.c.created_at_ms.desc(), table.c.signature)
        rows = await self._connection.execute(which.limit(limit).offset(offset))
        total = (await self._connection.execute(count)).scalar_one()
        return tuple(CacheEntry(**row) for row in rows.mappings()), int(total)

    async def delete(
        self,
        *,
        signature: str | None = None,
        model: str | None = None,
        before_ms: int | None = None,
        expired_ms: int | None = None,
    ) -> list[str]:
        """Remove the answers that fit every condition given; their names."""
        conditions: list[ColumnElement[bool]] = []
        if signature is not None:
            conditions.append(table.c.signature == signature)
        if model is not None:
            conditions.append(table.c.model == model)
        if before_ms is not None:
            conditions.append(table.c.created_at_ms <= before_ms)
        if expired_ms is not None:
            conditions.append(table.c.expires_at_ms <= expired_ms)
        rows = await self._connection.execute(
            delete(table).where(*conditions).returning(table.c.signature)
        )
        return [row.signature for row in rows]
