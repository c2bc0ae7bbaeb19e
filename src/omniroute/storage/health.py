"""What is known of the health of providers, accounts and models, in SQL."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.statements import upsert
from omniroute.storage.tables import health_states as table

Place: TypeAlias = tuple[str, str]
"""Scope (`breaker`, `cooldown`, `lockout`, `tools`) and the name of what it is about."""


class HealthRepository:
    """States that are not healthy, as JSON values. What is healthy has no row."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self) -> dict[Place, Any]:
        """Every stored state; None for one that is damaged."""
        rows = await self._connection.execute(select(table))
        return {(row.scope, row.name): row.state for row in rows}

    async def save(self, states: Mapping[Place, Any]) -> None:
        """Store these states, each over the one before."""
        for (scope, name), state in states.items():
            await upsert(self._connection, table, {"scope": scope, "name": name, "state": state})

    async def delete(self, places: Iterable[Place]) -> None:
        """Forget these states."""
        for scope, name in places:
            await self._connection.execute(
                delete(table).where(table.c.scope == scope, table.c.name == name)
            )
