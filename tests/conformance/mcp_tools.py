"""The tools the MCP conformance suite calls on a server under test."""

import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)

Context: TypeAlias = ServerRequestContext[Any, Any]
Answer: TypeAlias = CallToolResult | InputRequiredResult
Run: TypeAlias = Callable[[Context, types.CallToolRequestParams], Awaitable[Answer]]

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5E"
    "rkJggg=="
)
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
PAUSE_S = 0.05

IMAGE = types.ImageContent(type="image", data=PNG, mime_type="image/png")

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
CONFIRM = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
COLOR = {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}
TOPIC = {"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]}
CONTACT = {
    "type": "object",
    "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    },
    "required": ["username", "email"],
}
DEFAULTS = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": True},
    },
    "required": [],
}
ENUMS = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {
            "type": "string",
            "oneOf": [
                {"const": "value1", "title": "First Option"},
                {"const": "value2", "title": "Second Option"},
                {"const": "value3", "title": "Third Option"},
            ],
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {
            "type": "array",
            "items": {"type": "string", "enum": ["option1", "option2", "option3"]},
        },
        "titledMulti": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"const": "value1", "title": "First Choice"},
                    {"const": "value2", "title": "Second Choice"},
                    {"const": "value3", "title": "Third Choice"},
                ]
            },
        },
    },
    "required": [],
}
SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
HEADERS = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "query": {"type": "string"},
    },
    "required": ["region"],
}


def _embedded(uri: str, mime_type: str, said: str) -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=said)
    return types.EmbeddedResource(type="resource", resource=contents)


def text(said: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=said)])


def elicit(message: str, schema: dict[str, Any]) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(prompt: str, max_tokens: int) -> CreateMessageRequest:
    said = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    return CreateMessageRequest(
        params=CreateMessageRequestParams(messages=[said], max_tokens=max_tokens)
    )


def saying(*content: types.ContentBlock) -> Run:
    """A tool that always answers the same."""

    async def run(_context: Context, _params: types.CallToolRequestParams) -> Answer:
        return CallToolResult(content=list(content))

    return run


async def fail(_context: Context, _params: types.CallToolRequestParams) -> Answer:
    said = TextContent(type="text", text="This tool intentionally returns an error for testing")
    return CallToolResult(content=[said], is_error=True)


async def log(context: Context, _params: types.CallToolRequestParams) -> Answer:
    for step in ("started", "processing data", "completed"):
        verb = "Tool" if step == "processing data" else "Tool execution"
        with warnings.catch_warnings():  # the handshake era has it, and the suite asks for it
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            await context.session.send_log_message(
                "info", f"{verb} {step}", related_request_id=context.request_id
            )
        await anyio.sleep(PAUSE_S)
    return text("Tool with logging executed")


async def progress(context: Context, _params: types.CallToolRequestParams) -> Answer:
    for done in (0, 50, 100):
        await context.session.report_progress(done, 100, f"{done} of 100")
        await anyio.sleep(PAUSE_S)
    return text("Tool with progress executed")


async def sampling(context: Context, params: types.CallToolRequestParams) -> Answer:
    request = sample(str((params.arguments or {})["prompt"]), 100)
    back = ServerMessageMetadata(related_request_id=context.request_id)
    reply = await context.session.send_request(request, CreateMessageResult, metadata=back)
    assert isinstance(reply.content, TextContent)
    return text(f"LLM response: {reply.content.text}")


def eliciting(schema: dict[str, Any], told: str) -> Run:
    """A tool of the handshake era that asks the person at the client."""

    async def run(context: Context, params: types.CallToolRequestParams) -> Answer:
        message = str((params.arguments or {}).get("message", "Please answer"))
        reply = await context.session.elicit_form(message, schema, context.request_id)
        return text(f"{told}: action={reply.action}, content={reply.content}")

    return run


async def reconnect(context: Context, _params: types.CallToolRequestParams) -> Answer:
    if context.close_sse_stream is not None:
        await context.close_sse_stream()
    await anyio.sleep(PAUSE_S * 2)
    return text("Reconnection test completed successfully")


def asking(*rounds: Mapping[str, Any], done: Callable[[dict[str, Any]], str]) -> Run:
    """A tool of the stateless era that asks in one round after the other, then answers. The state
    is the number of the round, sealed on the wire by the middleware."""

    async def run(_context: Context, params: types.CallToolRequestParams) -> Answer:
        at = int(params.request_state or 0)
        given = params.input_responses or {}
        if params.input_responses is None or not rounds[at].keys() <= given.keys():
            return InputRequiredResult(input_requests=dict(rounds[at]), request_state=str(at))
        if at + 1 < len(rounds):
            return InputRequiredResult(
                input_requests=dict(rounds[at + 1]), request_state=str(at + 1)
            )
        return text(done(dict(given)))

    return run


async def need_sampling(context: Context, _params: types.CallToolRequestParams) -> Answer:
    capabilities = context.session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        raise MCPError(
            code=types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This tool needs the sampling capability.",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return text("The client can sample.")


def asking_what_the_client_can(requests: Mapping[str, Any]) -> Run:
    """A tool that asks only by what the client declared."""
    needs = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling"}

    async def run(context: Context, params: types.CallToolRequestParams) -> Answer:
        able = context.session.client_capabilities
        fitting = {
            name: request
            for name, request in requests.items()
            if able is not None and getattr(able, needs[request.method]) is not None
        }
        return await asking(fitting, done=str)(context, params) if fitting else text("Nothing")

    return run


def _roots(given: dict[str, Any]) -> str:
    roots = given["client_roots"]
    assert isinstance(roots, ListRootsResult)
    return f"Roots: {', '.join(str(root.uri) for root in roots.roots)}"


def _greeting(given: dict[str, Any]) -> str:
    reply = given["user_name"]
    assert isinstance(reply, ElicitResult)
    return f"Hello, {(reply.content or {}).get('name')}!"


NO_INPUT: dict[str, Any] = {"type": "object", "properties": {}}
ANY_TEXT = {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}
MESSAGE = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}


async def greet(_context: Context, params: types.CallToolRequestParams) -> Answer:
    return text(f"Hello, {(params.arguments or {}).get('name')}!")


RUNS: dict[str, Run] = {
    "greet": greet,
    "test_simple_text": saying(
        TextContent(type="text", text="This is a simple text response for testing.")
    ),
    "test_image_content": saying(IMAGE),
    "test_audio_content": saying(types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")),
    "test_embedded_resource": saying(
        _embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    ),
    "test_multiple_content_types": saying(
        TextContent(type="text", text="Multiple content types test:"),
        IMAGE,
        _embedded(
            "test://mixed-content-resource", "application/json", '{"test":"data","value":123}'
        ),
    ),
    "test_tool_with_logging": log,
    "test_logging_tool": log,
    "test_error_handling": fail,
    "test_tool_with_progress": progress,
    "test_sampling": sampling,
    "test_elicitation": eliciting(CONTACT, "User response"),
    "test_elicitation_sep1034_defaults": eliciting(DEFAULTS, "Elicitation completed"),
    "test_elicitation_sep1330_enums": eliciting(ENUMS, "Elicitation completed"),
    "test_reconnection": reconnect,
    "json_schema_2020_12_tool": saying(TextContent(type="text", text="The schema is kept.")),
    "test_missing_capability": need_sampling,
    "test_streaming_elicitation": asking({"user_name": elicit("Name?", NAME)}, done=_greeting),
    "test_header_mirroring": saying(TextContent(type="text", text="The headers agree.")),
    "test_input_required_result_elicitation": asking(
        {"user_name": elicit("What is your name?", NAME)}, done=_greeting
    ),
    "test_input_required_result_sampling": asking(
        {"capital_question": sample("What is the capital of France?", 100)}, done=str
    ),
    "test_input_required_result_list_roots": asking(
        {"client_roots": ListRootsRequest()}, done=_roots
    ),
    "test_input_required_result_request_state": asking(
        {"confirm": elicit("Please confirm", CONFIRM)}, done=lambda _: "state-ok"
    ),
    "test_input_required_result_multiple_inputs": asking(
        {
            "user_name": elicit("What is your name?", NAME),
            "greeting": sample("Generate a greeting", 50),
            "client_roots": ListRootsRequest(),
        },
        done=_greeting,
    ),
    "test_input_required_result_multi_round": asking(
        {"step1": elicit("Step 1: What is your name?", NAME)},
        {"step2": elicit("Step 2: What is your favorite color?", COLOR)},
        done=str,
    ),
    "test_input_required_result_tampered_state": asking(
        {"confirm": elicit("Please confirm", CONFIRM)}, done=str
    ),
    "test_input_required_result_capabilities": asking_what_the_client_can(
        {"name": elicit("What is your name?", NAME), "question": sample("Say hello", 50)}
    ),
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "test_sampling": ANY_TEXT,
    "test_elicitation": MESSAGE,
    "json_schema_2020_12_tool": SCHEMA_2020_12,
    "test_header_mirroring": HEADERS,
}
