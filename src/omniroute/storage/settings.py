"""Settings and the configuration version in SQL, both in the key-value table."""

from typing import Any

from sqlalchemy import BigInteger, Text, cast, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.statements import insert_into, upsert
from omniroute.storage.tables import key_value as table

_SETTINGS = "settings"
_VERSION = {"namespace": "meta", "key": "configurationVersion"}


class SettingsRepository:
    """Named JSON values, and a counter that says when any configuration has changed."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self) -> dict[str, Any]:
        """Every stored setting; defaults are not filled in."""
        rows = await self._connection.execute(
            select(table.c.key, table.c.value).where(table.c.namespace == _SETTINGS)
        )
        return {row.key: row.value for row in rows}

    async def namespace(self, name: str) -> dict[str, Any]:
        """Every value of a namespace of its own."""
        rows = await self._connection.execute(
            select(table.c.key, table.c.value).where(table.c.namespace == name)
        )
        return {row.key: row.value for row in rows}

    async def get(self, key: str) -> Any:
        """The stored value, or None."""
        return await self._connection.scalar(
            select(table.c.value).where(table.c.namespace == _SETTINGS, table.c.key == key)
        )

    async def set(self, key: str, value: Any, *, namespace: str = _SETTINGS) -> None:
        """Store a JSON value other than null."""
        await upsert(self._connection, table, {"namespace": namespace, "key": key, "value": value})

    async def delete(self, key: str) -> bool:
        """Go back to the default; False when it was not set."""
        removed = await self._connection.execute(
            delete(table).where(table.c.namespace == _SETTINGS, table.c.key == key)
        )
        return removed.rowcount > 0

    async def version(self) -> int:
        """The configuration version: 0 at first, one more with every `bump`."""
        stored = await self._connection.scalar(
            select(table.c.value).where(
                table.c.namespace == _VERSION["namespace"], table.c.key == _VERSION["key"]
            )
        )
        return int(stored or 0)

    async def bump(self) -> int:
        """Count one change of the configuration, in one atomic statement; the new version."""
        counted = insert_into(self._connection, table).on_conflict_do_update(
            index_elements=["namespace", "key"],
            set_={"value": cast(cast(table.c.value, BigInteger) + 1, Text)},
        )
        return int(
            (
                await self._connection.execute(
                    counted.returning(table.c.value), {**_VERSION, "value": 1}
                )
            ).scalar_one()
        )
