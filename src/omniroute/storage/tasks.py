"""A2A tasks and what happened to them in SQL."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, func, insert, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.errors import Conflict
from omniroute.storage.records.agents import TaskEvent, TaskRow
from omniroute.storage.statements import insert_into
from omniroute.storage.tables import a2a_task_events as events_table
from omniroute.storage.tables import a2a_tasks as table


class TaskRepository:
    """Tasks, the latest change first. A finished task keeps its state for good."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def save(self, task: TaskRow, events: Sequence[TaskEvent] = ()) -> None:
        """Insert the task or overwrite the one with its id, and append its new events.

        Raises:
            Conflict: the stored task is finished, in another state; nothing is written.
        """
        statement = insert_into(self._connection, table)
        values = msgspec.structs.asdict(task)
        # One statement, so that two processes cannot both finish a task.
        written = await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["id"],
                set_={name: statement.excluded[name] for name in values if name != "id"},
                where=or_(not_(table.c.finished), table.c.state == statement.excluded.state),
            ),
            values,
        )
        if written.rowcount == 0:
            raise Conflict("The task has ended; its state does not change any more.")
        if events:
            await self._connection.execute(
                insert(events_table), [msgspec.structs.asdict(event) for event in events]
            )

    async def get(self, id: str) -> TaskRow | None:  # noqa: A002
        """The task with this id, whoever owns it."""
        rows = await self._connection.execute(select(table).where(table.c.id == id))
        row = rows.mappings().first()
        return None if row is None else TaskRow(**dict(row))

    async def list(
        self,
        *,
        owner: str | None = None,
        state: str | None = None,
        skill: str | None = None,
        context_id: str | None = None,
        since_ms: int | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[tuple[TaskRow, ...], int]:
        """A page of the tasks that pass every filter given, and how many pass in all.

        Args:
            since_ms: only tasks updated at this time or later.
        """
        wanted = [
            column == value
            for column, value in (
                (table.c.owner, owner),
                (table.c.state, state),
                (table.c.skill, skill),
                (table.c.context_id, context_id),
            )
            if value is not None
        ]
        if since_ms is not None:
            wanted.append(table.c.updated_at_ms >= since_ms)
        total = await self._connection.scalar(
            select(func.count()).select_from(table).where(*wanted)
        )
        newest = select(table).where(*wanted).order_by(table.c.updated_at_ms.desc(), table.c.id)
        rows = await self._connection.execute(newest.limit(limit).offset(offset))
        return tuple(TaskRow(**dict(row)) for row in rows.mappings()), total or 0

    async def counts(self) -> dict[str, int]:
        """How many tasks are in each state that occurs."""
        rows = await self._connection.execute(
            select(table.c.state, func.count().label("tasks")).group_by(table.c.state)
        )
        return {row.state: row.tasks for row in rows}

    async def events(self, task_id: str) -> tuple[TaskEvent, ...]:
        """What happened to a task, in order."""
        columns = [column for column in events_table.c if column.name != "id"]
        rows = await self._connection.execute(
            select(*columns).where(events_table.c.task_id == task_id).order_by(events_table.c.id)
        )
        return tuple(TaskEvent(**dict(row)) for row in rows.mappings())

    async def unfinished(self) -> tuple[TaskRow, ...]:
        """Every task that is not finished, oldest first."""
        return await self._where(not_(table.c.finished))

    async def overdue(self, now_ms: int) -> tuple[TaskRow, ...]:
        """Unfinished tasks past their expiry, for the caller to fail and save."""
        return await self._where(not_(table.c.finished) & (table.c.expires_at_ms <= now_ms))

    async def delete_untouched(self, before_ms: int) -> int:
        """Remove finished tasks last changed before a time, with their events; how many."""
        removed = await self._connection.execute(
            delete(table).where(table.c.finished, table.c.updated_at_ms < before_ms)
        )
        return removed.rowcount

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Remove the task with its events; False when there was none."""
        removed = await self._connection.execute(delete(table).where(table.c.id == id))
        return removed.rowcount > 0

    async def _where(self, condition: ColumnElement[Any]) -> tuple[TaskRow, ...]:
        oldest = select(table).where(condition).order_by(table.c.created_at_ms, table.c.id)
        rows = await self._connection.execute(oldest)
        return tuple(TaskRow(**dict(row)) for row in rows.mappings())
