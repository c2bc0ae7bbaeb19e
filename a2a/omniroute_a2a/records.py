"""Durable task rows: what the door asks of storage, and the SQL database as the answer."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from omniroute.storage.database import Database
from omniroute.storage.records.agents import TaskEvent, TaskRow
from omniroute.storage.records.runs import RunStep

Notice: TypeAlias = Callable[[str], str]
"""Makes the text that tells of a change, for receivers of a protocol version."""


class TaskRecords(Protocol):
    """Rows and events of tasks. Each call is a transaction of its own.

    `save` raises `Conflict` when the stored task has ended in another state, keeps the step it is
    in its run, and puts the notice into the outbox of every receiver of the task; it answers how
    many those are. `list` answers the latest change first, with the number of rows that match.
    """

    async def save(
        self,
        row: TaskRow,
        step: RunStep,
        events: Sequence[TaskEvent],
        notice: Notice | None,
        now_ms: int,
        /,
    ) -> int: ...
    async def get(self, task_id: str, /) -> TaskRow | None: ...
    async def events(self, task_id: str, /) -> Sequence[TaskEvent]: ...
    async def counts(self) -> dict[str, int]: ...
    async def unfinished(self) -> Sequence[TaskRow]: ...
    async def overdue(self, now_ms: int, /) -> Sequence[TaskRow]: ...
    async def delete_untouched(self, before_ms: int, /) -> int: ...
    async def delete(self, task_id: str, /) -> bool: ...
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
    ) -> tuple[Sequence[TaskRow], int]: ...


class SqlTaskRecords:
    """`TaskRecords` in the gateway's database, one unit of work per call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(
        self,
        row: TaskRow,
        step: RunStep,
        events: Sequence[TaskEvent],
        notice: Notice | None,
        now_ms: int,
        /,
    ) -> int:
        async with self._database.work() as work:
            await work.tasks.save(row, events)
            await work.runs.save(step)
            return await work.push.enqueue(row.id, notice, now_ms) if notice else 0

    async def get(self, task_id: str, /) -> TaskRow | None:
        async with self._database.reading() as work:
            return await work.tasks.get(task_id)

    async def events(self, task_id: str, /) -> Sequence[TaskEvent]:
        async with self._database.reading() as work:
            return await work.tasks.events(task_id)

    async def counts(self) -> dict[str, int]:
        async with self._database.reading() as work:
            return await work.tasks.counts()

    async def unfinished(self) -> Sequence[TaskRow]:
        async with self._database.reading() as work:
            return await work.tasks.unfinished()

    async def overdue(self, now_ms: int, /) -> Sequence[TaskRow]:
        async with self._database.reading() as work:
            return await work.tasks.overdue(now_ms)

    async def delete_untouched(self, before_ms: int, /) -> int:
        async with self._database.work() as work:
            return await work.tasks.delete_untouched(before_ms)

    async def delete(self, task_id: str, /) -> bool:
        async with self._database.work() as work:
            return await work.tasks.delete(task_id)

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
    ) -> tuple[Sequence[TaskRow], int]:
        async with self._database.reading() as work:
            return await work.tasks.list(
                owner=owner,
                state=state,
                skill=skill,
                context_id=context_id,
                since_ms=since_ms,
                limit=limit,
                offset=offset,
            )
