"""Calling tools: scopes, validation, confirmation, time limit, audit. 03 §4."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
import mcp_types as types
import msgspec
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.inputs import convert_input
from omniroute.operations.progress import silent
from omniroute.operations.usage.runs import in_step
from omniroute.skills.skill import InputRequired
from omniroute.storage.records.runs import RunStep, StepStatus
from omniroute_mcp import audit
from omniroute_mcp.accessibility import filtered
from omniroute_mcp.attendance import Attended, Unattended
from omniroute_mcp.callers import Callers, Context
from omniroute_mcp.confirmation import Answer, confirm, given
from omniroute_mcp.draining import Calls
from omniroute_mcp.errors import failed, tool_error
from omniroute_mcp.scopes import ScopeCheck
from omniroute_mcp.tasks.running import Tasks
from omniroute_mcp.tasks.task import Result, Task
from omniroute_mcp.tasks.wire import knows_tasks
from omniroute_mcp.tools.row import ToolRow

Tools: TypeAlias = Callable[[], Mapping[str, ToolRow]]
"""The tools there are right now, by name, in the order of the catalogue."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: what the caller gets, and what the audit learns.

    `output` is the result in plain values, None after a failure; `error_code` is None after a
    success; `denied` is the check that refused the call.
    """

    result: Result
    output: Any = None
    error_code: str | None = None
    denied: ScopeCheck | None = None


# What the audit learns of a call that ends before it has an outcome.
_CANCELLED = Outcome(tool_error("Error: cancelled"), error_code="cancelled")


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """The pipeline every tool call goes through, whatever the transport."""

    engine: Engine
    callers: Callers
    tools: Tools
    tasks: Tasks
    calls: Calls = field(default_factory=Calls)

    async def __call__(
        self, context: Context, params: types.CallToolRequestParams
    ) -> Result | dict[str, Any]:
        """Answer one call: by its result, or by a task that will have it."""
        row = self.tools().get(params.name)
        with self.calls:
            deferrable = row is not None and row.may_take_long and self.tasks.are_possible
            if not deferrable or not knows_tasks(context):
                return await self._audited(Attended(context, params), row)

            async def work(task: Task) -> Result:
                return await self._audited(Unattended(context, params, self.tasks, task), row)

            patience_ms = self.engine.snapshot.settings["mcpTaskAfterMs"]
            return await self.tasks.call(context, patience_ms, work)

    async def _audited(self, attended: Attended, row: ToolRow | None) -> Result:
        """Run one call and audit it."""
        context, params = attended.context, attended.params
        began, arguments = time.monotonic(), params.arguments or {}
        caller, step = in_step(self.engine, self.callers.of(context), "tool", params.name)
        outcome = _CANCELLED
        try:
            outcome = await self._outcome(attended, row, caller)
        finally:
            await audit.record(
                self.engine,
                params.name,
                row,
                arguments,
                outcome.output,
                duration_ms=0 if outcome.denied else int((time.monotonic() - began) * 1000),
                key_id=caller.key_id,
                error_code=outcome.error_code,
                denied=outcome.denied,
                step=ended(self.engine, step, outcome),
            )
        return outcome.result

    async def _outcome(self, attended: Attended, row: ToolRow | None, caller: Caller) -> Outcome:
        context, params = attended.context, attended.params
        check = self.callers.check(context, caller, row.scopes if row else frozenset())
        if row is None:
            unknown = tool_error(f"Unknown tool: {params.name}")
            if self.callers.policy.enforce:
                code = "scope_denied:tool_definition_missing"
                return Outcome(unknown, error_code=code, denied=check)
            return Outcome(unknown, error_code="unknown_tool")
        if self.callers.refuses(check):
            text = (
                f"Error: {params.name} needs scopes {', '.join(check.missing)} "
                f"(caller {check.caller_id}, from {check.source})"
            )
            return Outcome(tool_error(text), error_code="scope_denied:missing_scopes", denied=check)
        try:
            query = convert_input(row.params, params.arguments or {})
            question = row.confirm(query)
            if question and self.engine.snapshot.settings["mcpConfirmDestructive"]:
                answer = await confirm(context, params, question)
                if answer is not Answer.YES:
                    return _unconfirmed(answer, "switch the setting mcpConfirmDestructive off")
            return await self._answered(attended, row, query, caller)
        except Exception as error:  # noqa: BLE001 - the protocol's edge: nothing may leak
            result, code = failed(error, row.name)
            return Outcome(result, error_code=code)

    async def _answered(
        self, attended: Attended, row: ToolRow, query: Any, caller: Caller
    ) -> Outcome:
        """Run a call, and ask whoever sits at the client as often as the tool needs it."""
        params = attended.params
        approved = _resumed(params)
        if approved and given(params) is not Answer.YES:
            return _unconfirmed(given(params) or Answer.NO, "")
        attended.begin()
        while True:
            try:
                return await self._run(attended, row, replace(query, **approved), caller)
            except InputRequired as asked:
                approved = asked.approves
                state = msgspec.json.encode(approved).decode()
                answer = await attended.confirm(asked.question, state)
                if answer is not Answer.YES:
                    return _unconfirmed(answer, "let the agent use the tool without approval")

    async def _run(self, attended: Attended, row: ToolRow, query: Any, caller: Caller) -> Outcome:
        with anyio.move_on_after(row.time_limit_s) as limit:
            output = await row.call(
                self.engine, caller, query, attended.report if attended.is_heard else silent
            )
        if limit.cancelled_caught:
            text = f"Error: {row.name} took longer than {row.time_limit_s:.0f} s."
            return Outcome(tool_error(text), error_code="timeout")
        plain = msgspec.to_builtins(output)
        text = msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
        shown = filtered(text, self.engine.snapshot.compression.mcp_accessibility)
        content: list[types.ContentBlock] = [types.TextContent(type="text", text=shown)]
        return Outcome(types.CallToolResult(content=content, structured_content=plain), plain)


def ended(engine: Engine, step: RunStep, outcome: Outcome) -> RunStep:
    """The step of a call that has ended."""
    verdict = outcome.error_code or "completed"
    status = "denied" if outcome.denied is not None else _STATUSES.get(verdict, "failed")
    return replace(step, status=status, verdict=verdict, ended_at_ms=engine.now_ms())


_STATUSES: Mapping[str, StepStatus] = {
    "completed": "completed",
    "cancelled": "cancelled",
    "cancelled_by_user": "cancelled",
    "input_required": "input-required",
}


def _resumed(params: types.CallToolRequestParams) -> dict[str, Any]:
    """What a yes to the tool's own question sets, in a call that brings the answer along."""
    try:
        return msgspec.json.decode(params.request_state or "{}", type=dict[str, Any])
    except msgspec.DecodeError:  # another question's
        return {}


def _unconfirmed(answer: Answer | types.InputRequiredResult, remedy: str) -> Outcome:
    if isinstance(answer, types.InputRequiredResult):
        return Outcome(answer, error_code="input_required")
    if answer is Answer.CANNOT_ASK:
        text = (
            "Error: this needs a confirmation, and your client cannot be asked. Use one that "
            f"supports elicitation, or {remedy}."
        )
        return Outcome(tool_error(text), error_code="confirmation_impossible")
    return Outcome(tool_error("Error: Cancelled by user"), error_code="cancelled_by_user")
