"""The methods of official A2A 1.0 (04 §7): ProtoJSON in, handler, ProtoJSON out."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from a2a.server.context import ServerCallContext
from a2a.server.events import Event
from a2a.server.routes.common import serialize_list_tasks_response
from a2a.types import (
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import InvalidParamsError
from a2a.utils.proto_utils import to_stream_response

from omniroute_a2a.call import Call, Frames, Method, primed
from omniroute_a2a.handler import Handler
from omniroute_a2a.proto import ParseError, from_dict, to_dict, whole_numbers

ParamsT = TypeVar("ParamsT")
ResultT = TypeVar("ResultT")


def read(params: Mapping[str, Any], message: ParamsT) -> ParamsT:
    """The params as their message; snake_case names are understood too.

    Raises:
        InvalidParamsError: a member has the wrong type or names no enum value.
    """
    try:
        return from_dict(params, message)
    except ParseError as error:
        raise InvalidParamsError(str(error)) from error


def unary(
    kind: Callable[[], ParamsT],
    run: Callable[[Handler, ParamsT, ServerCallContext], Awaitable[ResultT]],
    wire: Callable[[ResultT], Any] = to_dict,
) -> Method:
    """A method that answers once."""

    async def method(call: Call, params: Mapping[str, Any]) -> Any:
        return wire(await run(call.handler, read(params, kind()), call.context))

    return method


def streaming(
    kind: Callable[[], ParamsT],
    run: Callable[[Handler, ParamsT, ServerCallContext], AsyncGenerator[Event, None]],
) -> Method:
    """A method that answers with a stream of responses."""

    async def method(call: Call, params: Mapping[str, Any]) -> Frames:
        events = await primed(run(call.handler, read(params, kind()), call.context))
        return frames(call, events)

    return method


async def frames(call: Call, events: AsyncGenerator[Event, None]) -> Frames:
    """Each event as a response to the call."""
    async with aclosing(events):
        async for event in events:
            yield call.response(to_dict(to_stream_response(event)))


def sent(answer: Message | Task) -> dict[str, Any]:
    """The result of `SendMessage`."""
    return {"task" if isinstance(answer, Task) else "message": to_dict(answer)}


async def list_tasks(call: Call, params: Mapping[str, Any]) -> Any:
    """`ListTasks`: all four members are present, artifacts only when asked for."""
    request = read(params, ListTasksRequest())
    page = await call.handler.on_list_tasks(request, call.context)
    return whole_numbers(serialize_list_tasks_response(page, request.include_artifacts))


METHODS: dict[str, Method] = {
    "SendMessage": unary(SendMessageRequest, Handler.on_message_send, sent),
    "SendStreamingMessage": streaming(SendMessageRequest, Handler.on_message_send_stream),
    "GetTask": unary(GetTaskRequest, Handler.on_get_task),
    "ListTasks": list_tasks,
    "CancelTask": unary(CancelTaskRequest, Handler.on_cancel_task),
    "SubscribeToTask": streaming(SubscribeToTaskRequest, Handler.on_subscribe_to_task),
    "CreateTaskPushNotificationConfig": unary(
        TaskPushNotificationConfig, Handler.on_create_task_push_notification_config
    ),
    "GetTaskPushNotificationConfig": unary(
        GetTaskPushNotificationConfigRequest, Handler.on_get_task_push_notification_config
    ),
    "ListTaskPushNotificationConfigs": unary(
        ListTaskPushNotificationConfigsRequest, Handler.on_list_task_push_notification_configs
    ),
    "DeleteTaskPushNotificationConfig": unary(
        DeleteTaskPushNotificationConfigRequest,
        Handler.on_delete_task_push_notification_config,
        lambda _: None,
    ),
    "GetExtendedAgentCard": unary(GetExtendedAgentCardRequest, Handler.on_get_extended_agent_card),
}
