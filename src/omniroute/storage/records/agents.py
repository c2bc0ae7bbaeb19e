"""What agents leave behind: tool calls, tasks and stored responses."""

from msgspec import Struct


class ToolAudit(Struct, frozen=True, kw_only=True):
    """One MCP tool call, without its arguments. `created_at` is UTC `YYYY-MM-DD HH:MM:SS`."""

    tool_name: str
    input_hash: str
    output_summary: str
    duration_ms: int
    api_key_id: str | None
    success: bool
    error_code: str | None
    created_at: str


class ToolAuditEntry(ToolAudit, frozen=True, kw_only=True):
    """A tool call as it stands in the log."""

    id: int


class ToolAuditStats(Struct, frozen=True, kw_only=True):
    """Sums over a stretch of the tool log. The rate is 0-1; `top_tools` is at most ten pairs."""

    total_calls: int = 0
    success_rate: float = 0
    avg_duration_ms: float = 0
    top_tools: tuple[tuple[str, int], ...] = ()
    last_call_at: str | None = None
    last_call_tool: str | None = None


class TaskRow(Struct, frozen=True, kw_only=True):
    """One A2A task. `data` is the whole task in the 1.0 ProtoJSON form, as JSON text.

    `finished` says that `state` is terminal: storage never changes such a state again. `run_id` is
    the run its caller named, None where the context is the run.
    """

    id: str
    owner: str
    context_id: str
    skill: str
    state: str
    finished: bool = False
    data: str
    created_at_ms: int
    updated_at_ms: int
    expires_at_ms: int
    run_id: str | None = None


class TaskEvent(Struct, frozen=True, kw_only=True):
    """One thing that happened to a task; `type` is from the table of 04 §4.6."""

    task_id: str
    type: str
    state: str
    timestamp_ms: int
    message: str | None = None


class McpTask(Struct, frozen=True, kw_only=True):
    """One tool call that goes on without its caller. `data` is what the caller is told, as JSON
    text; `holder` the process that works on it, None once it has ended."""

    id: str
    owner: str
    holder: str | None
    data: str
    expires_at_ms: int


class PushConfig(Struct, frozen=True, kw_only=True):
    """Where changes of a task are told. `config` is the A2A configuration as ProtoJSON text, with
    its secrets; `protocol` the version its receiver understands, `0.3` or `1.0`."""

    task_id: str
    config_id: str
    owner: str
    protocol: str
    config: str
    created_at_ms: int

    @property
    def id(self) -> str:
        """The name no other configuration has."""
        return f"{self.task_id}/{self.config_id}"

    def __repr__(self) -> str:
        return f"PushConfig({self.id})"


class PushDelivery(Struct, frozen=True, kw_only=True):
    """One message to a receiver. `attempts` counts those begun, `reason` is why the latest one
    failed. It may be tried from `due_at_ms` on; while one is under way nobody else begins one."""

    id: int
    push_config: str
    task_id: str
    body: str
    state: str = "pending"
    attempts: int = 0
    due_at_ms: int
    reason: str | None = None
    created_at_ms: int
    updated_at_ms: int


class ResponseRow(Struct, frozen=True, kw_only=True):
    """A stored response of the Responses API.

    `request` is the client's body and `response` the wire object, both JSON text. `owner` is the
    key id, empty for callers without one. While one works on a background response its lease runs
    to `lease_until_ms`; one that has run out may be taken over.
    """

    id: str
    owner: str
    status: str
    background: bool
    previous_id: str | None
    request: str
    response: str
    lease_until_ms: int
    created_at_ms: int
    expires_at_ms: int
