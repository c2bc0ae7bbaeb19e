"""The neutral conversation into an Ollama chat request for an upstream."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn, TypeAlias

import msgspec

from omniroute.chat import (
    ChatRequest,
    Dialect,
    Effort,
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
    ToolResult,
)
from omniroute.dialects.arguments import input_object
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.fields import own_fields
from omniroute.dialects.ollama.requests_in import own_options
from omniroute.dialects.pairing import paired
from omniroute.dialects.reasoning import effort_for
from omniroute.dialects.schemas import object_schema
from omniroute.errors import InvalidRequest

ERROR_MARK = "Error: "
"""Stands before the text of a failed tool call: this dialect has no flag for it."""

THINK: Mapping[Effort, bool | str] = {
    "none": False, "minimal": "low", "low": "low", "medium": "medium", "high": "high",
    "xhigh": "high",
}  # fmt: skip

Wire: TypeAlias = dict[str, Any]


def encode_request(request: ChatRequest, target: TargetFacts) -> bytes:
    """See `Codec.encode_request`."""
    if request.n > 1:
        _unsupported("More than one answer (`n`) cannot be asked of this provider", "n")
    own = own_fields(request.extras, Dialect.OLLAMA)
    wire: Wire = {
        "model": target.model,
        "messages": list(_messages(paired(request.messages))),
        "stream": target.stream,
    }
    choice = request.tool_choice
    if request.tools and (choice is None or choice.mode != "none"):
        wire["tools"] = [_tool(tool) for tool in request.tools]
    wanted = _format(request.response_format)
    if wanted is not None:
        wire["format"] = wanted
    if request.reasoning is not None:
        wire["think"] = _think(request.reasoning)
    options = _options(request, target)
    if options:
        wire["options"] = options
    return msgspec.json.encode({**{name: own[name] for name in own if name not in wire}, **wire})


def _unsupported(message: str, param: str) -> NoReturn:
    raise InvalidRequest(message, code="unsupported_feature", param=param)


def _options(request: ChatRequest, target: TargetFacts) -> Wire:
    limit = request.max_output_tokens
    if limit is not None and target.max_output_tokens is not None:
        limit = min(limit, target.max_output_tokens)
    values: Wire = {
        "num_predict": limit,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    said = {name: value for name, value in values.items() if value is not None}
    return {**own_options(request.extras), **said}


def _think(wanted: ReasoningRequest) -> bool | str:
    if wanted.effort is None and wanted.budget_tokens is None:
        return True
    effort = wanted.effort or effort_for(wanted.budget_tokens or 0)
    return THINK[effort]


def _format(wanted: ResponseFormat | None) -> str | Wire | None:
    if wanted is None or wanted.kind == "text":
        return None
    return wanted.schema if wanted.schema is not None else "json"


def _tool(tool: Tool | HostedTool) -> Wire:
    if isinstance(tool, HostedTool):
        kind = tool.extras.fields.get("type", "hosted")
        _unsupported(
            f"The tool type '{kind}' runs at another kind of provider and cannot be used", "tools"
        )
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": object_schema(tool.parameters),
    }
    return {"type": "function", "function": function}


def _messages(messages: Iterable[Message]) -> Iterator[Wire]:
    names: dict[str, str] = {}
    for message in messages:
        if message.role == "tool":
            yield from _results(message, names)
            continue
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        names |= {call.id: call.name for call in calls}
        own = own_fields(message.extras, Dialect.OLLAMA)
        yield {**own, "role": message.role, **_content(message.parts), **_calls(calls)}


def _calls(calls: list[ToolCall]) -> Wire:
    if not calls:
        return {}
    return {
        "tool_calls": [
            {
                "id": call.id,
                "function": {"name": call.name, "arguments": input_object(call.arguments)},
            }
            for call in calls
        ]
    }


def _results(message: Message, names: Mapping[str, str]) -> Iterator[Wire]:
    for result in message.parts:
        if isinstance(result, ToolResult):
            wire = {"role": "tool", **_content(result.parts)}
            if result.is_error:
                wire["content"] = ERROR_MARK + wire["content"]
            named = {"tool_name": names.get(result.call_id, result.name or "")}
            yield {**wire, **named, "tool_call_id": result.call_id}


def _content(parts: Iterable[Part]) -> Wire:
    """Text in one piece, pictures beside it."""
    texts: list[str] = []
    images: list[str] = []
    thinking: list[str] = []
    for part in parts:
        match part:
            case Text(text) | Refusal(text):
                texts.append(text)
            case Reasoning(text):
                thinking.append(text)
            case Image(data=str(data)):
                images.append(data)
            case File(text=str(text), filename=name):
                texts.append(f"[{name or 'document'}]\n{text}")
            case ToolCall() | Opaque():
                pass
            case _:
                _unsupported("Only text and pictures can be sent to this provider", "messages")
    wire: Wire = {"content": "\n".join(texts)}
    if images:
        wire["images"] = images
    if any(thinking):
        wire["thinking"] = "".join(thinking)
    return wire
