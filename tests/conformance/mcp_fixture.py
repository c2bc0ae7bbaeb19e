"""The server the MCP conformance suite expects: fixture tools, resources and prompts."""

from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from tests.conformance.mcp_long_tools import LONG, call_long
from tests.conformance.mcp_tools import (
    IMAGE,
    NO_INPUT,
    PNG,
    RUNS,
    SCHEMAS,
    TOPIC,
    Answer,
    Context,
    elicit,
)

from omniroute_mcp.errors import RESOURCE_NOT_FOUND
from omniroute_mcp.server import LISTS, READS, OmniRouteServer
from omniroute_mcp.tasks import listening
from omniroute_mcp.tasks.methods import TaskMethods
from omniroute_mcp.tasks.running import Tasks

TEXT, BINARY, WATCHED = "test://static-text", "test://static-binary", "test://watched-resource"
TEMPLATE = "test://template/{id}/data"
TEMPLATE_START, TEMPLATE_END = TEMPLATE.split("{id}")


async def list_tools(_context: Context, _params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(
        tools=[
            types.Tool(
                name=name, description=f"Fixture {name}.", input_schema=SCHEMAS.get(name, NO_INPUT)
            )
            for name in (*RUNS, *LONG)
        ]
    )


async def call_plain(context: Context, params: types.CallToolRequestParams) -> Answer:
    run = RUNS.get(params.name)
    if run is None:
        raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name}")
    return await run(context, params)


async def list_resources(_context: Context, _params: Any) -> types.ListResourcesResult:
    return types.ListResourcesResult(
        resources=[
            types.Resource(uri=uri, name=uri.rpartition("/")[2], description="A fixture.")
            for uri in (TEXT, BINARY, WATCHED)
        ]
    )


async def list_templates(_context: Context, _params: Any) -> types.ListResourceTemplatesResult:
    template = types.ResourceTemplate(
        uri_template=TEMPLATE, name="template", description="A fixture with a variable."
    )
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read(
    context: Context, params: types.ReadResourceRequestParams
) -> types.ReadResourceResult:
    uri = str(params.uri)
    contents: types.TextResourceContents | types.BlobResourceContents
    if uri == TEXT:
        said = "This is the content of the static text resource."
        contents = types.TextResourceContents(uri=uri, mime_type="text/plain", text=said)
    elif uri == WATCHED:
        contents = types.TextResourceContents(uri=uri, mime_type="text/plain", text="Watched.")
    elif uri == BINARY:
        contents = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
    elif uri.startswith(TEMPLATE_START) and uri.endswith(TEMPLATE_END):
        named = uri[len(TEMPLATE_START) : -len(TEMPLATE_END)]
        said = f'{{"id":"{named}","templateTest":true,"data":"Data for ID: {named}"}}'
        contents = types.TextResourceContents(uri=uri, mime_type="application/json", text=said)
    else:
        modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        code = types.INVALID_PARAMS if modern else RESOURCE_NOT_FOUND
        raise MCPError(code=code, message="Resource not found", data={"uri": uri})
    return types.ReadResourceResult(contents=[contents])


async def done(_context: Context, _params: Any) -> types.EmptyResult:
    return types.EmptyResult()


def said(*content: Any) -> types.GetPromptResult:
    return types.GetPromptResult(
        messages=[types.PromptMessage(role="user", content=one) for one in content]
    )


def words(text: str) -> types.TextContent:
    return types.TextContent(type="text", text=text)


PROMPTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


async def list_prompts(_context: Context, _params: Any) -> types.ListPromptsResult:
    return types.ListPromptsResult(
        prompts=[
            types.Prompt(
                name=name,
                description=f"Fixture {name}.",
                arguments=[
                    types.PromptArgument(name=one, description=one, required=True)
                    for one in arguments
                ],
            )
            for name, arguments in PROMPTS.items()
        ]
    )


async def prompt(
    _context: Context, params: types.GetPromptRequestParams
) -> types.GetPromptResult | types.InputRequiredResult:
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            return said(words("This is a simple prompt for testing."))
        case "test_prompt_with_arguments":
            arguments = f"arg1='{given['arg1']}', arg2='{given['arg2']}'"
            return said(words(f"Prompt with arguments: {arguments}"))
        case "test_prompt_with_embedded_resource":
            contents = types.TextResourceContents(
                uri=given["resourceUri"],
                mime_type="text/plain",
                text="Embedded resource content for testing.",
            )
            embedded = types.EmbeddedResource(type="resource", resource=contents)
            return said(embedded, words("Please process the embedded resource above."))
        case "test_prompt_with_image":
            return said(IMAGE, words("Please analyze the image above."))
        case "test_input_required_result_prompt":
            if "user_context" in (params.input_responses or {}):
                return said(words("Here is the context you gave."))
            asked = elicit("What context should the prompt use?", TOPIC)
            return types.InputRequiredResult(input_requests={"user_context": asked})
    raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown prompt: {params.name}")


async def complete(_context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    known = ["paris", "park", "party"]
    values = [one for one in known if one.startswith(params.argument.value)]
    return types.CompleteResult(completion=types.Completion(values=values, total=len(values)))


LISTEN = ListenHandler(InMemorySubscriptionBus())
STATE = RequestStateSecurity.ephemeral()


def fixture(tasks: Tasks) -> Server[Any]:
    """A server with all of it; `tasks` are the product's."""

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> Any:
        if params.name in LONG:
            return await call_long(tasks, context, params)
        return await call_plain(context, params)

    async def listen(
        context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        return await listening.listen(tasks, LISTEN, context, params)

    server = OmniRouteServer(
        "conformance",
        version="1",
        cache_hints={
            "tools/list": LISTS,
            "prompts/list": LISTS,
            "resources/list": LISTS,
            "resources/templates/list": LISTS,
            "resources/read": READS,
        },
        get_tool_input_schema=SCHEMAS.get,
        on_list_tools=list_tools,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read,
        on_subscribe_resource=done,
        on_unsubscribe_resource=done,
        on_subscriptions_listen=listen,
        on_list_prompts=list_prompts,
        on_get_prompt=prompt,
        on_completion=complete,
    )
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    TaskMethods(tasks).serve_on(server)
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, done)
    server.middleware.append(RequestStateBoundary(STATE, default_audience="conformance"))
    return server
