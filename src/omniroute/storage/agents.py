"""Agents made by configuration, in SQL."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.configuration import Agent
from omniroute.storage.statements import upsert
from omniroute.storage.tables import agents as table

_LISTS = ("tools", "approval", "tags", "examples")


class AgentRepository:
    """Agents by id."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self) -> tuple[Agent, ...]:
        """All of them, by id."""
        rows = await self._connection.execute(select(table).order_by(table.c.id))
        return tuple(_agent(row) for row in rows.mappings())

    async def some(self, ids: Collection[str]) -> tuple[Agent, ...]:
        """Those of these ids that exist."""
        rows = await self._connection.execute(select(table).where(table.c.id.in_(ids)))
        return tuple(_agent(row) for row in rows.mappings())

    async def save(self, agent: Agent) -> None:
        """Insert the agent, or overwrite the one with its id."""
        row = msgspec.structs.asdict(agent)
        await upsert(self._connection, table, {**row, **{name: list(row[name]) for name in _LISTS}})

    async def delete(self, agent_id: str) -> bool:
        """Remove the agent; False when there was none."""
        gone = await self._connection.execute(delete(table).where(table.c.id == agent_id))
        return gone.rowcount > 0


def _agent(row: Mapping[Any, Any]) -> Agent:
    return Agent(**{**dict(row), **{name: tuple(row[name]) for name in _LISTS}})
