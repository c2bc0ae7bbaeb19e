"""Durable tasks: the SDK's task store over our records, with owners, a time to live and events.

A task that runs here is also held in memory: pieces of its answer change it there, and SQL is
written only when its status or history changes, so a stream of a thousand pieces costs no
thousand writes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from a2a.server.cluster.task_store import ConcurrentTaskModificationError
from a2a.server.context import ServerCallContext
from a2a.server.tasks import TaskStore
from a2a.types import ListTasksRequest, ListTasksResponse, Task, TaskState, TaskStatus
from a2a.utils.constants import DEFAULT_LIST_TASKS_PAGE_SIZE

from omniroute.errors import Conflict, OmniRouteError
from omniroute.storage.records.agents import TaskRow
from omniroute_a2a.caller import caller_of
from omniroute_a2a.pages import decode_offset, encode_offset
from omniroute_a2a.parts import agent_message, join_text
from omniroute_a2a.proto import copy_of, from_json, to_json
from omniroute_a2a.push import notice_of
from omniroute_a2a.records import TaskRecords
from omniroute_a2a.run_steps import task_step
from omniroute_a2a.states import STORED, TERMINAL, WAITING
from omniroute_a2a.task_events import BEGUN, NOTED, STREAM, events_of

EXPIRED = "expired"
RESTARTED = "The gateway was restarted before the task was finished."
STOPPED = "The gateway was stopped before the task was finished."

SCAN_ROWS = 10_000
"""Most rows one listing by status looks at; tasks live for minutes, so there are few."""


@dataclass(slots=True)
class _Live:
    """A task that runs in this process, its row, and a mark of what SQL already has of it."""

    task: Task
    row: TaskRow
    stored: bytes


class DurableTasks(TaskStore):
    """Tasks in SQL, each visible to its owner only.

    Args:
        records: durable storage.
        clock: Unix milliseconds.
        ttl_ms: how long a task may stay unfinished; a finished one is kept twice as long.
        interrupt: stops the skill of a task that runs here, if one does.
        announced: called when receivers of a task have something to be told.
    """

    def __init__(
        self,
        records: TaskRecords,
        clock: Callable[[], int],
        ttl_ms: Callable[[], int],
        interrupt: Callable[[str, str], None],
        announced: Callable[[], None],
    ) -> None:
        self.records = records
        self.clock = clock
        self._ttl_ms = ttl_ms
        self._interrupt = interrupt
        self._announced = announced
        self._live: dict[str, _Live] = {}

    async def save(self, task: Task, context: ServerCallContext) -> None:
        """Keep a task as it is now.

        Raises:
            ConcurrentTaskModificationError: it has ended meanwhile; the SDK then reloads it.
        """
        join_text(task)
        stored = durable_part(task)
        live = self._live.get(task.id)
        if live is not None and live.stored == stored:
            live.task = task
            return
        row = live.row if live else await self.records.get(task.id)
        if row is not None and row.finished:
            raise ConcurrentTaskModificationError(task.id)
        try:
            row = await self._write(
                task,
                row,
                context.user.user_name,
                run_id=_run_of(context),
                stream=context.state.get(STREAM),
            )
        except OmniRouteError as error:
            self._live.pop(task.id, None)
            if isinstance(error, Conflict):
                raise ConcurrentTaskModificationError(task.id) from error
            raise
        if context.state.get(STREAM) == BEGUN:
            context.state[STREAM] = NOTED
        if row.finished:
            self._live.pop(task.id, None)
        else:
            self._live[task.id] = _Live(task, row, stored)

    async def get(self, task_id: str, context: ServerCallContext) -> Task | None:
        """A task of the caller as it is now, None when there is none for this caller."""
        row = await self.row(task_id)
        if row is None or row.owner != context.user.user_name:
            return None
        return self.task_of(row)

    async def list(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        """The caller's tasks, newest status first, one page."""
        size = params.page_size or DEFAULT_LIST_TASKS_PAGE_SIZE
        start = decode_offset(params.page_token)
        tasks, total = await self._matching(params, context.user.user_name, start, size)
        end = start + len(tasks)
        return ListTasksResponse(
            tasks=tasks,
            total_size=total,
            page_size=size,
            next_page_token=encode_offset(end) if end < total else "",
        )

    async def delete(self, task_id: str, context: ServerCallContext) -> None:
        """Forget a task of the caller."""
        if await self.get(task_id, context) is not None:
            self._live.pop(task_id, None)
            await self.records.delete(task_id)

    async def row(self, task_id: str) -> TaskRow | None:
        """The stored row, whoever owns it. Reading an overdue task fails it."""
        row = await self.records.get(task_id)
        if row is not None and self._is_overdue(row):
            row = await self._fail(row.id, EXPIRED, expired=True)
        return row

    def task_of(self, row: TaskRow) -> Task:
        """The task of a row, with what it has answered so far when it runs here."""
        live = self._live.get(row.id)
        if live is None or row.finished:
            return from_json(row.data, Task())
        return copy_of(live.task)

    async def recover(self) -> None:
        """Fail what an earlier run left unfinished: nobody works on it any more.

        Tasks that wait for an answer go on waiting.
        """
        for row in await self.records.unfinished():
            if not is_waiting(self.task_of(row)):
                await self._fail(row.id, RESTARTED)

    async def abandon(self) -> None:
        """Fail what still runs here when the gateway stops."""
        for task_id, live in tuple(self._live.items()):
            if not is_waiting(live.task):
                await self._fail(task_id, STOPPED)

    async def sweep(self) -> None:
        """Fail overdue tasks; delete finished ones untouched for twice their time to live."""
        for row in await self.records.overdue(self.clock()):
            await self._fail(row.id, EXPIRED, expired=True)
        await self.records.delete_untouched(self.clock() - 2 * self._ttl_ms())

    def _is_overdue(self, row: TaskRow) -> bool:
        return not row.finished and row.expires_at_ms <= self.clock()

    async def _fail(self, task_id: str, reason: str, *, expired: bool = False) -> TaskRow | None:
        row = await self.records.get(task_id)
        if row is None or row.finished:
            return row
        task = self.task_of(row)
        task.status.CopyFrom(TaskStatus(state=TaskState.TASK_STATE_FAILED))
        task.status.message.CopyFrom(agent_message(task, reason))
        task.status.timestamp.FromMilliseconds(self.clock())
        self._live.pop(task_id, None)
        try:
            return await self._write(task, row, row.owner, expired=expired)
        except Conflict:  # it ended by itself in this very moment
            return await self.records.get(task_id)
        finally:
            self._interrupt(task_id, reason)

    async def _write(
        self,
        task: Task,
        row: TaskRow | None,
        owner: str,
        *,
        run_id: str | None = None,
        stream: str | None = None,
        expired: bool = False,
    ) -> TaskRow:
        now = self.clock()
        since = task.status.timestamp.ToMilliseconds() if task.status.HasField("timestamp") else now
        state = STORED[task.status.state]
        created = now if row is None else row.created_at_ms
        changed = TaskRow(
            id=task.id,
            owner=owner,
            context_id=task.context_id,
            skill=skill_of(task),
            state=state,
            finished=state in TERMINAL,
            data=to_json(task),
            created_at_ms=created,
            updated_at_ms=since,  # lists are sorted and filtered by the time of the status
            expires_at_ms=created + self._ttl_ms() if row is None else row.expires_at_ms,
            run_id=run_id if row is None else row.run_id,
        )
        events = events_of(task, row, now, stream, expired)
        told = row is None or from_json(row.data, Task()).status != task.status
        notice = notice_of(task, created=row is None) if told else None
        step = task_step(task, changed)
        if await self.records.save(changed, step, events, notice, now):
            self._announced()
        return changed

    async def _matching(
        self, params: ListTasksRequest, owner: str, start: int, size: int
    ) -> tuple[Sequence[Task], int]:
        """One page of the tasks that fit the filters, and how many there are in all."""
        context_id = params.context_id or None
        after = params.status_timestamp_after
        since_ms = after.ToMilliseconds() if params.HasField("status_timestamp_after") else None
        if not params.status:
            rows, total = await self.records.list(
                owner=owner, context_id=context_id, since_ms=since_ms, limit=size, offset=start
            )
            return [self.task_of(row) for row in rows], total
        # The column knows fewer states than 1.0 does, so it narrows and the task decides.
        rows, _ = await self.records.list(
            owner=owner,
            state=STORED[params.status],
            context_id=context_id,
            since_ms=since_ms,
            limit=SCAN_ROWS,
        )
        tasks = [task for task in map(self.task_of, rows) if task.status.state == params.status]
        return tasks[start : start + size], len(tasks)


def _run_of(context: ServerCallContext) -> str | None:
    """The run the caller named."""
    return caller_of(context).run_id


def durable_part(task: Task) -> bytes:
    """A mark of what SQL must have at once: status and history, not the growing answer."""
    status: bytes = task.status.SerializeToString(deterministic=True)
    return status + b"/%d" % len(task.history)


def is_waiting(task: Task) -> bool:
    """Whether a task waits for its caller's answer."""
    return task.status.state in WAITING


def skill_of(task: Task) -> str:
    """The skill a task was given to, empty when its executor names none."""
    return str(task.metadata["skill"]) if "skill" in task.metadata else ""
