"""Telling the three A2A dialects apart by method, params and version header (04 §5)."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from omniroute_a2a.errors import INTERNAL_ERROR, VERSION_NOT_SUPPORTED, Fault


class Dialect(StrEnum):
    """A generation of A2A shapes: OmniRoute's first API, official 0.3, official 1.0."""

    SEED = "seed"
    V03 = "0.3"
    V10 = "1.0"


V10_METHODS = frozenset(
    {
        "SendMessage",
        "SendStreamingMessage",
        "GetTask",
        "ListTasks",
        "CancelTask",
        "SubscribeToTask",
        "CreateTaskPushNotificationConfig",
        "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs",
        "DeleteTaskPushNotificationConfig",
        "GetExtendedAgentCard",
    }
)
V03_ONLY_METHODS = frozenset(
    {
        "tasks/resubscribe",
        "tasks/pushNotificationConfig/set",
        "tasks/pushNotificationConfig/get",
        "tasks/pushNotificationConfig/list",
        "tasks/pushNotificationConfig/delete",
        "agent/getAuthenticatedExtendedCard",
    }
)
MESSAGE_METHODS = frozenset({"message/send", "message/stream"})
TASK_METHODS = frozenset({"tasks/get", "tasks/cancel"})

STREAMING_METHODS = frozenset(
    {"SendStreamingMessage", "SubscribeToTask", "message/stream", "tasks/resubscribe"}
)

SEED_MARKS = ("messages", "skill", "skillId")
"""Members that 0.3 does not define beside `message`: each makes a message request seed."""

VERSION = re.compile(r"(\d+)(\.\d+)*")


def dialect_of(method: str, params: Mapping[str, Any]) -> Dialect | None:
    """The dialect of a request, None when no dialect knows the method."""
    if method in V10_METHODS:
        return Dialect.V10
    if method in V03_ONLY_METHODS:
        return Dialect.V03
    if method in MESSAGE_METHODS:
        return Dialect.SEED if is_seed_message(params) else Dialect.V03
    if method in TASK_METHODS:
        return Dialect.SEED if "taskId" in params else Dialect.V03
    return None


def is_seed_message(params: Mapping[str, Any]) -> bool:
    """Whether the params of a message method are in seed form."""
    if any(mark in params for mark in SEED_MARKS):
        return True
    message = params.get("message")
    return (
        isinstance(message, Mapping)
        and isinstance(message.get("content"), str)
        and "parts" not in message
    )


def check_version(header: str | None, dialect: Dialect) -> None:
    """Refuse an `A2A-Version` that contradicts the method. An absent one fits every dialect.

    Raises:
        Fault: -32009, or -32603 for slash methods, since 0.3 has no code for it.
    """
    value = (header or "").strip()
    if not value:
        return
    major = found[1] if (found := VERSION.fullmatch(value)) else None
    if major not in ("0", "1"):
        raise Fault(VERSION_NOT_SUPPORTED, f"A2A version {value[:20]!r} is not supported.")
    if (major == "1") == (dialect is Dialect.V10):
        return
    code = VERSION_NOT_SUPPORTED if dialect is Dialect.V10 else INTERNAL_ERROR
    raise Fault(code, f"A2A version {value[:20]} does not have this method.")
