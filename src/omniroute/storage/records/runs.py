"""What belongs to one undertaking: its steps, each caused by another or by whoever began it."""

from typing import Literal, TypeAlias

from msgspec import Struct

StepKind: TypeAlias = Literal["task", "tool", "model", "skill"]
StepStatus: TypeAlias = Literal[
    "running", "input-required", "completed", "failed", "cancelled", "denied"
]


class RunStep(Struct, frozen=True, kw_only=True):
    """One step: an A2A task, an MCP tool call, a model call or the execution of a tool skill.

    `parent_id` is the step it was made in, None for what came from outside. `verdict` says in a
    few words how it ended. Tokens and money (micro-USD) are a model call's own; `request_id` is
    what explains it. `ended_at_ms` is None while it runs.
    """

    id: str
    run_id: str
    parent_id: str | None
    kind: StepKind
    name: str
    door: str
    owner: str
    status: StepStatus
    verdict: str = ""
    request_id: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro_usd: int | None = None
    started_at_ms: int
    ended_at_ms: int | None = None


class RunLine(Struct, frozen=True, kw_only=True):
    """One run in a list. Money is micro-USD."""

    run_id: str
    steps: int
    cost_micro_usd: int
    started_at_ms: int
    last_at_ms: int
