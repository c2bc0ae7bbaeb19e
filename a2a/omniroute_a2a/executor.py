"""Runs a skill for a task and tells what it answers, the same way for every dialect."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import uuid4

import anyio
import msgspec
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater
from a2a.types import Message, Part, Task, TaskState, TaskStatus

from omniroute.caller import Caller
from omniroute.errors import OmniRouteError
from omniroute.skills.skill import InputRequired, Skill, SkillReply, SkillRequest
from omniroute_a2a.caller import caller_of
from omniroute_a2a.errors import INTERNAL_MESSAGE
from omniroute_a2a.parts import SEED_ROLE, text_of, to_chat
from omniroute_a2a.proto import struct_of, to_dict, value_of, whole_numbers
from omniroute_a2a.questions import (
    NO,
    mark_of,
    open_question,
    options_after,
    without_questions,
    word_of,
)

EARLIER = "earlier"
"""Call state: turns before the message, which only the seed dialect sends along."""

SKILL = "skill"
"""Call state and task metadata: the id of the skill that answers."""

JSON = "application/json"

DECLINED = "The answer was no, so the task was cancelled."

EngineT = TypeVar("EngineT")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Run:
    """A skill at work, and why it was interrupted, once it was."""

    scope: anyio.CancelScope
    reason: str | None = None


class SkillExecutor(AgentExecutor, Generic[EngineT]):
    """Executes tasks by running skills.

    Args:
        skills: by id.
        engine: handed to every skill untouched.
        clock: Unix milliseconds, for the timestamps of states.
    """

    def __init__(
        self, skills: Mapping[str, Skill[EngineT]], engine: EngineT, clock: Callable[[], int]
    ) -> None:
        self._skills = skills
        self._engine = engine
        self._clock = clock
        self._running: dict[str, _Run] = {}

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Take the task up, run its skill within its time limit, and end the task."""
        task = context.current_task
        if task is None:
            task = self._new_task(context)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        question = open_question(task)
        request = skill_request(context, task, question)
        if question is not None and word_of(context.message) in NO:
            await self._move(updater, TaskState.TASK_STATE_CANCELED, DECLINED)
            return
        await self._move(updater, TaskState.TASK_STATE_WORKING)
        try:
            failure = await self._run(context, request, Answer(updater, context))
        except InputRequired as asked:
            await self._ask(updater, asked, request.options)
            return
        if failure is None:
            await self._move(updater, TaskState.TASK_STATE_COMPLETED)
        else:
            await self._move(updater, TaskState.TASK_STATE_FAILED, failure)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """End the task as cancelled; the SDK then cancels `execute`, and the skill with it."""
        task_id, context_id = context.task_id or "", context.context_id or ""
        updater = TaskUpdater(event_queue, task_id, context_id)
        await self._move(updater, TaskState.TASK_STATE_CANCELED)

    def interrupt(self, task_id: str, reason: str) -> None:
        """Stop the skill of a task, which then fails for the reason given; no-op when none runs."""
        run = self._running.get(task_id)
        if run is not None:
            run.reason = reason
            run.scope.cancel()

    async def _run(
        self, context: RequestContext, request: SkillRequest, answer: "Answer"
    ) -> str | None:
        """Run the skill to its end. Returns what a caller may know of a failure.

        Raises:
            InputRequired: the skill asks back.
        """
        skill = self._skills[context.call_context.state[SKILL]]
        with anyio.move_on_after(skill.time_limit_s) as scope:
            run = self._running[request.task_id] = _Run(scope)
            try:
                await answer.finish(await skill.run(self._engine, request, answer.emit))
            except InputRequired:
                raise
            except OmniRouteError as error:
                return str(error)
            except Exception:
                log.exception("skill %s failed", skill.id)
                return INTERNAL_MESSAGE
            finally:
                del self._running[request.task_id]
        if scope.cancelled_caught:
            return run.reason or f"{skill.name} took longer than {skill.time_limit_s:g} s."
        return None

    async def _ask(
        self, updater: TaskUpdater, asked: InputRequired, options: Mapping[str, Any]
    ) -> None:
        message = updater.new_agent_message([Part(text=asked.question)])
        message.metadata.CopyFrom(mark_of(asked, options))
        await updater.update_status(
            TaskState.TASK_STATE_INPUT_REQUIRED, message, timestamp=self._now()
        )

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock() / 1000, UTC).isoformat()

    def _new_task(self, context: RequestContext) -> Task:
        task = Task(
            id=context.task_id,
            context_id=context.context_id,
            status=TaskStatus(state=TaskState.TASK_STATE_SUBMITTED),
            history=conversation(context, ()),
        )
        task.status.timestamp.FromMilliseconds(self._clock())
        task.metadata[SKILL] = context.call_context.state[SKILL]
        return task

    async def _move(self, updater: TaskUpdater, state: TaskState, text: str | None = None) -> None:
        message = None if text is None else updater.new_agent_message([Part(text=text)])
        await updater.update_status(state, message, timestamp=self._now())


class Answer:
    """The one artifact of a task as it grows. Its text reaches clients once, in pieces."""

    def __init__(self, updater: TaskUpdater, context: RequestContext) -> None:
        modes = context.configuration.accepted_output_modes if context.configuration else ()
        self._updater = updater
        self._name = context.call_context.state[SKILL]
        self._with_data = JSON in modes
        self._id = str(uuid4())
        self._said: list[str] = []

    async def emit(self, text: str) -> None:
        """Hand on a piece of the text."""
        if text:
            await self._add([Part(text=text)], append=bool(self._said))
            self._said.append(text)

    async def finish(self, reply: SkillReply) -> None:
        """Add what is still missing of the text, and the metadata."""
        said = "".join(self._said)
        continues = reply.text.startswith(said)
        rest = reply.text[len(said) :] if continues else reply.text
        parts = [Part(text=rest)]
        if self._with_data:
            parts.append(Part(data=value_of(reply.metadata), media_type=JSON))
            parts = parts if rest else parts[1:]
        await self._add(
            parts, append=bool(said) and continues, metadata=struct_of(reply.metadata), last=True
        )

    async def _add(
        self,
        parts: list[Part],
        *,
        append: bool,
        metadata: Any = None,
        last: bool = False,
    ) -> None:
        await self._updater.add_artifact(
            parts, self._id, self._name, metadata, append=append, last_chunk=last
        )


def skill_request(context: RequestContext, task: Task, question: Message | None) -> SkillRequest:
    """What the skill is asked: the whole conversation, and the caller's metadata as options.

    Args:
        question: of the skill's own, which the newest message answers.
    """
    history = [*task.history, *([question] if question is not None else [])]
    turns = without_questions(conversation(context, history))
    message = context.message
    said = whole_numbers(context.metadata) | (to_dict(message.metadata) if message else {})
    said = {name: value for name, value in said.items() if name not in (SKILL, SEED_ROLE)}
    return SkillRequest(
        task_id=task.id,
        caller=caller_for(caller_of(context.call_context), task),
        messages=tuple(map(to_chat, turns)),
        options=said if question is None else options_after(question, message, said),
        answer=None if question is None or message is None else text_of(message),
    )


def caller_for(caller: Caller, task: Task) -> Caller:
    """The caller in the task: its context is the session, and the run unless they named one."""
    return msgspec.structs.replace(
        caller,
        run_id=caller.run_id or task.context_id,
        session_id=task.context_id,
        task_id=task.id,
        step_id=task.id,
    )


def conversation(context: RequestContext, history: Sequence[Message]) -> list[Message]:
    """Everything said so far, oldest first, the message of this request last and only once."""
    message = context.message
    known = {turn.message_id for turn in history}
    fresh = [*context.call_context.state.get(EARLIER, ()), *([message] if message else [])]
    return [*history, *(turn for turn in fresh if turn.message_id not in known)]
