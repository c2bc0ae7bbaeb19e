"""The methods of the Tasks extension: looking at a task, answering it, stopping it."""

from dataclasses import dataclass
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from omniroute_mcp.tasks.running import Tasks
from omniroute_mcp.tasks.task import Task
from omniroute_mcp.tasks.wire import (
    Context,
    TaskParams,
    TaskUpdateParams,
    held_elsewhere,
    require_knows_tasks,
    require_routed,
    unknown_task,
)

_DONE: dict[str, Any] = {}
"""The acknowledgement of both: the SDK adds that it is complete."""


@dataclass(frozen=True, slots=True)
class TaskMethods:
    """`tasks/get`, `tasks/update` and `tasks/cancel`. There is no list, an id is all one has."""

    tasks: Tasks

    def serve_on(self, server: Server[Any]) -> None:
        """Add the methods to a server."""
        server.add_request_handler("tasks/get", TaskParams, self._get)
        server.add_request_handler("tasks/update", TaskUpdateParams, self._update)
        server.add_request_handler("tasks/cancel", TaskParams, self._cancel)

    async def _get(self, context: Context, params: TaskParams) -> dict[str, Any]:
        _require(context, params.task_id, "tasks/get")
        if (task := self.tasks.here(context, params.task_id)) is not None:
            return task.told()
        if (kept := await self.tasks.kept(context, params.task_id)) is not None:
            return kept.told
        raise unknown_task()

    async def _update(self, context: Context, params: TaskUpdateParams) -> dict[str, Any]:
        task = await self._open(context, params.task_id, "tasks/update")
        if task is not None:
            self.tasks.answer(task, params.input_responses)
        return _DONE

    async def _cancel(self, context: Context, params: TaskParams) -> dict[str, Any]:
        task = await self._open(context, params.task_id, "tasks/cancel")
        if task is not None:
            task.cancel()
        return _DONE

    async def _open(self, context: Context, task_id: str, method: str) -> Task | None:
        """A task that can be acted on; None where it has ended, and nothing is left to do."""
        _require(context, task_id, method)
        task = self.tasks.here(context, task_id)
        if task is None:
            kept = await self.tasks.kept(context, task_id)
            if kept is None:
                raise unknown_task()
            if not kept.has_ended:
                raise held_elsewhere()
        return task


def _require(context: Context, task_id: str, method: str) -> None:
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(code=types.METHOD_NOT_FOUND, message="Method not found", data=method)
    require_routed(context, task_id)
    require_knows_tasks(context)
