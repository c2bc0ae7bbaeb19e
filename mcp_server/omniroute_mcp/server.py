"""Calling tools, over the SDK's low-level server: scopes, validation, time limit, audit."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
import msgspec
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from starlette.requests import Request

from omniroute.caller import Caller, run_named
from omniroute.engine import Engine
from omniroute.operations.inputs import convert_input
from omniroute_mcp import audit
from omniroute_mcp.draining import Calls
from omniroute_mcp.errors import failed, tool_error
from omniroute_mcp.listing import input_schema_of, tools_page
from omniroute_mcp.scopes import ScopeCheck, granted
from omniroute_mcp.tools import TOOLS
from omniroute_mcp.tools.row import ToolRow

LIST_TTL_MS = 60_000
CALLER = "omniroute_caller"
"""Where the HTTP transports put the caller, in the request's ASGI state."""

RUN_KEY = "omniroute/runId"
"""Where a client names, in `_meta`, the run a call belongs to."""

INSTRUCTIONS = (
    "OmniRoute routes chat requests to models. Ask with omniroute_route_request (model 'auto', "
    "'provider/model' or a combo's name); omniroute_list_models_catalog and omniroute_list_combos "
    "say what exists, omniroute_simulate_route what would happen, omniroute_explain_route why a "
    "request went where it went."
)

Context = ServerRequestContext[Any, Any]


@dataclass(slots=True)
class Policy:
    """How scopes are checked, and who a stdio caller is.

    `enforce` switches the check on; `scopes` are those of callers that bring none.
    """

    enforce: bool = False
    scopes: frozenset[str] = frozenset()
    stdio_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: what the caller gets, and what the audit learns.

    `output` is the result in plain values, None after a failure; `error_code` is None after a
    success; `denied` is the check that refused the call.
    """

    result: types.CallToolResult
    output: Any = None
    error_code: str | None = None
    denied: ScopeCheck | None = None


# What the audit learns of a call that ends before it has an outcome.
_CANCELLED = Outcome(tool_error("Error: cancelled"), error_code="cancelled")


@dataclass(frozen=True, slots=True)
class ToolServer:
    """The handlers behind one SDK server.

    `over_stdio` says that callers are the process that started this one, which is trusted; else
    every request carries the caller that the HTTP side established. `stdio_session` is the one
    session there is then.
    """

    engine: Engine
    policy: Policy
    over_stdio: bool = False
    stdio_session: str | None = None
    calls: Calls = field(default_factory=Calls)

    def build(self) -> Server[Any]:
        """An SDK server that lists and calls our tools. It has no state of its own."""
        return Server(
            "omniroute",
            version=self.engine.version,
            title="OmniRoute",
            instructions=INSTRUCTIONS,
            cache_hints={"tools/list": CacheHint(ttl_ms=LIST_TTL_MS, scope="private")},
            get_tool_input_schema=input_schema_of,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
        )

    async def list_tools(
        self, _context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """A page of tools.

        Raises:
            MCPError: the cursor is not one of ours.
        """
        return tools_page(params.cursor if params else None)

    async def call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Check scopes, validate, run within the time limit, audit. 03 §4."""
        began = time.monotonic()
        arguments = params.arguments or {}
        caller = self._caller(context)
        row = TOOLS.get(params.name)
        outcome = _CANCELLED
        with self.calls:
            try:
                outcome = await self._outcome(context, params.name, row, arguments, caller)
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
                )
        return outcome.result

    async def _outcome(
        self,
        context: Context,
        name: str,
        row: ToolRow | None,
        arguments: dict[str, Any],
        caller: Caller,
    ) -> Outcome:
        check = self._check(context, row, caller)
        if row is None:
            unknown = tool_error(f"Unknown tool: {name}")
            if self.policy.enforce:
                code = "scope_denied:tool_definition_missing"
                return Outcome(unknown, error_code=code, denied=check)
            return Outcome(unknown, error_code="unknown_tool")
        if self.policy.enforce and check.missing:
            text = (
                f"Error: {name} needs scopes {', '.join(check.missing)} "
                f"(caller {check.caller_id}, from {check.source})"
            )
            return Outcome(tool_error(text), error_code="scope_denied:missing_scopes", denied=check)
        return await self._run(context, row, arguments, caller)

    async def _run(
        self, context: Context, row: ToolRow, arguments: dict[str, Any], caller: Caller
    ) -> Outcome:
        async def report(progress: float, message: str) -> None:
            await context.session.report_progress(progress, None, message)

        try:
            with anyio.move_on_after(row.time_limit_s) as limit:
                query = convert_input(row.params, arguments)
                output = await row.call(self.engine, caller, query, report)
        except Exception as error:  # noqa: BLE001 - the protocol's edge: nothing may leak
            result, code = failed(error, row.name)
            return Outcome(result, error_code=code)
        if limit.cancelled_caught:
            text = f"Error: {row.name} took longer than {row.time_limit_s:.0f} s."
            return Outcome(tool_error(text), error_code="timeout")
        plain = msgspec.to_builtins(output)
        text = msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
        content: list[types.ContentBlock] = [types.TextContent(type="text", text=text)]
        return Outcome(types.CallToolResult(content=content, structured_content=plain), plain)

    def _check(self, context: Context, row: ToolRow | None, caller: Caller) -> ScopeCheck:
        held = granted(
            caller.scopes, context.meta or {}, self.policy.scopes, trusted=self.over_stdio
        )
        caller_id = caller.key_id or self._session_id(context) or caller.owner
        return ScopeCheck.of(caller_id, held, row.scopes if row else frozenset())

    def _session_id(self, context: Context) -> str | None:
        if self.over_stdio:
            return self.stdio_session
        request = _request(context)
        return request.headers.get("mcp-session-id") or request.query_params.get("session_id")

    def _caller(self, context: Context) -> Caller:
        caller = Caller(door="mcp", key_id=self.policy.stdio_key_id, is_operator=True)
        if not self.over_stdio:
            caller = _request(context).scope["state"][CALLER]
        meta: Mapping[str, Any] = context.meta or {}
        return msgspec.structs.replace(
            caller,
            session_id=self._session_id(context),
            run_id=run_named(meta.get(RUN_KEY), meta.get("traceparent")),
        )


def _request(context: Context) -> Request:
    if context.request is None:  # nobody is trusted for lack of a request
        raise RuntimeError("A call over HTTP came without its request")
    request: Request = context.request
    return request
