"""The SDK's low-level server with all our handlers: the same for every transport."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import ListenHandler
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from omniroute.engine import Engine
from omniroute_mcp import listing, prompts
from omniroute_mcp.callers import Callers, Context
from omniroute_mcp.calling import ToolCalls
from omniroute_mcp.completions import completion
from omniroute_mcp.icons import icon
from omniroute_mcp.listeners import LISTENER, Listener, Listeners, log_to
from omniroute_mcp.paging import page
from omniroute_mcp.resources import reading
from omniroute_mcp.resources.reading import Resources
from omniroute_mcp.resources.row import ResourceRow
from omniroute_mcp.tasks import listening
from omniroute_mcp.tasks.methods import TaskMethods
from omniroute_mcp.tasks.task import Result
from omniroute_mcp.tasks.wire import EXTENSION

LISTS = CacheHint(ttl_ms=60_000, scope="private")
READS = CacheHint(ttl_ms=5_000, scope="private")

INSTRUCTIONS = (
    "OmniRoute routes chat requests to models. Ask with omniroute_route_request (model 'auto', "
    "'provider/model' or a combo's name); omniroute_list_models_catalog and omniroute_list_combos "
    "say what exists, omniroute_simulate_route what would happen, omniroute_explain_route why a "
    "request went where it went."
)


class OmniRouteServer(Server[Any]):
    """Says in the handshake that the list of tools may change, as the SDK's transports do not ask;
    and in the stateless era, which has them, that there are tasks."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """What a client is told first."""
        told = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(told, experimental_capabilities, extensions)

    def get_capabilities(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
        *,
        protocol_version: str | None = None,
    ) -> types.ServerCapabilities:
        """What a client is told can be done in its era."""
        if protocol_version in MODERN_PROTOCOL_VERSIONS and self.get_request_handler("tasks/get"):
            extensions = {**(extensions or {}), EXTENSION: {}}
        return super().get_capabilities(
            notification_options,
            experimental_capabilities,
            extensions,
            protocol_version=protocol_version,
        )


@dataclass(frozen=True, slots=True)
class Handlers:
    """What is behind every method, bound to how callers are known on a transport.

    `own` is the session where there is only one, as over stdio.
    """

    engine: Engine
    callers: Callers
    calls: ToolCalls
    rows: Sequence[ResourceRow]
    listen: ListenHandler
    listeners: Listeners
    state: RequestStateSecurity
    own: Listener = field(default_factory=Listener)
    resources: Resources = field(init=False)

    def __post_init__(self) -> None:
        resources = Resources(self.engine, self.callers, self.rows)
        object.__setattr__(self, "resources", resources)

    def server(self) -> Server[Any]:
        """An SDK server. It has no state of its own."""
        server = OmniRouteServer(
            "omniroute",
            version=self.engine.version,
            title="OmniRoute",
            icons=[icon("server")],
            instructions=INSTRUCTIONS,
            cache_hints={
                "tools/list": LISTS,
                "prompts/list": LISTS,
                "resources/list": LISTS,
                "resources/templates/list": LISTS,
                "resources/read": READS,
            },
            get_tool_input_schema=self._input_schema,
            on_list_tools=self._list_tools,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read,
            on_subscribe_resource=self._subscribe,
            on_unsubscribe_resource=self._unsubscribe,
            on_subscriptions_listen=self._listen,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._prompt,
            on_completion=self._complete,
        )
        # Not by the constructor, whose type does not know of tasks.
        server.add_request_handler("tools/call", types.CallToolRequestParams, self._call_tool)
        TaskMethods(self.calls.tasks).serve_on(server)
        # Not by the constructor, which warns of it: the handshake era still has it.
        server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, self._set_level)
        server.middleware.append(self._noticing)
        server.middleware.append(RequestStateBoundary(self.state, default_audience="omniroute"))
        return server

    async def _noticing(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Keep how a session of the handshake era is reached."""
        if ctx.method == "notifications/initialized":
            listener = LISTENER.get(self.own)
            listener.session = ctx.session
            self.listeners.add(listener)
        return await call_next(ctx)

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        row = self.calls.tools().get(name)
        return listing.input_schema(row) if row is not None else None

    async def _list_tools(
        self, _context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        rows, after = page("tools", list(self.calls.tools().values()), _cursor(params))
        describe = listing.describing(self.engine)
        found = [listing.listed(row, describe) for row in rows]
        return types.ListToolsResult(tools=found, next_cursor=after)

    async def _call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> Result | dict[str, Any]:
        result = await self.calls(context, params)
        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            failed = isinstance(result, types.CallToolResult) and result.is_error
            data = {"tool": params.name, "failed": bool(failed)}
            level: types.LoggingLevel = "warning" if failed else "debug"
            listener = LISTENER.get(self.own)
            await log_to(listener, context.session, level, data, context.request_id)
        return result

    async def _list_resources(
        self, _context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        fixed = [row for row in self.rows if not row.is_template]
        rows, after = page("resources", fixed, _cursor(params))
        describe = listing.describing(self.engine)
        found = [reading.listed(row, describe) for row in rows]
        return types.ListResourcesResult(resources=found, next_cursor=after)

    async def _list_templates(
        self, _context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        templates = [row for row in self.rows if row.is_template]
        rows, after = page("templates", templates, _cursor(params))
        describe = listing.describing(self.engine)
        found = [reading.listed_template(row, describe) for row in rows]
        return types.ListResourceTemplatesResult(resource_templates=found, next_cursor=after)

    async def _read(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        contents = await self.resources.read(context, str(params.uri))
        return types.ReadResourceResult(contents=[contents])

    async def _subscribe(
        self, context: Context, params: types.SubscribeRequestParams
    ) -> types.EmptyResult:
        await self.resources.require(context, str(params.uri))
        LISTENER.get(self.own).uris.add(str(params.uri))
        return types.EmptyResult()

    async def _unsubscribe(
        self, _context: Context, params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        LISTENER.get(self.own).uris.discard(str(params.uri))
        return types.EmptyResult()

    async def _listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        for uri in params.notifications.resource_subscriptions or ():
            await self.resources.require(context, str(uri))
        return await listening.listen(self.calls.tasks, self.listen, context, params)

    async def _list_prompts(
        self, _context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        rows, after = page("prompts", list(prompts.PROMPTS.values()), _cursor(params))
        describe = listing.describing(self.engine)
        found = [prompts.listed(row, describe) for row in rows]
        return types.ListPromptsResult(prompts=found, next_cursor=after)

    async def _prompt(
        self, context: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        return await prompts.prompt(self.resources, context, params.name, params.arguments or {})

    async def _complete(
        self, _context: Context, params: types.CompleteRequestParams
    ) -> types.CompleteResult:
        return types.CompleteResult(completion=completion(self.engine, self.rows, params))

    async def _set_level(
        self, _context: Context, params: types.SetLevelRequestParams
    ) -> types.EmptyResult:
        LISTENER.get(self.own).level = params.level
        return types.EmptyResult()


def _cursor(params: types.PaginatedRequestParams | None) -> str | None:
    return params.cursor if params else None
