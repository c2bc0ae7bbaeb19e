"""The methods of official A2A 0.3 (04 §6): its own types, converted to and from 1.0 by the SDK."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from a2a.compat.v0_3 import conversions, types
from a2a.compat.v0_3.request_handler import RequestHandler03
from a2a.server.context import ServerCallContext
from a2a.server.events import Event
from a2a.utils.errors import TaskNotFoundError
from a2a.utils.proto_utils import to_stream_response
from pydantic import BaseModel, ValidationError

from omniroute_a2a.call import Call, Frames, Method, primed
from omniroute_a2a.errors import INVALID_PARAMS, Fault
from omniroute_a2a.handler import Handler
from omniroute_a2a.proto import whole_numbers
from omniroute_a2a.push import PROTOCOL, V03

RequestT = TypeVar("RequestT", bound=BaseModel)
CoreT = TypeVar("CoreT")


def read(kind: type[RequestT], method: str, params: Mapping[str, Any]) -> RequestT:
    """The request as its type, strictly. The id stays outside: ours may be null, 0.3's may not.

    Raises:
        Fault: -32602, naming the first offending field.
    """
    request = {"jsonrpc": "2.0", "id": "", "method": method, "params": params}
    try:
        return kind.model_validate_json(msgspec.json.encode(request), strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, problem["loc"]))
        raise Fault(INVALID_PARAMS, f"{field}: {problem['msg']}") from error


def dump(result: Any) -> Any:
    """A 0.3 value as JSON, absent members left out."""
    if isinstance(result, list):
        return [dump(item) for item in result]
    if result is None:
        return None
    return whole_numbers(result.model_dump(mode="json", by_alias=True, exclude_none=True))


def unary(
    name: str,
    kind: type[RequestT],
    run: Callable[[RequestHandler03, RequestT, ServerCallContext], Awaitable[Any]],
) -> Method:
    """A method that answers once."""

    async def method(call: Call, params: Mapping[str, Any]) -> Any:
        request = read(kind, name, params)
        call.context.state[PROTOCOL] = V03
        return dump(await run(RequestHandler03(call.handler), request, call.context))

    return method


def streaming(
    name: str,
    kind: type[RequestT],
    to_core: Callable[[RequestT], CoreT],
    run: Callable[[Handler, CoreT, ServerCallContext], AsyncGenerator[Event, None]],
) -> Method:
    """A method that answers with a stream of responses."""

    async def method(call: Call, params: Mapping[str, Any]) -> Frames:
        request = to_core(read(kind, name, params))
        call.context.state[PROTOCOL] = V03
        return frames(call, await primed(run(call.handler, request, call.context)))

    return method


async def frames(call: Call, events: AsyncGenerator[Event, None]) -> Frames:
    """Each event as a response to the call."""
    async with aclosing(events):
        async for event in events:
            frame = conversions.to_compat_stream_response(to_stream_response(event))
            yield call.response(dump(frame.result))


async def get_push_config(
    handler: RequestHandler03,
    request: types.GetTaskPushNotificationConfigRequest,
    context: ServerCallContext,
) -> types.TaskPushNotificationConfig:
    """The configuration that is named; 0.3 lets the name be left out, and means the oldest then.

    Raises:
        TaskNotFoundError: there is no such task, or no such configuration.
    """
    params = request.params
    if isinstance(params, types.GetTaskPushNotificationConfigParams) and (
        params.push_notification_config_id
    ):
        return await handler.on_get_task_push_notification_config(request, context)
    every = types.ListTaskPushNotificationConfigRequest(
        id=request.id, params=types.ListTaskPushNotificationConfigParams(id=params.id)
    )
    found = await handler.on_list_task_push_notification_configs(every, context)
    if not found:
        raise TaskNotFoundError
    return found[0]


METHODS: dict[str, Method] = {
    "message/send": unary(
        "message/send", types.SendMessageRequest, RequestHandler03.on_message_send
    ),
    "message/stream": streaming(
        "message/send",  # its params are those of message/send, and the SDK converts only these
        types.SendMessageRequest,
        conversions.to_core_send_message_request,
        Handler.on_message_send_stream,
    ),
    "tasks/get": unary("tasks/get", types.GetTaskRequest, RequestHandler03.on_get_task),
    "tasks/cancel": unary("tasks/cancel", types.CancelTaskRequest, RequestHandler03.on_cancel_task),
    "tasks/resubscribe": streaming(
        "tasks/resubscribe",
        types.TaskResubscriptionRequest,
        conversions.to_core_subscribe_to_task_request,
        Handler.on_subscribe_to_task,
    ),
    "tasks/pushNotificationConfig/set": unary(
        "tasks/pushNotificationConfig/set",
        types.SetTaskPushNotificationConfigRequest,
        RequestHandler03.on_create_task_push_notification_config,
    ),
    "tasks/pushNotificationConfig/get": unary(
        "tasks/pushNotificationConfig/get",
        types.GetTaskPushNotificationConfigRequest,
        get_push_config,
    ),
    "tasks/pushNotificationConfig/list": unary(
        "tasks/pushNotificationConfig/list",
        types.ListTaskPushNotificationConfigRequest,
        RequestHandler03.on_list_task_push_notification_configs,
    ),
    "tasks/pushNotificationConfig/delete": unary(
        "tasks/pushNotificationConfig/delete",
        types.DeleteTaskPushNotificationConfigRequest,
        RequestHandler03.on_delete_task_push_notification_config,
    ),
    "agent/getAuthenticatedExtendedCard": unary(
        "agent/getAuthenticatedExtendedCard",
        types.GetAuthenticatedExtendedCardRequest,
        RequestHandler03.on_get_extended_agent_card,
    ),
}
