"""The four methods of the seed dialect (04 §4), as OmniRoute's own API reference has them.

Each builds a 1.0 request, calls the handler all dialects share, and converts the task back.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any
from uuid import uuid4

from a2a.server.events import Event
from a2a.types import (
    CancelTaskRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    Task,
    TaskArtifactUpdateEvent,
    TaskStatusUpdateEvent,
)
from a2a.utils.errors import TaskNotCancelableError, TaskNotFoundError
from msgspec import Struct

from omniroute_a2a.call import Call, Frames, Method, primed
from omniroute_a2a.errors import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, Fault
from omniroute_a2a.executor import EARLIER, SKILL
from omniroute_a2a.handler import DEFAULT_SKILL
from omniroute_a2a.parts import SEED_ROLE, text_of
from omniroute_a2a.proto import struct_of, to_dict
from omniroute_a2a.questions import MARK
from omniroute_a2a.record import seed_result, task_record
from omniroute_a2a.states import CANCELLED, COMPLETED, FAILED, STORED, TERMINAL, WAITING, WORKING

CLIENT_GONE = "The client closed the stream."
CUT_SHORT = "The stream ended early; read the task for its outcome."


class Order(Struct, frozen=True):
    """What a seed request asks for: `turns` are `(role, text)`, at least one."""

    skill: str
    turns: tuple[tuple[str, str], ...]
    metadata: dict[str, Any]


def read_order(params: Mapping[str, Any]) -> Order:
    """Check the params of a message method.

    Raises:
        Fault: -32602 when they make no sense or hold no text.
    """
    skill = params.get("skill", params.get("skillId", DEFAULT_SKILL))
    metadata = params.get("metadata") or {}
    entries = params.get("messages", [params["message"]] if "message" in params else None)
    if not isinstance(skill, str):
        raise Fault(INVALID_PARAMS, "skill must be a string.")
    if not isinstance(metadata, dict):
        raise Fault(INVALID_PARAMS, "metadata must be an object.")
    if not isinstance(entries, list):
        raise Fault(INVALID_PARAMS, "messages must be an array.")
    turns = tuple(turn for entry in entries if (turn := read_turn(entry)))
    if not turns:
        raise Fault(INVALID_PARAMS, "messages must hold at least one with a string content.")
    return Order(skill, turns, metadata)


def read_turn(entry: Any) -> tuple[str, str] | None:
    """`(role, text)` of one entry, None for what has no text."""
    if not isinstance(entry, Mapping):
        return None
    content = entry.get("content")
    if content is None and isinstance(entry.get("parts"), list):
        texts = map(part_text, entry["parts"])
        content = "\n".join(text for text in texts if text.strip()) or None
    if not isinstance(content, str):
        return None
    role = entry.get("role")
    return role if isinstance(role, str) else "user", content


def part_text(part: Any) -> str:
    """Text of a seed part: a string, or an object with `content` or `text`."""
    if isinstance(part, Mapping):
        part = part.get("content", part.get("text"))
    return part if isinstance(part, str) else ""


def to_message(role: str, text: str, metadata: Mapping[str, Any]) -> Message:
    """A turn as a 1.0 message."""
    message = Message(
        message_id=str(uuid4()),
        role=Role.ROLE_AGENT if role == "assistant" else Role.ROLE_USER,
        parts=[Part(text=text)],
        metadata=struct_of(metadata),
    )
    if role not in ("user", "assistant"):
        message.metadata[SEED_ROLE] = role
    return message


def prepare(call: Call, params: Mapping[str, Any]) -> SendMessageRequest:
    """The 1.0 request of a seed message; the turns before the last ride in the call's state.

    Raises:
        Fault: the params make no sense, or there is no such skill.
    """
    order = read_order(params)
    if order.skill not in call.handler.skills:
        raise Fault(METHOD_NOT_FOUND, f"Unknown skill: {order.skill[:80]}")
    *earlier, last = order.turns
    call.context.state[EARLIER] = [to_message(role, text, {}) for role, text in earlier]
    metadata = {name: value for name, value in order.metadata.items() if name != SKILL}
    return SendMessageRequest(
        message=to_message(*last, metadata), metadata=struct_of({SKILL: order.skill})
    )


async def send(call: Call, params: Mapping[str, Any]) -> Any:
    """`message/send`: run the skill to its end."""
    task = await call.handler.on_message_send(prepare(call, params), call.context)
    if STORED[task.status.state] in (FAILED, CANCELLED):
        raise Fault(INTERNAL_ERROR, failure_of(task))
    return seed_result(task)


async def stream(call: Call, params: Mapping[str, Any]) -> Frames:
    """`message/stream`: run the skill and send its text as it comes."""
    request = prepare(call, params)
    events = await primed(call.handler.on_message_send_stream(request, call.context))
    return notifications(call, request.message.task_id, events)


async def notifications(call: Call, task_id: str, events: AsyncGenerator[Event, None]) -> Frames:
    """The events in seed form. A client that leaves takes the task with it, as it always did."""
    metadata: dict[str, Any] = {}
    try:
        async for event in events:
            match event:
                case TaskArtifactUpdateEvent(artifact=artifact):
                    metadata |= to_dict(artifact.metadata)
                    for part in artifact.parts:
                        if part.text:
                            chunk = {"type": "text", "content": part.text}
                            yield notification(task_id, WORKING, chunk=chunk)
                case Task() | TaskStatusUpdateEvent():
                    state = STORED[event.status.state]
                    if state in TERMINAL:
                        ending = metadata if state == COMPLETED else {"error": failure_of(event)}
                        yield notification(task_id, state, metadata=ending)
                        return
                    if event.status.state in WAITING:
                        asked = {MARK: text_of(event.status.message)}
                        yield notification(task_id, state, metadata=asked)
                        return
        yield notification(task_id, FAILED, metadata={"error": CUT_SHORT})
    finally:
        await events.aclose()
        call.interrupt(task_id, CLIENT_GONE)


def notification(task_id: str, state: str, **members: Any) -> dict[str, Any]:
    """One message of a seed stream."""
    params = {"task": {"id": task_id, "state": state}, **members}
    return {"jsonrpc": "2.0", "method": "message/stream", "params": params}


def failure_of(ended: Task | TaskStatusUpdateEvent) -> str:
    """Why a task did not complete."""
    if STORED[ended.status.state] == CANCELLED:
        return "The task was cancelled."
    return text_of(ended.status.message) or "The task failed."


async def get(call: Call, params: Mapping[str, Any]) -> Any:
    """`tasks/get`: the whole record."""
    task_id = read_task_id(params)
    tasks = call.handler.tasks
    row = await tasks.row(task_id)
    if row is None or row.owner != call.context.user.user_name:
        raise Fault(METHOD_NOT_FOUND, "Task not found")
    return {"task": task_record(row, tasks.task_of(row), await tasks.records.events(task_id))}


async def cancel(call: Call, params: Mapping[str, Any]) -> Any:
    """`tasks/cancel`."""
    task_id = read_task_id(params)
    try:
        await call.handler.on_cancel_task(CancelTaskRequest(id=task_id), call.context)
    except (TaskNotFoundError, TaskNotCancelableError) as error:
        raise Fault(INTERNAL_ERROR, error.message) from error
    return {"task": {"id": task_id, "state": CANCELLED}}


def read_task_id(params: Mapping[str, Any]) -> str:
    """The task a request is about."""
    task_id = params["taskId"]
    if not isinstance(task_id, str) or not task_id:
        raise Fault(INVALID_PARAMS, "taskId must be a non-empty string.")
    return task_id


METHODS: dict[str, Method] = {
    "message/send": send,
    "message/stream": stream,
    "tasks/get": get,
    "tasks/cancel": cancel,
}
