"""Gateway keys in SQL: their keyed hash and their policy, never their text."""

from typing import Any

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.failures import translated
from omniroute.storage.records import ApiKey
from omniroute.storage.statements import upsert
from omniroute.storage.tables import api_keys as table


class KeyRepository:
    """Gateway keys, oldest first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self, limit: int | None = None, offset: int = 0) -> tuple[ApiKey, ...]:
        """A page of keys; without a limit, all from `offset` on."""
        page = select(table).order_by(table.c.created_at, table.c.id).limit(limit).offset(offset)
        rows = await self._connection.execute(page)
        return tuple(_record(dict(row)) for row in rows.mappings())

    async def count(self) -> int:
        """How many keys there are."""
        total: int = await self._connection.scalar(select(func.count()).select_from(table)) or 0
        return total

    async def get(self, id: str) -> ApiKey | None:  # noqa: A002
        """The key with this id."""
        rows = await self._connection.execute(select(table).where(table.c.id == id))
        row = rows.mappings().first()
        return None if row is None else _record(dict(row))

    async def save(self, key: ApiKey) -> None:
        """Insert the key, or overwrite the one with its id.

        Raises:
            Conflict: the same key text is stored under another id.
        """
        row = msgspec.structs.asdict(key)
        row["key_prefix"] = row.pop("prefix")
        row["key_suffix"] = row.pop("suffix")
        with translated("This key is stored already."):
            await upsert(self._connection, table, row)

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Remove the key; False when there was none."""
        removed = await self._connection.execute(delete(table).where(table.c.id == id))
        return removed.rowcount > 0

    async def touch(self, id: str, last_used_at: str) -> None:  # noqa: A002
        """Note when the key was last used; nothing else of it changes."""
        await self._connection.execute(
            update(table).where(table.c.id == id).values(last_used_at=last_used_at)
        )


def _record(row: dict[str, Any]) -> ApiKey:
    row["prefix"] = row.pop("key_prefix")
    row["suffix"] = row.pop("key_suffix")
    for name in ("scopes", "allowed_models", "allowed_connections"):
        stored = row[name]
        row[name] = tuple(stored) if isinstance(stored, list) else ()
    return ApiKey(**row)
