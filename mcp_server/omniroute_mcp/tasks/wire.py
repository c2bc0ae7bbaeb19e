"""The Tasks extension on the wire: its name, its parameters, its errors, and who knows it.

Source: the specification of `io.modelcontextprotocol/tasks` for 2026-07-28 (SEP-2663).
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

Context: TypeAlias = ServerRequestContext[Any, Any]
Status: TypeAlias = Literal["working", "input_required", "completed", "failed", "cancelled"]

EXTENSION = "io.modelcontextprotocol/tasks"
CREATED = "task"
"""The `resultType` of an answer that is a task."""


class TaskParams(types.RequestParams):
    """Which task is meant."""

    task_id: str


class TaskUpdateParams(TaskParams):
    """Answers to what a task asked, by the names of its questions."""

    input_responses: dict[str, Any]


class TaskNotification(types.Notification[dict[str, Any], Literal["notifications/tasks"]]):
    """A task as it stands."""

    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: dict[str, Any]


def knows_tasks(context: Context) -> bool:
    """Whether the client declared the extension on this request."""
    able = context.session.client_capabilities
    modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
    return modern and able is not None and EXTENSION in (able.extensions or {})


def require_knows_tasks(context: Context) -> None:
    """Refuse a client that did not declare the extension on this request.

    Raises:
        MCPError: it did not.
    """
    if not knows_tasks(context):
        raise MCPError(
            code=types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            message=f"Missing required client capability: declare the extension {EXTENSION} in "
            "the client capabilities of this request.",
            data={"requiredCapabilities": {"extensions": {EXTENSION: {}}}},
        )


def require_routed(context: Context, task_id: str) -> None:
    """Refuse a request over HTTP whose `Mcp-Name` header is not the task's id.

    Raises:
        MCPError: it is missing, or another one.
    """
    headers: Mapping[str, str] | None = getattr(context.request, "headers", None)
    if headers is not None and decode_header_value(headers.get(MCP_NAME_HEADER)) != task_id:
        raise MCPError(
            code=types.HEADER_MISMATCH,
            message=f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' "
            "parameter",
        )


def unknown_task() -> MCPError:
    """There is no such task for this caller."""
    return MCPError(
        code=types.INVALID_PARAMS,
        message="Unknown task: it has expired, or is another caller's. Call the tool again.",
    )


def held_elsewhere() -> MCPError:
    """The task is alive, but not here."""
    return MCPError(
        code=types.INTERNAL_ERROR,
        message="Another process of this gateway works on the task. Send requests with the same "
        "Mcp-Name header to the same process.",
    )
