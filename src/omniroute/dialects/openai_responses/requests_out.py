"""The neutral conversation into a Responses request for an upstream."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

import msgspec

from omniroute.chat import (
    Audio,
    ChatRequest,
    Dialect,
    File,
    HostedTool,
    Image,
    Message,
    Opaque,
    Part,
    Reasoning,
    ReasoningRequest,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.data_uris import data_uri
from omniroute.dialects.fields import own_fields
from omniroute.dialects.openai_responses.wire import (
    ASKED,
    MAX_NAME_CHARS,
    MEMORY,
    SEALED_REASONING,
    Wire,
    free_form_names,
    free_text,
    is_free_form,
)
from omniroute.dialects.pairing import paired
from omniroute.dialects.reasoning import effort_for
from omniroute.dialects.schemas import object_schema
from omniroute.dialects.tool_names import wire_names
from omniroute.errors import InvalidRequest

R = Dialect.OPENAI_RESPONSES

ERROR_MARK = "Error: "
"""Stands before the text of a failed tool call: this dialect has no flag for it."""


def encode_request(request: ChatRequest, target: TargetFacts) -> bytes:
    """See `Codec.encode_request`."""
    if request.n > 1:
        _unsupported("More than one answer (`n`) cannot be asked of this provider", "n")
    names = wire_names(request, MAX_NAME_CHARS)
    messages = paired(request.messages)
    system = "\n".join(m.text for m in messages if m.role == "system")
    items = list(_items((m for m in messages if m.role != "system"), names, request))
    if not items and system:
        # A system prompt alone is nothing to answer: it becomes what the user says.
        items, system = [{"role": "user", "content": system}], ""
    own = _own(request)
    wire: Wire = {"model": target.model, "input": items, "store": False}
    if system:
        wire["instructions"] = system
    wire |= _tools(request, names) | _limits(request, target)
    if request.reasoning is not None:
        wire["reasoning"] = {**own.get("reasoning", {}), **_reasoning(request.reasoning)}
    if request.response_format is not None:
        wire["text"] = {**own.get("text", {}), "format": _format(request.response_format)}
    if target.stream:
        wire["stream"] = True
    rest = {name: value for name, value in own.items() if name not in wire}
    wire |= {name: value for name, value in rest.items() if name != "stream_options"}
    if target.max_completion_tokens or request.reasoning is not None:
        include = wire.get("include") or []
        wire["include"] = list(dict.fromkeys([*include, SEALED_REASONING]))
    return msgspec.json.encode(wire)


def _unsupported(message: str, param: str) -> NoReturn:
    raise InvalidRequest(message, code="unsupported_feature", param=param)


def _own(request: ChatRequest) -> Mapping[str, Any]:
    fields = own_fields(request.extras, R)
    return {name: fields[name] for name in fields if name not in MEMORY and name != ASKED}


def _limits(request: ChatRequest, target: TargetFacts) -> Wire:
    limit = request.max_output_tokens
    if limit is not None and target.max_output_tokens is not None:
        limit = min(limit, target.max_output_tokens)
    values: Wire = {
        "max_output_tokens": limit,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "user": request.user,
    }
    return {name: value for name, value in values.items() if value is not None}


def _reasoning(wanted: ReasoningRequest) -> Wire:
    if wanted.effort is not None:
        return {"effort": wanted.effort}
    if wanted.budget_tokens is not None:
        return {"effort": effort_for(wanted.budget_tokens)}
    return {}


def _format(wanted: ResponseFormat) -> Wire:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    declared: Wire = {"type": "json_schema", "name": wanted.name or "response"}
    declared["schema"] = wanted.schema or {}
    return declared | ({"strict": wanted.strict} if wanted.strict is not None else {})


def _tools(request: ChatRequest, names: Mapping[str, str]) -> Wire:
    if not request.tools:
        return {}
    wire: Wire = {"tools": [_tool(tool, names) for tool in request.tools]}
    if request.tool_choice is not None:
        free = free_form_names(request)
        wire["tool_choice"] = _tool_choice(request.tool_choice, names, free)
    if request.parallel_tool_calls is not None:
        wire["parallel_tool_calls"] = request.parallel_tool_calls
    return wire


def _tool(tool: Tool | HostedTool, names: Mapping[str, str]) -> Wire:
    own = own_fields(tool.extras, R)
    if isinstance(tool, HostedTool):
        if not own:
            kind = tool.extras.fields.get("type", "hosted")
            _unsupported(
                f"The tool type '{kind}' runs at another kind of provider and cannot be used",
                "tools",
            )
        return own
    if is_free_form(tool):
        return {"name": tool.name, "description": tool.description, **own}
    wire: Wire = {
        "type": "function",
        "name": names.get(tool.name, tool.name),
        "description": tool.description,
        "parameters": object_schema(tool.parameters),
    }
    return {**wire, "strict": bool(tool.strict), **own}


def _tool_choice(
    choice: ToolChoice, names: Mapping[str, str], free_form: frozenset[str]
) -> str | Wire:
    if choice.mode != "tool" or choice.name is None:
        return choice.mode
    kind = "custom" if choice.name in free_form else "function"
    return {"type": kind, "name": names.get(choice.name, choice.name)}


def _items(
    messages: Iterable[Message], names: Mapping[str, str], request: ChatRequest
) -> Iterator[Wire]:
    free = free_form_names(request)
    called: dict[str, str] = {}
    for message in messages:
        if message.role == "tool":
            for part in message.parts:
                if isinstance(part, ToolResult):
                    yield _result(part, called.get(part.call_id, "") in free)
        elif message.role == "assistant":
            called |= {part.id: part.name for part in message.parts if isinstance(part, ToolCall)}
            yield from _said(message, names, free)
        else:
            content = [wire for part in message.parts for wire in _input(part)]
            if content:
                yield {"role": "user", "content": content}


def _said(message: Message, names: Mapping[str, str], free: frozenset[str]) -> Iterator[Wire]:
    """The items of an assistant turn, in the order they came."""
    content: list[Wire] = []
    for part in message.parts:
        match part:
            case Text(text) if text:
                content.append({"type": "output_text", "text": text, "annotations": []})
                continue
            case Refusal(text):
                content.append({"type": "refusal", "refusal": text})
                continue
        if content:
            yield {"type": "message", "role": "assistant", "content": content}
            content = []
        yield from _own_item(part, names, free)
    if content:
        yield {"type": "message", "role": "assistant", "content": content}


def _own_item(part: Part, names: Mapping[str, str], free: frozenset[str]) -> Iterator[Wire]:
    match part:
        case ToolCall(id, name, arguments) if name in free:
            text = free_text(arguments)
            yield {"type": "custom_tool_call", "call_id": id, "name": name, "input": text}
        case ToolCall(id, name, arguments):
            call: Wire = {"type": "function_call", "call_id": id, "name": names.get(name, name)}
            yield {**call, "arguments": arguments or "{}"}
        case Reasoning(text, str(signature), origin=Dialect.OPENAI_RESPONSES, id=item_id):
            summary = [{"type": "summary_text", "text": text}] if text else []
            thought: Wire = {"type": "reasoning"} | ({"id": item_id} if item_id else {})
            yield {**thought, "summary": summary, "encrypted_content": signature}
        case Opaque(extras):
            own = own_fields(extras, R)
            if own:
                yield own


def _result(result: ToolResult, free_form: bool) -> Wire:
    kind = "custom_tool_call_output" if free_form else "function_call_output"
    wire: Wire = {"type": kind, "call_id": result.call_id}
    if all(isinstance(part, Text) for part in result.parts):
        text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
        return {**wire, "output": ERROR_MARK + text if result.is_error else text}
    marked = (Text(ERROR_MARK), *result.parts) if result.is_error else result.parts
    return {**wire, "output": [one for part in marked for one in _input(part)]}


def _input(part: Part) -> Iterator[Wire]:
    match part:
        case Text(text) | Refusal(text):
            if text:
                yield {"type": "input_text", "text": text}
        case Image(url, data, media_type, detail):
            address = url if data is None else data_uri(data, media_type or "image/png")
            picture: Wire = {"type": "input_image", "image_url": address or ""}
            yield picture | ({"detail": detail} if detail else {})
        case Audio(data, audio_format):
            yield {"type": "input_audio", "input_audio": {"data": data, "format": audio_format}}
        case File():
            yield _file(part)
        case Opaque(extras):
            own = own_fields(extras, R)
            if own:
                yield own


def _file(file: File) -> Wire:
    name = file.filename or "document"
    if file.text is not None:
        return {"type": "input_text", "text": f"[{name}]\n{file.text}"}
    wire: Wire = {"type": "input_file"}
    if file.data is not None:
        media_type = file.media_type or "application/pdf"
        return {**wire, "filename": name, "file_data": data_uri(file.data, media_type)}
    if file.url is not None:
        return {**wire, "file_url": file.url}
    return {**wire, "file_id": file.file_id}
