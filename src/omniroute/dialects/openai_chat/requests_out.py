"""The neutral conversation into an OpenAI Chat request for an upstream."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

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
from omniroute.dialects.openai_chat.requests_in import reasoning_of
from omniroute.dialects.openai_chat.wire import MAX_NAME_CHARS
from omniroute.dialects.pairing import paired
from omniroute.dialects.reasoning import effort_for
from omniroute.dialects.schemas import object_schema
from omniroute.dialects.tool_names import wire_names
from omniroute.errors import InvalidRequest

ERROR_MARK = "Error: "
"""Stands before the text of a failed tool call: this dialect has no flag for it."""

IMAGES_FOLLOW = "The result is in the images of the next message."

Wire = dict[str, Any]


def encode_request(request: ChatRequest, target: TargetFacts) -> bytes:
    """See `Codec.encode_request`."""
    names = wire_names(request, MAX_NAME_CHARS)
    own = own_fields(request.extras, Dialect.OPENAI_CHAT)
    wire: Wire = {
        "model": target.model,
        "messages": list(_messages(request.messages, names, target)),
        **_limits(request, target),
        **_tools(request, names),
        **_reasoning(request.reasoning, own),
    }
    if request.response_format is not None:
        wire["response_format"] = _response_format(request.response_format)
    if request.stop:
        wire["stop"] = list(request.stop)
    if target.stream:
        wire["stream"] = True
        if target.stream_usage:
            wire["stream_options"] = {"include_usage": True}
    dropped = ("thinking", "reasoning_effort")
    wire |= {name: own[name] for name in own if name not in wire and name not in dropped}
    return msgspec.json.encode(wire)


def _limits(request: ChatRequest, target: TargetFacts) -> Wire:
    limit = request.max_output_tokens
    if limit is not None and target.max_output_tokens is not None:
        limit = min(limit, target.max_output_tokens)
    values: Wire = {
        "max_completion_tokens" if target.max_completion_tokens else "max_tokens": limit,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "n": request.n if request.n > 1 else None,
        "seed": request.seed,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "user": request.user,
    }
    return {name: value for name, value in values.items() if value is not None}


def _reasoning(wanted: ReasoningRequest | None, own: Mapping[str, Any]) -> Wire:
    if wanted is None:
        return {}
    # As the client wrote it, unless a step has changed what it asks for.
    asked = {name: own[name] for name in ("thinking", "reasoning_effort") if name in own}
    if asked and reasoning_of(asked.get("thinking"), asked.get("reasoning_effort")) == wanted:
        return asked
    if wanted.effort is not None:
        return {"reasoning_effort": wanted.effort}
    if wanted.budget_tokens is not None:
        return {"reasoning_effort": effort_for(wanted.budget_tokens)}
    return {}


def _response_format(wanted: ResponseFormat) -> Wire:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    declared: Wire = {"name": wanted.name or "response", "schema": wanted.schema or {}}
    if wanted.strict is not None:
        declared["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": declared}


def _tools(request: ChatRequest, names: Mapping[str, str]) -> Wire:
    tools = [_tool(tool, names) for tool in request.tools]
    if not tools:
        return {}
    wire: Wire = {"tools": tools}
    if request.tool_choice is not None:
        wire["tool_choice"] = _tool_choice(request.tool_choice, names)
    if request.parallel_tool_calls is not None:
        wire["parallel_tool_calls"] = request.parallel_tool_calls
    return wire


def _tool(tool: Tool | HostedTool, names: Mapping[str, str]) -> Wire:
    if isinstance(tool, HostedTool):
        own = own_fields(tool.extras, Dialect.OPENAI_CHAT)
        if not own:
            kind = tool.extras.fields.get("type", "hosted")
            message = f"The tool type '{kind}' runs at another kind of provider and cannot be used"
            raise InvalidRequest(message, code="unsupported_feature", param="tools")
        return own
    function: Wire = {
        "name": names.get(tool.name, tool.name),
        "description": tool.description,
        "parameters": object_schema(tool.parameters),
    }
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {
        "type": "function",
        "function": function,
        **own_fields(tool.extras, Dialect.OPENAI_CHAT),
    }


def _tool_choice(choice: ToolChoice, names: Mapping[str, str]) -> str | Wire:
    if choice.mode != "tool" or choice.name is None:
        return choice.mode
    return {"type": "function", "function": {"name": names.get(choice.name, choice.name)}}


def _messages(
    messages: Iterable[Message], names: Mapping[str, str], target: TargetFacts
) -> Iterator[Wire]:
    for message in paired(messages):
        wire: Wire = {"role": message.role}
        if message.name:
            wire["name"] = message.name
        match message.role:
            case "tool":
                yield from _results(message)
                continue
            case "system":
                wire["role"] = "developer" if target.developer_role else "system"
                wire["content"] = _content(message.parts, "\n")
            case "user":
                wire["content"] = _user_content(message.parts)
            case "assistant":
                wire |= _assistant(message, names, target)
        own = own_fields(message.extras, Dialect.OPENAI_CHAT)
        yield {**wire, **{name: own[name] for name in own if name not in wire}}


def _assistant(message: Message, names: Mapping[str, str], target: TargetFacts) -> Wire:
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    custom = [
        own
        for part in message.parts
        if isinstance(part, Opaque)
        and "id" in (own := own_fields(part.extras, Dialect.OPENAI_CHAT))
    ]
    shown = [part for part in message.parts if isinstance(part, Text | Refusal)]
    wire: Wire = {"content": _content(shown, "") or (None if calls or custom else "")}
    reasoning = "".join(part.text for part in message.parts if isinstance(part, Reasoning))
    if reasoning and target.reasoning_history:
        wire["reasoning_content"] = reasoning
    if calls or custom:
        wire["tool_calls"] = [_call(call, names) for call in calls] + custom
    return wire


def _call(call: ToolCall, names: Mapping[str, str]) -> Wire:
    function = {"name": names.get(call.name, call.name), "arguments": call.arguments or "{}"}
    own = own_fields(call.extras, Dialect.OPENAI_CHAT)
    return {"id": call.id, "type": "function", "function": function, **own}


def _results(message: Message) -> Iterator[Wire]:
    images: list[Wire] = []
    for result in message.parts:
        if not isinstance(result, ToolResult):
            continue
        seen = [_part(part) for part in result.parts if isinstance(part, Image)]
        texts = [_text_of(part) for part in result.parts if isinstance(part, Text | File)]
        text = "\n".join(texts) or (IMAGES_FOLLOW if seen else "")
        content = ERROR_MARK + text if result.is_error else text
        yield {"role": "tool", "tool_call_id": result.call_id, "content": content}
        images += seen
    # Tool messages carry text only, and nothing may stand between those of one turn.
    if images:
        yield {"role": "user", "content": images}


def _content(parts: Sequence[Part], joint: str) -> str | list[Wire]:
    """Text as one string, or as parts where a part says more than its text."""
    if any(_says_more(part) for part in parts):
        return [_part(part) for part in parts if isinstance(part, Text | Refusal)]
    return joint.join(part.text for part in parts if isinstance(part, Text))


def _says_more(part: Part) -> bool:
    if isinstance(part, Text):
        return bool(own_fields(part.extras, Dialect.OPENAI_CHAT))
    return isinstance(part, Refusal)


def _user_content(parts: Sequence[Part]) -> str | list[Wire]:
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], Text) and not _says_more(parts[0]):
        return parts[0].text
    shown = [_part(part) for part in parts if not _foreign(part)]
    return shown or ""


def _foreign(part: Part) -> bool:
    return isinstance(part, Opaque) and part.extras.dialect is not Dialect.OPENAI_CHAT


def _part(part: Part) -> Wire:
    own = own_fields(getattr(part, "extras", None), Dialect.OPENAI_CHAT)
    match part:
        case Text(text):
            return {"type": "text", "text": text, **own}
        case Refusal(text):
            return {"type": "refusal", "refusal": text}
        case Image(url, data, media_type, detail):
            source = url if data is None else data_uri(data, media_type or "image/png")
            picture = {"url": source or ""} | ({"detail": detail} if detail else {})
            return {"type": "image_url", "image_url": picture, **own}
        case Audio(data, audio_format):
            return {
                "type": "input_audio",
                "input_audio": {"data": data, "format": audio_format},
                **own,
            }
        case File():
            return _file(part) | own
        case _:
            return own


def _file(file: File) -> Wire:
    if file.text is not None:
        return {"type": "text", "text": _text_of(file)}
    wire: Wire = {"filename": file.filename} if file.filename else {}
    if file.data is not None:
        wire["file_data"] = data_uri(file.data, file.media_type or "application/pdf")
        wire.setdefault("filename", "document.pdf")
    elif file.file_id is not None:
        wire["file_id"] = file.file_id
    else:
        message = "A document given by its address cannot be sent to this provider: inline it"
        raise InvalidRequest(message, code="unsupported_feature", param="messages")
    return {"type": "file", "file": wire}


def _text_of(part: Text | File) -> str:
    if isinstance(part, Text):
        return part.text
    name = part.filename or "document"
    return f"[{name}]\n{part.text}" if part.text is not None else f"[{name}]"
