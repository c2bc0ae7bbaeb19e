"""States as JSON values by scope and name, in SQL: of health, and of whose turn it is."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.statements import upsert

StateKey: TypeAlias = tuple[str, str]
"""Scope (`breaker`, `turn`, `tools` and so on) and the name of what it is about."""


class StateRepository:
    """The states of one table. What is as it always was has no row."""

    def __init__(self, connection: AsyncConnection, table: Table) -> None:
        self._connection = connection
        self._table = table

    async def all(self) -> dict[StateKey, Any]:
        """Every stored state; None for one that is damaged."""
        rows = await self._connection.execute(select(self._table))
        return {(row.scope, row.name): row.state for row in rows}

    async def save(self, states: Mapping[StateKey, Any]) -> None:
        """Store these states, each over the one before."""
        # In one order everywhere: two processes that lock the same rows must not wait crosswise.
        for (scope, name), state in sorted(states.items(), key=lambda row: row[0]):
            row = {"scope": scope, "name": name, "state": state}
            await upsert(self._connection, self._table, row)

    async def delete(self, places: Iterable[StateKey]) -> None:
        """Forget these states."""
        columns = self._table.c
        for scope, name in sorted(places):
            await self._connection.execute(
                delete(self._table).where(columns.scope == scope, columns.name == name)
            )
