"""The tasks of this process: begun, kept where they outlive it, found again, ended."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio
import mcp_types as types
import structlog
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError

from omniroute.engine import Engine
from omniroute_mcp.tasks import shelf
from omniroute_mcp.tasks.task import TTL_MS, Result, Task, stopped_error
from omniroute_mcp.tasks.wire import Context

MOST = 1_000
"""How many tasks a process works on; further calls are answered as if there were no tasks."""
WRITE_S = 5.0
"""How long the end of a task may take to be written."""

Work: TypeAlias = Callable[[Task], Awaitable[Result]]

log = structlog.get_logger(__name__)


class Tasks:
    """Works on calls beside the requests that brought them.

    Args:
        owner: whose a request is.
    """

    def __init__(self, engine: Engine, owner: Callable[[Context], str]) -> None:
        self._engine = engine
        self._group: TaskGroup | None = None
        self._known: dict[str, Task] = {}
        self.owner = owner

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Work while the context is open; what is unfinished then has failed."""
        await self._settle_left_behind()
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                yield
            finally:
                self._group = None
                group.cancel_scope.cancel()

    def spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Do something beside the request."""
        if self._group is None:
            raise RuntimeError("Tasks are not running")
        self._group.start_soon(work, *arguments)

    @property
    def are_possible(self) -> bool:
        """Whether another call can become a task."""
        return self._group is not None and len(self._known) < MOST

    async def call(self, context: Context, patience_ms: int, work: Work) -> Result | dict[str, Any]:
        """The result of the work if it is there in time, else a task.

        Args:
            patience_ms: how long the caller waits once the task has begun.
            work: is given the task; what it does before `begin` is waited for.

        Raises:
            MCPError: it failed before there was a task.
        """
        task = Task(self._engine.new_id(), self.owner(context), self._engine.now_ms())
        self._known[task.id] = task
        self.spawn(self._work_on, task, work)
        try:
            await task.begun.wait()
            with anyio.move_on_after(patience_ms / 1000):
                await task.stopped.wait()
            if task.has_ended:
                return task.outcome()
            # Kept before it is handed over: whoever has its id finds it, whatever happens.
            task.is_kept = True
            await self._write(task)
        except BaseException:
            task.cancel()
            raise
        return task.created()

    async def ask(
        self, task: Task, questions: Mapping[str, types.InputRequest]
    ) -> dict[str, types.InputResponse]:
        """Ask whoever called, and wait for all the answers; both have the same names."""
        names = task.ask(questions, self._engine.now_ms())
        await self._note(task)
        answers = await task.answers(names)
        await self._note(task)
        return dict(zip(questions, answers, strict=True))

    def here(self, context: Context, task_id: str) -> Task | None:
        """A task of this caller's that this process works on."""
        task = self._known.get(task_id)
        mine = task is not None and task.is_kept and task.owner == self.owner(context)
        return task if mine else None

    async def kept(self, context: Context, task_id: str) -> shelf.Kept | None:
        """A task of this caller's that has ended, or that another process works on."""
        found = await shelf.find(self._engine, task_id)
        return found if found is not None and found.owner == self.owner(context) else None

    def answer(self, task: Task, given: Mapping[str, Any]) -> None:
        """Hand answers to a task.

        Raises:
            MCPError: an answer does not fit its question.
        """
        task.answer(given, self._engine.now_ms())

    async def _work_on(self, task: Task, work: Work) -> None:
        limit = anyio.CancelScope(deadline=anyio.current_time() + TTL_MS / 1000)
        try:
            with limit, task.scope:
                task.complete(await work(task), self._engine.now_ms())
        except MCPError as error:
            task.fail(error.error, self._engine.now_ms())
        except Exception:
            log.exception("task_failed", task=task.id)
            unexpected = types.ErrorData(code=types.INTERNAL_ERROR, message="Internal error")
            task.fail(unexpected, self._engine.now_ms())
        finally:
            now_ms = self._engine.now_ms()
            if task.is_unwanted:
                task.move("cancelled", now_ms)
            elif limit.cancelled_caught:
                task.fail(stopped_error("its time ran out"), now_ms)
            else:  # nothing, where it has ended by itself
                task.fail(stopped_error("the gateway was stopped"), now_ms)
            with anyio.CancelScope(shield=True):
                await self._put_away(task)

    async def _put_away(self, task: Task) -> None:
        if task.is_kept:
            await self._note(task)
        del self._known[task.id]

    async def _note(self, task: Task) -> None:
        """Write what becomes of a kept task. A failure to write does not stop it."""
        if not task.is_kept:
            return
        with anyio.move_on_after(WRITE_S) as limit:
            try:
                await self._write(task)
            except Exception:  # whatever it is, the work has been done
                log.exception("task_not_written", task=task.id)
        if limit.cancelled_caught:
            log.error("task_write_timed_out", task=task.id, limit_s=WRITE_S)

    async def _write(self, task: Task) -> None:
        async with task.writing:  # one after another, each with what holds by then
            await shelf.put(self._engine, task)

    async def _settle_left_behind(self) -> None:
        try:
            settled = await shelf.settle_left_behind(self._engine)
        except Exception:  # the door opens all the same, and says itself what it cannot do
            log.exception("tasks_not_settled")
        else:
            if settled:
                log.info("tasks_left_behind", tasks=settled)
