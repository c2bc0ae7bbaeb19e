"""The steps of runs in SQL."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.runs import RunLine, RunStep
from omniroute.storage.statements import insert_new, upsert
from omniroute.storage.tables import run_steps as table


class RunRepository:
    """Steps by run."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def save(self, step: RunStep) -> None:
        """Insert a step, or write how it stands now."""
        await upsert(self._connection, table, msgspec.structs.asdict(step))

    async def add(self, steps: Sequence[RunStep]) -> None:
        """Insert steps; those that are there already are left as they are."""
        await insert_new(self._connection, table, [msgspec.structs.asdict(one) for one in steps])

    async def steps(self, run_id: str, owner: str | None, limit: int) -> list[RunStep]:
        """The first steps of a run, oldest first; only those of an owner where one is named."""
        query = select(table).where(table.c.run_id == run_id)
        if owner is not None:
            query = query.where(table.c.owner == owner)
        query = query.order_by(table.c.started_at_ms, table.c.id).limit(limit)
        rows = await self._connection.execute(query)
        return [RunStep(**dict(row)) for row in rows.mappings()]

    async def recent(self, owner: str | None, limit: int, offset: int = 0) -> list[RunLine]:
        """Runs, the latest step first; only those of an owner where one is named."""
        last = func.max(table.c.started_at_ms)
        query = select(
            table.c.run_id,
            func.count().label("steps"),
            func.coalesce(func.sum(table.c.cost_micro_usd), 0).label("cost_micro_usd"),
            func.min(table.c.started_at_ms).label("started_at_ms"),
            last.label("last_at_ms"),
        ).group_by(table.c.run_id)
        if owner is not None:
            query = query.where(table.c.owner == owner)
        query = query.order_by(last.desc(), table.c.run_id).limit(limit).offset(offset)
        rows = await self._connection.execute(query)
        return [RunLine(**dict(row)) for row in rows.mappings()]
