"""The agent both editions of the public A2A test kit expect: the id of a message says what to do.

The older edition wants tasks that are taken up and left open, and one that runs on while somebody
subscribes; the newer one names a script by the beginning of the id.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater
from a2a.types import Part, Task, TaskState

from omniroute_a2a.proto import value_of

ARTIFACT = "a-1"


@dataclass(frozen=True, slots=True)
class Stage:
    """What a script acts on. `pause` takes multiples of the kit's streaming timeout."""

    updater: TaskUpdater
    pause: Callable[[float], Awaitable[None]]


Act: TypeAlias = Callable[[Stage], Awaitable[None]]


def state(name: str, text: str | None = None) -> Act:
    """Move the task to a state, with a message or without."""

    async def act(stage: Stage) -> None:
        said = None if text is None else stage.updater.new_agent_message([Part(text=text)])
        await stage.updater.update_status(TaskState.Value(f"TASK_STATE_{name}"), said)

    return act


def artifact(part: Part, **members: Any) -> Act:
    """Add to the one artifact."""

    async def act(stage: Stage) -> None:
        await stage.updater.add_artifact([part], ARTIFACT, **members)

    return act


def pause(timeouts: float) -> Act:
    """Let time pass."""

    async def act(stage: Stage) -> None:
        await stage.pause(timeouts)

    return act


WORK, DONE = state("WORKING"), state("COMPLETED")
FILE: dict[str, Any] = {"filename": "output.txt", "media_type": "text/plain"}
DATA = {"key": "value", "count": 42}

LEFT_OPEN: tuple[Act, ...] = (WORK,)
"""What is done where no script is named."""

DIRECT = "tck-message-response"
"""Answered with a message instead of a task."""

SCRIPTS: Mapping[str, tuple[Act, ...]] = {
    "test-resubscribe-message-id": (WORK, pause(2), DONE),
    "tck-complete-task": (state("COMPLETED", "Hello from TCK"),),
    "tck-delayed-complete": (WORK, pause(1), state("COMPLETED", "Done after delay")),
    "tck-artifact-text": (artifact(Part(text="Generated text content")), DONE),
    "tck-artifact-file-url": (
        artifact(Part(url="https://example.com/output.txt", **FILE)),
        DONE,
    ),
    "tck-artifact-file": (artifact(Part(raw=b"Generated file content", **FILE)), DONE),
    "tck-artifact-data": (artifact(Part(data=value_of(DATA))), DONE),
    "tck-input-required": (state("INPUT_REQUIRED"),),
    "tck-reject-task": (state("REJECTED", "rejected"),),
    "tck-stream-001": (WORK, artifact(Part(text="Stream hello from TCK")), DONE),
    "tck-stream-002": (DONE,),
    "tck-stream-003": (WORK, artifact(Part(text="Stream task lifecycle")), DONE),
    "tck-stream-ordering-001": (WORK, artifact(Part(text="Ordered output")), DONE),
    "tck-stream-artifact-text": (WORK, artifact(Part(text="Streamed text content")), DONE),
    "tck-stream-artifact-file": (WORK, artifact(Part(raw=b"Streamed file content", **FILE)), DONE),
    "tck-stream-artifact-chunked": (
        WORK,
        artifact(Part(text="chunk-1 ")),
        artifact(Part(text="chunk-2"), append=True, last_chunk=True),
        DONE,
    ),
}
"""What is done for a message whose id begins so."""


class Scripted(AgentExecutor):
    """Does what the id of a message says, and otherwise starts work on the task and returns, so
    that it works until it is cancelled.

    Args:
        timeout_s: the kit's streaming timeout.
        sleep: seconds.
    """

    def __init__(
        self, timeout_s: float = 0, sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    ) -> None:
        self._timeout_s = timeout_s
        self._sleep = sleep

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Take the task up."""
        task_id, context_id = context.task_id or "", context.context_id or ""
        updater = TaskUpdater(event_queue, task_id, context_id)
        named = context.message.message_id if context.message else ""
        if named.startswith(DIRECT):
            answer = updater.new_agent_message([Part(text="Direct message response")])
            await event_queue.enqueue_event(answer)
            return
        if context.current_task is None:
            task = Task(id=task_id, context_id=context_id, history=filter(None, [context.message]))
            task.status.state = TaskState.TASK_STATE_SUBMITTED
            await event_queue.enqueue_event(task)
        stage = Stage(updater, self._pause)
        found = (script for prefix, script in SCRIPTS.items() if named.startswith(prefix))
        for act in next(found, LEFT_OPEN):
            await act(stage)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """End the task as cancelled."""
        updater = TaskUpdater(event_queue, context.task_id or "", context.context_id or "")
        await updater.cancel()

    async def _pause(self, timeouts: float) -> None:
        await self._sleep(timeouts * self._timeout_s)
