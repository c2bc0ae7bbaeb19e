"""A client's Ollama request into the neutral conversation."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from omniroute.chat import (
    ChatRequest,
    Dialect,
    Effort,
    Extras,
    Image,
    Message,
    Part,
    Reasoning,
    ReasoningRequest,
    ResponseFormat,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from omniroute.dialects.data_uris import parse_data_uri
from omniroute.dialects.fields import Fields, read_object, refuse
from omniroute.errors import ValidationFailed

DEFAULT_MODEL = "llama3.2"

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}

_EFFORTS: Mapping[str, Effort] = {"low": "low", "medium": "medium", "high": "high"}

# The first characters of a picture in base64, for there is no other word on its kind.
_MAGIC = (("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"),
          ("UklGR", "image/webp"))  # fmt: skip


def decode_chat(body: bytes) -> ChatRequest:
    """See `ClientCodec.decode_request`."""
    fields = Fields(read_object(body))
    conversation = _Conversation()
    messages = tuple(conversation.read(item) for item in fields.messages())
    return _request(fields, messages)


def decode_prompt(body: bytes) -> ChatRequest:
    """The same for `POST /api/generate`: a prompt instead of messages."""
    fields = Fields(read_object(body))
    system, prompt = fields.text("system"), fields.text("prompt") or ""
    if fields.text("suffix"):
        refuse(fields.at("suffix"), "is not supported: targets here answer, they do not fill in")
    said: list[Part] = [Text(prompt)] if prompt else []
    said += [_picture(data) for data in fields.texts("images")]
    messages = [Message("system", (Text(system),))] if system else []
    return _request(fields, (*messages, Message("user", tuple(said))))


def _request(fields: Fields, messages: tuple[Message, ...]) -> ChatRequest:
    options = fields.object("options") or Fields({}, "options")
    limit = options.integer("num_predict")
    stream = fields.flag("stream")
    request = ChatRequest(
        model=fields.text("model") or DEFAULT_MODEL,
        messages=messages,
        tools=tuple(_tools(fields)),
        max_output_tokens=limit if limit is not None and limit > 0 else None,
        temperature=options.number("temperature"),
        top_p=options.number("top_p"),
        top_k=options.integer("top_k"),
        stop=options.texts("stop"),
        seed=options.integer("seed"),
        presence_penalty=options.number("presence_penalty"),
        frequency_penalty=options.number("frequency_penalty"),
        reasoning=_think(fields),
        response_format=_format(fields),
        stream=True if stream is None else stream,
        include_usage=True,
    )
    if options.left():
        fields.put("options", options.left())
    return msgspec.structs.replace(request, extras=fields.rest(Dialect.OLLAMA))


def _think(fields: Fields) -> ReasoningRequest | None:
    match fields.take("think"):
        case None:
            return None
        case bool(wanted):
            return ReasoningRequest(effort="medium" if wanted else "none")
        case str(level) if level in _EFFORTS:
            return ReasoningRequest(effort=_EFFORTS[level])
    told = f"must be true, false or one of {', '.join(_EFFORTS)}"
    raise ValidationFailed([(fields.at("think"), told)])


def _format(fields: Fields) -> ResponseFormat | None:
    match fields.take("format"):
        case None | "":
            return None
        case "json":
            return ResponseFormat("json_object")
        case dict(schema):
            return ResponseFormat("json_schema", schema=schema)
    raise ValidationFailed([(fields.at("format"), "must be 'json' or a JSON Schema")])


def _tools(fields: Fields) -> Iterator[Tool]:
    for tool in fields.objects("tools"):
        function = tool.object("function") or Fields({}, tool.at("function"))
        name = (function.text("name") or "").strip()
        parameters = function.take("parameters")
        if name:
            yield Tool(
                name=name,
                description=function.text("description") or "",
                parameters=parameters if isinstance(parameters, dict) else None,
            )


def _picture(data: str) -> Image:
    inline = parse_data_uri(data)
    if inline is not None:
        return Image(data=inline[1], media_type=inline[0])
    kinds = (kind for magic, kind in _MAGIC if data.startswith(magic))
    return Image(data=data, media_type=next(kinds, "image/png"))


class _Conversation:
    """Reads messages in order. Calls need no ids here: results are linked by name and order."""

    def __init__(self) -> None:
        self._calls = 0
        self._waiting: list[ToolCall] = []

    def read(self, message: Fields) -> Message:
        """One message."""
        named = message.required_text("role")
        role = ROLES.get(named)
        if role is None:
            refuse(message.at("role"), f"must be one of {', '.join(ROLES)}")
        if role == "tool":
            return Message("tool", (self._result(message),))
        parts: list[Part] = []
        thinking = message.text("thinking")
        if thinking and role == "assistant":
            parts.append(Reasoning(thinking, origin=Dialect.OLLAMA))
        text = message.text("content")
        if text:
            parts.append(Text(text))
        parts += [_picture(data) for data in message.texts("images")]
        parts += [self._call(call) for call in message.objects("tool_calls")]
        return Message(role, tuple(parts), extras=message.rest(Dialect.OLLAMA))

    def _call(self, call: Fields) -> ToolCall:
        function = call.object("function") or Fields({}, call.at("function"))
        name, arguments = function.text("name") or "", function.take("arguments")
        text = arguments if isinstance(arguments, str) else _json(arguments)
        made = ToolCall(call.text("id") or f"call_{self._calls}_{name}", name, text)
        self._calls += 1
        self._waiting.append(made)
        return made

    def _result(self, message: Fields) -> ToolResult:
        name = message.text("tool_name") or message.text("name")
        call_id = message.text("tool_call_id")
        for call in self._waiting:
            if (call_id or call.id) == call.id and (name or call.name) == call.name:
                self._waiting.remove(call)
                call_id = call.id
                break
        parts: list[Text | Image] = [Text(message.text("content") or "")]
        parts += [_picture(data) for data in message.texts("images")]
        return ToolResult(call_id or "", tuple(parts), name=name)


def _json(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()


def own_options(extras: Extras | None) -> dict[str, Any]:
    """Options without a neutral name, as an Ollama client gave them."""
    if extras is None or extras.dialect is not Dialect.OLLAMA:
        return {}
    options = extras.fields.get("options")
    return options if isinstance(options, dict) else {}
