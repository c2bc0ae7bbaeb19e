"""Gateway keys in SQL: their keyed hash and their policy, never their text."""

import logging
from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.failures import translated
from omniroute.storage.records.configuration import ApiKey
from omniroute.storage.sealing import Sealer
from omniroute.storage.statements import rows_of, upsert
from omniroute.storage.tables import api_keys as table

log = logging.getLogger(__name__)

_LISTS = ("scopes", "allowed_models", "allowed_connections", "ip_allowlist", "disabled_guardrails")
_LATER = {"auto_resolve": False, "max_sessions": 0}
"""Columns that rows of earlier versions have no value in."""


class KeyRepository:
    """Gateway keys, oldest first."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def list(self, limit: int | None = None, offset: int = 0) -> tuple[ApiKey, ...]:
        """A page of keys; without a limit, all from `offset` on."""
        page = select(table).order_by(table.c.created_at, table.c.id).limit(limit).offset(offset)
        parts = rows_of(self._connection, page)
        return tuple([_record(row) async for part in parts for row in part])

    async def some(self, ids: Collection[str]) -> tuple[ApiKey, ...]:
        """Those keys of these ids that exist, in no order."""
        rows = await self._connection.execute(select(table).where(table.c.id.in_(ids)))
        return tuple(_record(row) for row in rows.mappings())

    async def count(self) -> int:
        """How many keys there are."""
        total: int = await self._connection.scalar(select(func.count()).select_from(table)) or 0
        return total

    async def get(self, id: str) -> ApiKey | None:  # noqa: A002
        """The key with this id."""
        rows = await self._connection.execute(select(table).where(table.c.id == id))
        row = rows.mappings().first()
        return None if row is None else _record(row)

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

    async def seal(self, id: str, text: str | None) -> None:  # noqa: A002
        """Keep the text of a key, encrypted, so that it can be revealed; None forgets it."""
        sealed = None
        if text is not None:
            sealed = (await self._sealer.steady()).seal(text, place(id))
        await self._connection.execute(
            update(table).where(table.c.id == id).values(sealed_key=sealed)
        )

    async def reveal(self, id: str) -> str | None:  # noqa: A002
        """The text of a key; None where it was not kept or cannot be opened."""
        sealed = await self._connection.scalar(select(table.c.sealed_key).where(table.c.id == id))
        return None if sealed is None else self._sealer.open(sealed, place(id))

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Remove the key; False when there was none."""
        removed = await self._connection.execute(delete(table).where(table.c.id == id))
        return removed.rowcount > 0

    async def touch(self, id: str, last_used_at: str) -> None:  # noqa: A002
        """Note when the key was last used; nothing else of it changes."""
        await self._connection.execute(
            update(table).where(table.c.id == id).values(last_used_at=last_used_at)
        )


def place(id_: str) -> str:
    """What the text of a key is bound to."""
    return f"{table.name}:{id_}:sealed_key"


def _record(columns: RowMapping) -> ApiKey:
    row: dict[str, Any] = {str(name): value for name, value in columns.items()}
    row["prefix"] = row.pop("key_prefix")
    row["suffix"] = row.pop("key_suffix")
    row.pop("sealed_key")
    for name in _LISTS:
        stored = row[name]
        row[name] = tuple(stored) if isinstance(stored, list) else ()
    for name, default in _LATER.items():
        row[name] = default if row[name] is None else row[name]
    try:
        return msgspec.convert(row, ApiKey)
    except msgspec.ValidationError:
        # Nobody knows what the key may do, so it may do nothing until somebody says so again.
        log.warning("the policy of key %s is damaged: the key is switched off", row["id"])
        kept = {**row, "access_schedule": None, "rate_limits": None, "is_active": False}
        return msgspec.convert(kept, ApiKey)
