"""A client's Anthropic Messages request into the neutral conversation."""

from collections.abc import Callable, Iterator, Mapping

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
    ReasoningRequest,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from omniroute.dialects.carried import untagged
from omniroute.dialects.fields import Fields, read_object, refuse
from omniroute.dialects.reasoning import read_thinking

ROLES = ("user", "assistant", "system", "developer")


def decode_request(body: bytes) -> ChatRequest:
    """See `Codec.decode_request`. `max_tokens` may be missing; upstreams get a default."""
    fields = Fields(read_object(body))
    model = fields.required_text("model")
    system = tuple(_content(fields, "system"))
    messages = [Message("system", system)] if system else []
    for message in fields.messages():
        messages += _turn(message)
    choice, parallel = _tool_choice(fields)
    return ChatRequest(
        model=model,
        messages=tuple(messages),
        tools=tuple(_tools(fields)),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        max_output_tokens=fields.integer("max_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.integer("top_k"),
        stop=fields.texts("stop_sequences"),
        reasoning=_reasoning(fields),
        response_format=_response_format(fields),
        user=_user(fields),
        stream=fields.flag("stream"),
        include_usage=True,  # every stream of this dialect ends with usage
        extras=fields.rest(Dialect.ANTHROPIC),
    )


def reasoning_of(thinking: object, output_config: object) -> ReasoningRequest | None:
    """What `thinking` and `output_config.effort` ask for together."""
    effort = output_config.get("effort") if isinstance(output_config, dict) else None
    return read_thinking(thinking, effort)


def format_of(output_config: object) -> ResponseFormat | None:
    """Structured output as `output_config.format` asks for it."""
    match output_config:
        case {"format": {"type": "json_schema", "schema": dict(schema)}}:
            return ResponseFormat("json_schema", schema=schema)
    return None


def _reasoning(fields: Fields) -> ReasoningRequest | None:
    # Both stay among the extras: towards this dialect they go out as they came.
    for name in ("thinking", "output_config"):
        if not isinstance(fields.peek(name), dict | None):
            refuse(fields.at(name), "must be an object")
    return reasoning_of(fields.peek("thinking"), fields.peek("output_config"))


def _response_format(fields: Fields) -> ResponseFormat | None:
    return format_of(fields.peek("output_config"))


def _user(fields: Fields) -> str | None:
    metadata = fields.peek("metadata")
    if metadata is None:
        return None
    return Fields.of(metadata, fields.at("metadata")).text("user_id")


def _tools(fields: Fields) -> Iterator[Tool | HostedTool]:
    for tool in fields.objects("tools"):
        kind = tool.text("type")
        if kind not in (None, "custom"):
            yield HostedTool(Extras(Dialect.ANTHROPIC, {"type": kind, **tool.left()}))
            continue
        name = (tool.text("name") or "").strip()
        schema = tool.object("input_schema")
        if name:
            yield Tool(
                name=name,
                description=tool.text("description") or "",
                parameters=schema.left() if schema else None,
                strict=tool.flag("strict"),
                extras=tool.rest(Dialect.ANTHROPIC),
            )


_CHOICES: Mapping[str, ToolChoice] = {
    "auto": ToolChoice("auto"),
    "any": ToolChoice("required"),
    "none": ToolChoice("none"),
}


def _tool_choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    choice = fields.object("tool_choice")
    if choice is None:
        return None, None
    disabled = choice.flag("disable_parallel_tool_use")
    parallel = None if disabled is None else not disabled
    kind = choice.required_text("type")
    if kind == "tool":
        return ToolChoice("tool", choice.required_text("name")), parallel
    return _CHOICES.get(kind, _CHOICES["auto"]), parallel


def _turn(message: Fields) -> Iterator[Message]:
    """One message; tool results become a message of their own, in front of what the user says."""
    role = message.required_text("role")
    if role not in ROLES:
        refuse(message.at("role"), f"must be one of {', '.join(ROLES)}")
    parts = tuple(_content(message, "content"))
    extras = message.rest(Dialect.ANTHROPIC)
    if role == "assistant":
        yield Message("assistant", parts, extras=extras)
        return
    results = tuple(part for part in parts if isinstance(part, ToolResult))
    if results:
        yield Message("tool", results)
    said = tuple(part for part in parts if not isinstance(part, ToolResult))
    if said or not results:
        yield Message("user" if role == "user" else "system", said, extras=extras)


def _content(fields: Fields, name: str) -> Iterator[Part]:
    content = fields.peek(name)
    if content is None or isinstance(content, str):
        fields.take(name)
        if content:
            yield Text(content)
        return
    if not isinstance(content, list):
        refuse(fields.at(name), "must be a string or an array of blocks")
    for block in fields.objects(name):
        kind = block.required_text("type")
        read = _BLOCKS.get(kind)
        yield read(block) if read else _opaque(kind, block)


def _opaque(kind: str, block: Fields) -> Opaque:
    return Opaque(Extras(Dialect.ANTHROPIC, {"type": kind, **block.left()}))


def _text(block: Fields) -> Text:
    return Text(block.text("text") or "", block.rest(Dialect.ANTHROPIC))


def _thinking(block: Fields) -> Reasoning:
    # An empty signature is what clients of other models were given: it proves nothing.
    signature, origin = untagged(block.text("signature") or "", Dialect.ANTHROPIC)
    return Reasoning(block.text("thinking") or "", signature or None, origin=origin)


def _redacted(block: Fields) -> Reasoning:
    data, origin = untagged(block.text("data") or "", Dialect.ANTHROPIC)
    # State of other providers travels here for want of a better place; see `carried`.
    if origin is not Dialect.ANTHROPIC:
        return Reasoning(signature=data, origin=origin)
    return Reasoning(redacted=data, origin=origin)


def _tool_use(block: Fields) -> ToolCall:
    call_id, name = block.text("id") or "", block.text("name") or ""
    arguments = msgspec.json.encode(block.take("input") or {}).decode()
    return ToolCall(call_id, name, arguments, block.rest(Dialect.ANTHROPIC))


def _tool_result(block: Fields) -> ToolResult:
    call_id = block.required_text("tool_use_id")
    parts = tuple(
        part
        for part in _content(block, "content")
        if isinstance(part, Text | Image | File | Opaque)
    )
    is_error = block.flag("is_error") or False
    return ToolResult(call_id, parts, is_error, extras=block.rest(Dialect.ANTHROPIC))


def _image(block: Fields) -> Part:
    match block.peek("source"):
        case {"type": "base64", "data": str(data), "media_type": str(media_type)}:
            found = Image(data=data, media_type=media_type)
        case {"type": "url", "url": str(url)}:
            found = Image(url=url)
        case dict():
            return _opaque("image", block)
        case _:
            refuse(block.at("source"), "must be an object")
    block.take("source")
    return msgspec.structs.replace(found, extras=block.rest(Dialect.ANTHROPIC))


def _document(block: Fields) -> Part:
    title = block.peek("title")
    filename = title if isinstance(title, str) else None
    source = block.peek("source")
    match source:
        case {"type": "base64", "data": str(data)}:
            media_type = str(source.get("media_type") or "application/pdf")
            found = File(data=data, media_type=media_type, filename=filename)
        case {"type": "url", "url": str(url)}:
            found = File(url=url, filename=filename)
        case {"type": "text", "data": str(text)}:
            found = File(text=text, media_type="text/plain", filename=filename)
        case dict():
            return _opaque("document", block)
        case _:
            refuse(block.at("source"), "must be an object")
    block.take("source")
    if filename is not None:
        block.take("title")
    return msgspec.structs.replace(found, extras=block.rest(Dialect.ANTHROPIC))


_BLOCKS: Mapping[str, Callable[[Fields], Part]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
