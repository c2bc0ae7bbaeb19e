"""Prices that operators state, in the key-value table: one value a provider."""

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.catalog.overrides import Stated, StatedPrice
from omniroute.storage.statements import upsert
from omniroute.storage.tables import key_value as table

_NAMESPACE = "pricing"


class PriceRepository:
    """Stated prices by provider and model."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def stated(self) -> Stated:
        """All of them; a damaged value is as if nothing were stated."""
        rows = await self._connection.execute(
            select(table.c.key, table.c.value).where(table.c.namespace == _NAMESPACE)
        )
        found: dict[str, dict[str, StatedPrice]] = {}
        for row in rows:
            try:
                found[row.key] = msgspec.convert(row.value, dict[str, StatedPrice])
            except msgspec.ValidationError:
                continue
        return found

    async def save(self, provider: str, models: dict[str, StatedPrice]) -> None:
        """Replace what is stated for a provider; nothing removes it."""
        if not models:
            await self._connection.execute(
                delete(table).where(table.c.namespace == _NAMESPACE, table.c.key == provider)
            )
            return
        value = {name: msgspec.to_builtins(price) for name, price in models.items()}
        row = {"namespace": _NAMESPACE, "key": provider, "value": value}
        await upsert(self._connection, table, row)
