"""MCP tasks in SQL: what their callers are told, and which process works on them."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.agents import McpTask
from omniroute.storage.statements import upsert
from omniroute.storage.tables import mcp_tasks as table


class McpTaskRepository:
    """Tasks by their id. They go when their time has run out, which retention looks after."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def save(self, task: McpTask) -> None:
        """Insert the task, or overwrite the one with its id."""
        await upsert(self._connection, table, msgspec.structs.asdict(task))

    async def get(self, id: str) -> McpTask | None:  # noqa: A002
        """The task with this id, whoever owns it."""
        rows = await self._connection.execute(select(table).where(table.c.id == id))
        row = rows.mappings().first()
        return None if row is None else McpTask(**dict(row))

    async def holders(self) -> tuple[str, ...]:
        """The processes that work on something."""
        query = select(table.c.holder).where(table.c.holder.is_not(None)).distinct()
        return tuple((await self._connection.execute(query)).scalars())

    async def held_by(self, holders: Sequence[str]) -> tuple[McpTask, ...]:
        """What these processes work on."""
        rows = await self._connection.execute(select(table).where(table.c.holder.in_(holders)))
        return tuple(McpTask(**dict(row)) for row in rows.mappings())
