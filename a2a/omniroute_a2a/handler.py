"""The SDK's request handler with our rules: skills are checked, pages counted, streams tallied."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

from a2a.server.agent_execution import (
    AgentExecutor,
    RequestContext,
    SimpleRequestContextBuilder,
)
from a2a.server.context import ServerCallContext
from a2a.server.events import Event
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetExtendedAgentCardRequest,
    ListTasksRequest,
    ListTasksResponse,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    InvalidParamsError,
    TaskNotCancelableError,
)

from omniroute.caller import Caller
from omniroute.errors import Unauthenticated
from omniroute_a2a.caller import caller_of
from omniroute_a2a.executor import SKILL
from omniroute_a2a.parts import is_taken
from omniroute_a2a.push import PushConfigs
from omniroute_a2a.task_events import BEGUN, STREAM
from omniroute_a2a.tasks import DurableTasks, skill_of

DEFAULT_SKILL = "smart-routing"


class RequestContexts(SimpleRequestContextBuilder):
    """Finds the context and the skill of a request before anything runs."""

    def __init__(self, tasks: DurableTasks, skills: Mapping[str, object]) -> None:
        super().__init__()
        self._tasks = tasks
        self._skills = skills

    async def build(
        self,
        context: ServerCallContext,
        params: SendMessageRequest | None = None,
        task_id: str | None = None,
        context_id: str | None = None,
        task: Task | None = None,
    ) -> RequestContext:
        """Follow-ups keep the context and skill of their task.

        The SDK would give a follow-up without a context id a new one, and then fail the task.

        Raises:
            InvalidParamsError: there is no such skill, or a part holds nothing.
            ContentTypeNotSupportedError: no model takes a file of the message.
        """
        if params is not None:
            check_parts(params)
        known = await self._tasks.get(task_id, context) if task_id else None
        named = requested_skill(params) if params else None
        skill = named or (skill_of(known) if known else "") or DEFAULT_SKILL
        if skill not in self._skills:
            raise InvalidParamsError(f"Unknown skill: {skill[:80]}")
        context.state[SKILL] = skill
        if known is not None:
            context_id = known.context_id
        return await super().build(context, params, task_id, context_id, task)


def requested_skill(params: SendMessageRequest) -> str | None:
    """The skill a request names, in its message's metadata before its own.

    Raises:
        InvalidParamsError: the name is not a string.
    """
    places = (params.message.metadata, params.metadata)
    named: Any = next((place[SKILL] for place in places if SKILL in place), None)
    if named is None or isinstance(named, str):
        return named
    raise InvalidParamsError("metadata.skill must be a string.")


def check_parts(params: SendMessageRequest) -> None:
    """Refuse parts nobody could read, which the SDK lets through.

    Raises:
        InvalidParamsError: a part holds nothing; names the first one.
        ContentTypeNotSupportedError: a file is of a media type no model takes.
    """
    for number, part in enumerate(params.message.parts):
        if part.WhichOneof("content") is None:
            raise InvalidParamsError(
                f"message.parts[{number}] holds nothing; give it text, raw, url or data."
            )
        if not is_taken(part.media_type):
            raise ContentTypeNotSupportedError(
                f"message.parts[{number}] is {part.media_type[:80]!r}, which no model takes;"
                " send text, JSON, PDF, office documents, images, audio or video."
            )


class Handler(DefaultRequestHandler):
    """Answers the requests of all dialects and bindings.

    Args:
        executor: runs the work.
        tasks: the durable store.
        push: where changes of tasks are told.
        skills: ids a request may name.
        card: its capabilities say which methods are on.
        extended_card: the card for one authenticated caller.
    """

    def __init__(
        self,
        *,
        executor: AgentExecutor,
        tasks: DurableTasks,
        push: PushConfigs,
        skills: Mapping[str, object],
        card: AgentCard,
        extended_card: Callable[[Caller], AgentCard],
    ) -> None:
        super().__init__(
            agent_executor=executor,
            task_store=tasks,
            agent_card=card,
            push_config_store=push,
            request_context_builder=RequestContexts(tasks, skills),
        )
        self.tasks = tasks
        self.skills = skills
        self.active_streams = 0
        self._extended_card = extended_card

    async def on_list_tasks(
        self, params: ListTasksRequest, context: ServerCallContext
    ) -> ListTasksResponse:
        """A page of tasks; its size is the number of tasks in it, as 1.0 wants."""
        page: ListTasksResponse = await super().on_list_tasks(params, context)
        page.page_size = len(page.tasks)
        return page

    async def on_cancel_task(
        self, params: CancelTaskRequest, context: ServerCallContext
    ) -> Task | None:
        """Cancel a task. One that ended by itself in the meantime was not cancelled."""
        task: Task | None = await super().on_cancel_task(params, context)
        if task is not None and task.status.state != TaskState.TASK_STATE_CANCELED:
            raise TaskNotCancelableError
        return task

    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event, None]:
        """The events of a new request, counted among the active streams."""
        context.state[STREAM] = BEGUN
        with self._counted_stream():
            async with aclosing(super().on_message_send_stream(params, context)) as events:
                async for event in events:
                    yield event

    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event, None]:
        """The task and its further events, counted among the active streams."""
        with self._counted_stream():
            async with aclosing(super().on_subscribe_to_task(params, context)) as events:
                async for event in events:
                    yield event

    async def on_get_extended_agent_card(
        self,
        params: GetExtendedAgentCardRequest,  # noqa: ARG002 - the SDK passes it by this name
        context: ServerCallContext,
    ) -> AgentCard:
        """The card with what the caller's key may do.

        Raises:
            Unauthenticated: the caller is anonymous.
        """
        if not context.user.is_authenticated:
            raise Unauthenticated("The extended card needs a key.")
        return self._extended_card(caller_of(context))

    @contextmanager
    def _counted_stream(self) -> Iterator[None]:
        self.active_streams += 1
        try:
            yield
        finally:
            self.active_streams -= 1
