"""The neutral conversation into an Anthropic Messages request for an upstream."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

import msgspec

from omniroute.chat import (
    ChatRequest,
    Dialect,
    Extras,
    File,
    HostedTool,
    Image,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from omniroute.dialects.anthropic.requests_in import format_of
from omniroute.dialects.anthropic.thinking import limits
from omniroute.dialects.anthropic.wire import MAX_NAME_CHARS
from omniroute.dialects.arguments import input_object
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.fields import own_fields
from omniroute.dialects.pairing import paired
from omniroute.dialects.schemas import object_schema
from omniroute.dialects.tool_names import wire_id, wire_names
from omniroute.errors import InvalidRequest

OPENING = "(The conversation begins.)"
"""Stands in front when an assistant would speak first: the upstream wants a user there."""

JSON_ONLY = "Answer with one JSON object and nothing else: no prose, no code fence."
JSON_SCHEMA = "The JSON must be valid against this JSON Schema:\n"

Wire = dict[str, Any]


def encode_request(request: ChatRequest, target: TargetFacts) -> bytes:
    """See `Codec.encode_request`."""
    if request.n > 1:
        _unsupported("More than one answer (`n`) cannot be asked of this provider", "n")
    names = wire_names(request, MAX_NAME_CHARS)
    messages = paired(request.messages, wire_id)
    system = list(_system(messages))
    turns = _turns((m for m in messages if m.role != "system"), names)
    if not turns and system:
        # A system prompt alone is nothing to answer: it becomes what the user says.
        turns, system = [{"role": "user", "content": system}], []
    if not turns:
        _unsupported("The conversation has no content to answer", "messages")
    own = own_fields(request.extras, Dialect.ANTHROPIC)
    wire: Wire = {"model": target.model, **limits(request, target, turns)}
    _add_response_format(request.response_format, own, target, system, wire)
    if system:
        wire["system"] = system
    wire["messages"] = turns
    wire |= _tools(request, names)
    if request.stop:
        wire["stop_sequences"] = list(request.stop)
    if request.user is not None:
        wire["metadata"] = {**own.get("metadata", {}), "user_id": request.user}
    if target.stream:
        wire["stream"] = True
    # What asks for thinking or a format is settled above; the rest goes as it came.
    settled = ("thinking", "output_config")
    wire |= {name: own[name] for name in own if name not in wire and name not in settled}
    return msgspec.json.encode(wire)


def _unsupported(message: str, param: str) -> NoReturn:
    raise InvalidRequest(message, code="unsupported_feature", param=param)


def _marks(extras: Extras | None) -> Wire:
    """Own fields of a part. Cache marks are honoured from clients of other dialects, too."""
    if extras is None or extras.dialect is Dialect.ANTHROPIC:
        return own_fields(extras, Dialect.ANTHROPIC)
    mark = extras.fields.get("cache_control")
    return {"cache_control": mark} if isinstance(mark, dict) else {}


def _text_block(text: str, extras: Extras | None = None) -> Wire:
    return {"type": "text", "text": text, **_marks(extras)}


def _system(messages: Iterable[Message]) -> Iterator[Wire]:
    told = [
        [part for part in message.parts if isinstance(part, Text) and part.text.strip()]
        for message in messages
        if message.role == "system"
    ]
    parts = [part for texts in told for part in texts]
    # One text of several turns; texts of one turn keep their borders, and marks their texts.
    if any(len(texts) > 1 for texts in told) or any(_marks(part.extras) for part in parts):
        yield from (_text_block(part.text, part.extras) for part in parts)
    elif parts:
        yield _text_block("\n".join(part.text for part in parts))


def _turns(messages: Iterable[Message], names: Mapping[str, str]) -> list[Wire]:
    """Alternating turns: neighbours of one role are merged, empty ones left out."""
    turns: list[Wire] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = list(_blocks(message, names))
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [_text_block(OPENING)]})
    if turns and turns[-1]["role"] == "assistant":
        _trim_prefill(turns[-1]["content"])
    return turns


def _trim_prefill(blocks: list[Wire]) -> None:
    """The upstream refuses a prefilled answer that ends in white space."""
    if blocks[-1]["type"] == "text":
        blocks[-1]["text"] = blocks[-1]["text"].rstrip()


def _blocks(message: Message, names: Mapping[str, str]) -> Iterator[Wire]:
    if message.role != "assistant":
        for part in message.parts:
            yield from _result(part) if isinstance(part, ToolResult) else _part(part)
        return
    # Text behind a call would stand between the call and its answer: calls go last.
    for part in message.parts:
        if not isinstance(part, ToolCall):
            yield from _part(part)
    for part in message.parts:
        if isinstance(part, ToolCall):
            yield {
                "type": "tool_use",
                "id": part.id,
                "name": names.get(part.name, part.name),
                "input": input_object(part.arguments),
                **_marks(part.extras),
            }


def _result(result: ToolResult) -> Iterator[Wire]:
    content = [block for part in result.parts for block in _part(part)]
    wire: Wire = {"type": "tool_result", "tool_use_id": result.call_id}
    if content:
        wire["content"] = content
    if result.is_error:
        wire["is_error"] = True
    yield wire | _marks(result.extras)


def _part(part: Part) -> Iterator[Wire]:
    """The block of a part, none for what this dialect must not or cannot carry."""
    match part:
        case Text(text, extras):
            if text.strip():
                yield _text_block(text, extras)
        case Refusal(text):
            if text.strip():
                yield _text_block(text)
        case Image():
            yield from _image(part)
        case File():
            yield _document(part)
        case Reasoning(origin=Dialect.ANTHROPIC, redacted=str(data)):
            yield {"type": "redacted_thinking", "data": data}
        case Reasoning(text, str(signature), origin=Dialect.ANTHROPIC):
            yield {"type": "thinking", "thinking": text, "signature": signature}
        case Reasoning():
            pass  # without its signature the upstream takes it for forged
        case Opaque(extras):
            own = own_fields(extras, Dialect.ANTHROPIC)
            if own:
                yield own
        case _:
            _unsupported("Sound cannot be sent to this provider", "messages")


def _image(image: Image) -> Iterator[Wire]:
    if image.data is not None:
        media_type = image.media_type or "image/png"
        source = {"type": "base64", "media_type": media_type, "data": image.data}
    elif not image.url:
        return
    elif image.url.startswith(("http://", "https://")):
        source = {"type": "url", "url": image.url}
    else:
        _unsupported("An image must be an http(s) address or a base64 data URI", "messages")
    yield {"type": "image", "source": source, **_marks(image.extras)}


def _document(file: File) -> Wire:
    if file.data is not None:
        media_type = file.media_type or "application/pdf"
        source = {"type": "base64", "media_type": media_type, "data": file.data}
    elif file.text is not None:
        source = {"type": "text", "media_type": "text/plain", "data": file.text}
    elif file.url is not None:
        source = {"type": "url", "url": file.url}
    else:
        _unsupported("A stored file must be inlined before it is sent to this provider", "messages")
    title = {"title": file.filename} if file.filename else {}
    return {"type": "document", "source": source, **title, **_marks(file.extras)}


def _tools(request: ChatRequest, names: Mapping[str, str]) -> Wire:
    tools = [_tool(tool, names) for tool in request.tools]
    if not tools:
        return {}
    choice = request.tool_choice
    wire: Wire = {"tools": tools}
    if choice is not None:
        mode = "any" if choice.mode == "required" else choice.mode
        wire["tool_choice"] = {"type": mode}
        if choice.name is not None:
            wire["tool_choice"]["name"] = names.get(choice.name, choice.name)
    if request.parallel_tool_calls is not None and (choice is None or choice.mode != "none"):
        wire.setdefault("tool_choice", {"type": "auto"})
        wire["tool_choice"]["disable_parallel_tool_use"] = not request.parallel_tool_calls
    return wire


def _tool(tool: Tool | HostedTool, names: Mapping[str, str]) -> Wire:
    if isinstance(tool, Tool):
        return {
            "name": names.get(tool.name, tool.name),
            "description": tool.description,
            "input_schema": object_schema(tool.parameters),
            **_marks(tool.extras),
        }
    own = own_fields(tool.extras, Dialect.ANTHROPIC)
    if not own:
        kind = tool.extras.fields.get("type", "hosted")
        _unsupported(
            f"The tool type '{kind}' runs at another kind of provider and cannot be used", "tools"
        )
    return own


def _add_response_format(
    wanted: ResponseFormat | None,
    own: Mapping[str, Any],
    target: TargetFacts,
    system: list[Wire],
    wire: Wire,
) -> None:
    """Ask for JSON in the upstream's own way, else in words at the end of the system prompt."""
    if wanted is None or wanted.kind == "text":
        return
    if wanted.schema is None:
        system.append(_text_block(JSON_ONLY))
        return
    if target.structured_output or format_of(own.get("output_config")) == wanted:
        output_format = {"type": "json_schema", "schema": wanted.schema}
        wire["output_config"] = {**wire.get("output_config", {}), "format": output_format}
        return
    schema = msgspec.json.encode(wanted.schema).decode()
    system.append(_text_block(f"{JSON_ONLY} {JSON_SCHEMA}{schema}"))
