"""A client's OpenAI Chat request into the neutral conversation."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from omniroute.chat import (
    Audio,
    ChatRequest,
    Dialect,
    Extras,
    File,
    HostedTool,
    Image,
    Message,
    Opaque,
    Part,
    ReasoningRequest,
    Refusal,
    ResponseFormat,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from omniroute.dialects.data_uris import parse_data_uri
from omniroute.dialects.fields import Fields, read_object, refuse
from omniroute.dialects.openai_chat.opaque import read_call_state, read_reasoning
from omniroute.dialects.reasoning import read_thinking

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}


def decode_request(body: bytes) -> ChatRequest:
    """See `Codec.decode_request`."""
    fields = Fields(read_object(body))
    model = fields.required_text("model")
    conversation = _Conversation()
    messages = tuple(conversation.read(item) for item in fields.messages())
    stream_options = fields.object("stream_options")
    limits = [
        fields.integer(name)
        for name in ("max_completion_tokens", "max_tokens", "max_output_tokens")
    ]
    return ChatRequest(
        model=model,
        messages=messages,
        tools=tuple(_tools(fields)),
        tool_choice=_tool_choice(fields),
        parallel_tool_calls=fields.flag("parallel_tool_calls"),
        max_output_tokens=next((limit for limit in limits if limit is not None), None),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.integer("top_k"),
        stop=fields.texts("stop"),
        seed=fields.integer("seed"),
        presence_penalty=fields.number("presence_penalty"),
        frequency_penalty=fields.number("frequency_penalty"),
        n=_choices(fields),
        reasoning=_reasoning(fields),
        response_format=_response_format(fields),
        user=fields.text("user"),
        stream=fields.flag("stream"),
        include_usage=bool(stream_options and stream_options.flag("include_usage")),
        extras=fields.rest(Dialect.OPENAI_CHAT),
    )


def reasoning_of(thinking: object, effort: object) -> ReasoningRequest | None:
    """What the two ways of asking for thinking mean; `thinking` wins."""
    return read_thinking(thinking) or read_thinking(None, effort)


def _reasoning(fields: Fields) -> ReasoningRequest | None:
    thinking, effort = fields.peek("thinking"), fields.peek("reasoning_effort")
    if thinking is not None and not isinstance(thinking, dict):
        refuse(fields.at("thinking"), "must be an object")
    if effort is not None and not isinstance(effort, str):
        refuse(fields.at("reasoning_effort"), "must be a string")
    # Both stay among the extras: towards this dialect they go out as they came, see `encode`.
    return reasoning_of(thinking, effort)


def _choices(fields: Fields) -> int:
    n = fields.integer("n")
    if n is not None and not 1 <= n <= 128:
        refuse(fields.at("n"), "must be between 1 and 128")
    return n or 1


def _response_format(fields: Fields) -> ResponseFormat | None:
    wanted = fields.peek("response_format")
    if wanted is None:
        return None
    inner = Fields.of(wanted, fields.at("response_format"))
    match inner.text("type"):
        case "text":
            found = ResponseFormat("text")
        case "json_object":
            found = ResponseFormat("json_object")
        case "json_schema":
            declared = inner.object("json_schema") or Fields({}, inner.at("json_schema"))
            schema = declared.object("schema")
            found = ResponseFormat(
                "json_schema",
                name=declared.text("name"),
                schema=schema.left() if schema else None,
                strict=declared.flag("strict"),
            )
        case _:
            # A format of a particular service: kept among the extras for its own kind.
            return None
    fields.take("response_format")
    return found


def _tools(fields: Fields) -> Iterator[Tool | HostedTool]:
    for tool in fields.objects("tools"):
        kind = tool.text("type")
        if kind not in (None, "function"):
            yield HostedTool(Extras(Dialect.OPENAI_CHAT, {"type": kind, **tool.left()}))
            continue
        function = tool.object("function")
        if function is not None:
            yield from _function(function, tool.rest(Dialect.OPENAI_CHAT))
    for function in fields.objects("functions"):
        yield from _function(function, None)


def _function(function: Fields, extras: Extras | None) -> Iterator[Tool]:
    name = (function.text("name") or "").strip()
    parameters = function.take("parameters")
    if name:
        yield Tool(
            name=name,
            description=function.text("description") or "",
            parameters=parameters if isinstance(parameters, dict) else None,
            strict=function.flag("strict"),
            extras=extras,
        )


def _tool_choice(fields: Fields) -> ToolChoice | None:
    choice = fields.peek("tool_choice")
    legacy = fields.take("function_call")
    if choice is None and isinstance(legacy, dict):
        legacy = {"type": "function", "function": legacy}
    match legacy if choice is None else choice:
        case "auto" | "none" | "required" as mode:
            found = ToolChoice(mode)
        case "any":
            found = ToolChoice("required")
        case {"type": "function", "function": {"name": str(name)}} if name:
            found = ToolChoice("tool", name)
        case None | dict():
            # Another kind of choice, `allowed_tools` say, is kept for this dialect alone.
            return None
        case _:
            refuse(fields.at("tool_choice"), "must be auto, none, required or a function")
    fields.take("tool_choice")
    return found


class _Conversation:
    """Reads messages in order; legacy function messages are linked to their calls by name."""

    def __init__(self) -> None:
        self._legacy_ids: dict[str, str] = {}

    def read(self, message: Fields) -> Message:
        """One message."""
        role_name = message.required_text("role")
        role = ROLES.get(role_name)
        if role is None:
            refuse(message.at("role"), f"must be one of {', '.join(ROLES)}")
        name = message.text("name") or None
        parts: tuple[Part, ...]
        if role == "tool":
            parts = (self._result(message, role_name, name),)
            name = None
        elif role == "assistant":
            parts = tuple(self._assistant(message))
        else:
            parts = tuple(_content(message))
        return Message(role, parts, name, message.rest(Dialect.OPENAI_CHAT))

    def _assistant(self, message: Fields) -> Iterator[Part]:
        aliases = [message.text(alias) for alias in ("reasoning_content", "reasoning")]
        reasoning = next(filter(None, aliases), None)
        yield from read_reasoning(message, reasoning or "")
        yield from _content(message)
        refusal = message.text("refusal")
        if refusal:
            yield Refusal(refusal)
        for call in message.objects("tool_calls"):
            yield from read_call_state(call)
            yield _call(call)
        legacy = message.object("function_call")
        if legacy is not None:
            name = legacy.text("name") or ""
            call_id = f"call_{len(self._legacy_ids)}_{name}"
            self._legacy_ids[name] = call_id
            yield ToolCall(call_id, name, _arguments(legacy.take("arguments")))

    def _result(self, message: Fields, role_name: str, name: str | None) -> ToolResult:
        if role_name == "function":
            call_id = self._legacy_ids.get(name or "", "")
        else:
            call_id = message.required_text("tool_call_id")
        parts = tuple(
            part for part in _content(message) if isinstance(part, Text | Image | File | Opaque)
        )
        return ToolResult(call_id, parts, name=name)


def _call(call: Fields) -> Part:
    call_id = call.text("id") or ""
    kind = call.text("type")
    if kind not in (None, "", "function"):
        return Opaque(Extras(Dialect.OPENAI_CHAT, {"id": call_id, "type": kind, **call.left()}))
    function = call.object("function") or Fields({})
    call.take("index")
    name, arguments = function.text("name") or "", _arguments(function.take("arguments"))
    return ToolCall(call_id, name, arguments, call.rest(Dialect.OPENAI_CHAT))


def _arguments(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()


def _content(message: Fields) -> Iterator[Part]:
    content = message.peek("content")
    if isinstance(content, str) or content is None:
        message.take("content")
        if content:
            yield Text(content)
        return
    if not isinstance(content, list):
        refuse(message.at("content"), "must be a string, null or an array of parts")
    for part in message.objects("content"):
        kind = part.required_text("type")
        read = _PARTS.get(kind)
        yield read(part) if read else _opaque(kind, part)


def _opaque(kind: str, part: Fields) -> Opaque:
    return Opaque(Extras(Dialect.OPENAI_CHAT, {"type": kind, **part.left()}))


def _text(part: Fields) -> Text:
    return Text(part.text("text") or "", part.rest(Dialect.OPENAI_CHAT))


def _refusal(part: Fields) -> Refusal:
    return Refusal(part.text("refusal") or "")


def _image(part: Fields) -> Image:
    given = part.take("image_url")
    # Several clients send the bare address where an object belongs.
    given = {"url": given} if isinstance(given, str) else given
    picture = Fields.of(given, part.at("image_url"))
    url, detail = (picture.text("url") or "").strip(), picture.text("detail")
    extras = part.rest(Dialect.OPENAI_CHAT)
    inline = parse_data_uri(url)
    if inline is None:
        return Image(url=url, detail=detail, extras=extras)
    return Image(data=inline[1], media_type=inline[0], detail=detail, extras=extras)


def _audio(part: Fields) -> Audio:
    sound = Fields.of(part.take("input_audio"), part.at("input_audio"))
    data, sound_format = sound.required_text("data"), sound.required_text("format")
    return Audio(data, sound_format, part.rest(Dialect.OPENAI_CHAT))


def _file(part: Fields) -> File:
    file = Fields.of(part.take("file"), part.at("file"))
    given, file_id = file.text("file_data"), file.text("file_id")
    inline = parse_data_uri(given) if given else None
    media_type, data = inline or ("application/pdf", given)
    return File(
        data=data,
        file_id=file_id,
        media_type=media_type if data else None,
        filename=file.text("filename"),
        extras=part.rest(Dialect.OPENAI_CHAT),
    )


_PARTS: Mapping[str, Callable[[Fields], Part]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "refusal": _refusal,
}
