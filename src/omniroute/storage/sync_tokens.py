"""Tokens with which the configuration is fetched, in SQL: their hash, never their text."""

import hashlib

from msgspec import Struct
from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.statements import insert_into
from omniroute.storage.tables import sync_tokens as table


class SyncToken(Struct, frozen=True, kw_only=True, rename="camel"):
    """A token. Times are ISO-8601; `sync_api_key_id` is the key of whoever made it."""

    id: str
    name: str
    sync_api_key_id: str | None
    revoked_at: str | None
    last_used_at: str | None
    created_at: str
    updated_at: str


class SyncTokenRepository:
    """Tokens, oldest first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self) -> list[SyncToken]:
        """All of them, revoked ones too."""
        rows = await self._connection.execute(
            select(table).order_by(table.c.created_at, table.c.id)
        )
        return [_record(row) for row in rows.mappings()]

    async def add(self, token: SyncToken, text: str) -> None:
        """Keep a new token."""
        values = {name: getattr(token, name) for name in token.__struct_fields__}
        row = {**values, "token_hash": hashed(text)}
        await self._connection.execute(insert_into(self._connection, table).values(row))

    async def used(self, text: str, now: str) -> SyncToken | None:
        """The token with a text, if it counts; it was used now."""
        changed = await self._connection.execute(
            update(table)
            .where(table.c.token_hash == hashed(text), table.c.revoked_at.is_(None))
            .values(last_used_at=now)
            .returning(*table.c)
        )
        row = changed.mappings().first()
        return None if row is None else _record(row)

    async def revoke(self, token_id: str, now: str) -> SyncToken | None:
        """The token with this id, which does not count any more."""
        known = select(table.c.revoked_at).where(table.c.id == token_id)
        revoked = (await self._connection.execute(known)).scalar()
        changed = await self._connection.execute(
            update(table)
            .where(table.c.id == token_id)
            .values(revoked_at=revoked or now, updated_at=now)
            .returning(*table.c)
        )
        row = changed.mappings().first()
        return None if row is None else _record(row)


def hashed(text: str) -> str:
    """What is kept of a token: it is random enough for a plain digest."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _record(row: RowMapping) -> SyncToken:
    return SyncToken(**{name: row[name] for name in SyncToken.__struct_fields__})
