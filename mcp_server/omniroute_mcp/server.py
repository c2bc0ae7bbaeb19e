"""Listing and calling tools, over the SDK's low-level server."""

import base64
import binascii
import time
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
import msgspec
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.inputs import convert_input
from omniroute_mcp import audit
from omniroute_mcp.errors import failed, tool_error
from omniroute_mcp.schemas import empty_schema, schema_of
from omniroute_mcp.scopes import Granted, granted, missing
from omniroute_mcp.tools import TOOLS, NoInput, ToolRow

PAGE = 50
LIST_TTL_MS = 60_000
CALLER = "omniroute_caller"
"""Where the HTTP transports put the caller, in the request's ASGI state."""

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


@dataclass(slots=True)
class Calls:
    """Tool calls under way, so that a graceful stop can wait for them."""

    running: int = 0
    idle: anyio.Event = field(default_factory=anyio.Event)

    def __enter__(self) -> None:
        self.running += 1

    def __exit__(self, *_: object) -> None:
        self.running -= 1
        if not self.running:
            self.idle.set()
            self.idle = anyio.Event()


@dataclass(frozen=True, slots=True)
class ToolServer:
    """The handlers behind one SDK server."""

    engine: Engine
    policy: Policy
    calls: Calls = field(default_factory=Calls)

    def build(self) -> Server[Any]:
        """An SDK server that lists and calls our tools. It has no state of its own."""
        return Server(
            "omniroute",
            version=self.engine.version,
            title="OmniRoute",
            instructions=INSTRUCTIONS,
            cache_hints={"tools/list": CacheHint(ttl_ms=LIST_TTL_MS, scope="private")},
            get_tool_input_schema=_input_schema_of,
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
        start = _offset(params.cursor if params else None)
        rows = list(TOOLS.values())
        after = start + PAGE
        return types.ListToolsResult(
            tools=[_listed(row) for row in rows[start:after]],
            next_cursor=_cursor(after) if after < len(rows) else None,
        )

    async def call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Check scopes, validate, run within the time limit, audit. 03 §4."""
        began = time.monotonic()
        arguments = params.arguments or {}
        caller, trusted = self._caller(context)
        row = TOOLS.get(params.name)
        with self.calls:
            result, output, error_code = await self._answer(
                context, params.name, row, arguments, caller, trusted=trusted
            )
        denied = error_code is not None and error_code.startswith("scope_denied")
        await audit.record(
            self.engine,
            params.name,
            row,
            arguments,
            output,
            duration_ms=0 if denied else int((time.monotonic() - began) * 1000),
            key_id=caller.key_id,
            error_code=error_code,
        )
        return result

    async def _answer(
        self,
        context: Context,
        name: str,
        row: ToolRow | None,
        arguments: dict[str, Any],
        caller: Caller,
        *,
        trusted: bool,
    ) -> tuple[types.CallToolResult, Any, str | None]:
        if row is None:
            return tool_error(f"Unknown tool: {name}"), None, "unknown_tool"
        held = granted(caller.scopes, context.meta or {}, self.policy.scopes, trusted=trusted)
        lacking = missing(row.scopes, held.scopes) if self.policy.enforce else []
        if lacking:
            return _denied(name, lacking, caller, held), None, "scope_denied:missing_scopes"

        async def report(progress: float, message: str) -> None:
            await context.session.report_progress(progress, None, message)

        try:
            with anyio.fail_after(row.time_limit_s):
                query = convert_input(row.params, arguments)
                output = await row.call(self.engine, caller, query, report)
        except TimeoutError:
            text = f"Error: {name} took longer than {row.time_limit_s:.0f} s."
            return tool_error(text), None, "timeout"
        except Exception as error:  # noqa: BLE001 - the protocol's edge: nothing may leak
            result, code = failed(error, name)
            return result, None, code
        plain = msgspec.to_builtins(output)
        text = msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
        content: list[types.ContentBlock] = [types.TextContent(type="text", text=text)]
        return types.CallToolResult(content=content, structured_content=plain), plain, None

    def _caller(self, context: Context) -> tuple[Caller, bool]:
        """Who calls, and whether it is the process that started us."""
        request = context.request
        if request is None:
            return Caller(door="mcp", key_id=self.policy.stdio_key_id, is_operator=True), True
        caller: Caller = request.scope["state"][CALLER]
        return caller, False


def _denied(name: str, lacking: list[str], caller: Caller, held: Granted) -> types.CallToolResult:
    return tool_error(
        f"Error: {name} needs scopes {', '.join(lacking)} "
        f"(caller {caller.owner}, from {held.source})"
    )


def _listed(row: ToolRow) -> types.Tool:
    return types.Tool(
        name=row.name,
        title=row.title,
        description=row.description,
        input_schema=_input_schema(row),
        output_schema=schema_of(row.result),
        annotations=types.ToolAnnotations(
            title=row.title,
            read_only_hint=not row.writes,
            destructive_hint=row.destructive,
            idempotent_hint=row.idempotent,
            open_world_hint=row.open_world,
        ),
        _meta={
            "omniroute/scopes": sorted(row.scopes),
            "omniroute/phase": row.phase,
            "omniroute/auditLevel": row.audit,
        },
    )


def _input_schema(row: ToolRow) -> dict[str, Any]:
    return empty_schema() if row.params is NoInput else schema_of(row.params)


def _input_schema_of(name: str) -> dict[str, Any] | None:
    return _input_schema(TOOLS[name]) if name in TOOLS else None


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"tools:{offset}".encode()).decode()


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        name, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        offset = int(number)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        name, offset = "", -1
    if name != "tools" or not 0 <= offset < len(TOOLS):
        raise MCPError(code=types.INVALID_PARAMS, message="The cursor is not valid.")
    return offset
