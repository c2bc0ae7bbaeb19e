"""A client's Responses request into the neutral conversation."""

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
    Reasoning,
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
from omniroute.dialects.openai_responses.wire import (
    ASKED,
    FREE_FORM,
    FREE_FORM_TYPES,
    free_arguments,
    unsealed,
)
from omniroute.dialects.reasoning import read_thinking

R = Dialect.OPENAI_RESPONSES

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}

_MODES = ("auto", "none", "required")


def decode_request(body: bytes) -> ChatRequest:
    """See `ClientCodec.decode_request`. What came before has been put into `input` by then."""
    asked = read_object(body)
    fields = Fields(asked)
    model = fields.required_text("model")
    instructions = fields.text("instructions")
    system = (Message("system", (Text(instructions),)),) if instructions else ()
    turns = tuple(_turns(fields))
    if not turns and not system:
        refuse("input", "is required")
    tools, choice = tuple(_tools(fields)), _tool_choice(fields)
    reasoning, wanted = _reasoning(fields), _response_format(fields)
    request = ChatRequest(
        model=model,
        messages=(*system, *turns),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=fields.flag("parallel_tool_calls"),
        max_output_tokens=fields.integer("max_output_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        reasoning=reasoning,
        response_format=wanted,
        user=fields.text("user"),
        stream=fields.flag("stream"),
        include_usage=True,
    )
    fields.put(ASKED, {name: value for name, value in asked.items() if name != "input"})
    return msgspec.structs.replace(request, extras=Extras(R, fields.left()))


def _reasoning(fields: Fields) -> ReasoningRequest | None:
    given = fields.object("reasoning")
    return read_thinking(None, given.text("effort")) if given is not None else None


def _response_format(fields: Fields) -> ResponseFormat | None:
    text = fields.object("text")
    wanted = text.object("format") if text is not None else None
    if text is not None and text.left():
        fields.put("text", text.left())
    if wanted is None:
        return None
    kind = wanted.text("type")
    if kind == "json_schema":
        schema = wanted.object("schema")
        return ResponseFormat(
            "json_schema",
            name=wanted.text("name"),
            schema=schema.left() if schema else None,
            strict=wanted.flag("strict"),
        )
    return ResponseFormat("json_object") if kind == "json_object" else None


def _tools(fields: Fields) -> Iterator[Tool | HostedTool]:
    for tool in fields.objects("tools"):
        yield from _tool(tool)


def _tool(tool: Fields) -> Iterator[Tool | HostedTool]:
    kind = tool.text("type") or "function"
    name = (tool.peek("name") or "").strip() if isinstance(tool.peek("name"), str) else ""
    if kind == "namespace":
        for inner in tool.objects("tools"):
            yield from _tool(inner)
    elif kind == "function":
        tool.take("name")
        parameters = tool.take("parameters")
        if name:
            yield Tool(
                name=name,
                description=tool.text("description") or "",
                parameters=parameters if isinstance(parameters, dict) else None,
                strict=tool.flag("strict"),
                extras=tool.rest(R),
            )
    elif kind in FREE_FORM_TYPES and name:
        declared = Extras(R, {"type": kind, **tool.left()})
        yield Tool(name, tool.text("description") or "", dict(FREE_FORM), extras=declared)
    else:
        yield HostedTool(Extras(R, {"type": kind, **tool.left()}))


def _tool_choice(fields: Fields) -> ToolChoice | None:
    choice = fields.peek("tool_choice")
    match choice:
        case "auto" | "none" | "required":
            found = ToolChoice(choice)
        case {"type": "function" | "custom", "name": str(name)} if name:
            found = ToolChoice("tool", name)
        case {"type": "allowed_tools", "mode": str(mode)} if mode in _MODES:
            found = ToolChoice("required" if mode == "required" else "auto")
        case None | dict():
            return None  # the choice of a hosted tool means something to this dialect only
        case _:
            refuse("tool_choice", "must be auto, none, required or a tool")
    fields.take("tool_choice")
    return found


def _turns(fields: Fields) -> Iterator[Message]:
    """Items as turns: neighbours that one side said together are one message."""
    given = fields.take("input")
    if isinstance(given, str):
        yield Message("user", (Text(given),))
        return
    items = [given] if isinstance(given, dict) else given
    if not isinstance(items, list | None):
        refuse("input", "must be a string or an array of items")
    held: tuple[Role, list[Part]] | None = None
    for place, value in enumerate(items or ()):
        role, parts = _item(Fields.of(value, f"input.{place}"))
        if not parts:
            continue
        if held is not None and held[0] == role and role in ("assistant", "tool"):
            held[1].extend(parts)
            continue
        if held is not None:
            yield Message(held[0], tuple(held[1]))
        held = (role, list(parts))
    if held is not None:
        yield Message(held[0], tuple(held[1]))


def _item(item: Fields) -> tuple[Role, tuple[Part, ...]]:
    kind = item.text("type") or "message"
    if kind == "message":
        named = item.required_text("role")
        if named not in ROLES:
            refuse(item.at("role"), f"must be one of {', '.join(ROLES)}")
        # Thinking aloud between calls is not part of what was said.
        commentary = item.peek("phase") == "commentary"
        return ROLES[named], () if commentary else tuple(_content(item, "content"))
    if kind == "item_reference":
        refuse(item.at("type"), "refers to an item nobody keeps: send the item itself")
    read = _ITEMS.get(kind)
    if read is None:
        return "assistant", (Opaque(Extras(R, {"type": kind, **item.left()})),)
    part = read(item)
    return "tool" if isinstance(part, ToolResult) else "assistant", (part,)


def _function_call(item: Fields) -> ToolCall:
    arguments = item.text("arguments") or ""
    return ToolCall(item.required_text("call_id"), item.required_text("name"), arguments)


def _custom_call(item: Fields) -> ToolCall:
    call_id, name = item.required_text("call_id"), item.required_text("name")
    arguments = free_arguments(item.text("input") or "")
    return ToolCall(call_id, name, arguments, Extras(R, {"type": "custom_tool_call"}))


def _output(item: Fields) -> ToolResult:
    call_id = item.required_text("call_id")
    parts = tuple(
        part for part in _content(item, "output") if isinstance(part, Text | Image | File | Opaque)
    )
    return ToolResult(call_id, parts)


def _custom_output(item: Fields) -> ToolResult:
    marked = Extras(R, {"type": "custom_tool_call_output"})
    return msgspec.structs.replace(_output(item), extras=marked)


def _thought(item: Fields) -> Reasoning:
    pieces = [*item.objects("summary"), *item.objects("content")]
    text = "\n\n".join(piece.text("text") or "" for piece in pieces)
    sealed, item_id = item.text("encrypted_content"), item.text("id")
    if sealed:
        return unsealed(sealed, text, item_id)
    return Reasoning(text, origin=R, id=item_id)


_ITEMS: Mapping[str, Callable[[Fields], Part]] = {
    "function_call": _function_call,
    "function_call_output": _output,
    "custom_tool_call": _custom_call,
    "custom_tool_call_output": _custom_output,
    "reasoning": _thought,
}


def _content(item: Fields, name: str) -> Iterator[Part]:
    content = item.peek(name)
    if content is None or isinstance(content, str):
        item.take(name)
        if content:
            yield Text(content)
        return
    if not isinstance(content, list):
        refuse(item.at(name), "must be a string or an array of parts")
    for part in item.objects(name):
        kind = part.required_text("type")
        read = _PARTS.get(kind)
        yield read(part) if read else Opaque(Extras(R, {"type": kind, **part.left()}))


def _text(part: Fields) -> Text:
    return Text(part.text("text") or "")


def _refusal(part: Fields) -> Refusal:
    return Refusal(part.text("refusal") or "")


def _image(part: Fields) -> Part:
    url, detail = part.text("image_url"), part.text("detail")
    if not url:  # a stored picture: only its own service knows it
        return Opaque(Extras(R, {"type": "input_image", **part.left(), "detail": detail}))
    inline = parse_data_uri(url)
    if inline is None:
        return Image(url=url, detail=detail)
    return Image(data=inline[1], media_type=inline[0], detail=detail)


def _file(part: Fields) -> File:
    given = part.text("file_data")
    inline = parse_data_uri(given) if given else None
    media_type, data = inline or ("application/pdf", given)
    return File(
        data=data,
        url=part.text("file_url"),
        file_id=part.text("file_id"),
        media_type=media_type if data else None,
        filename=part.text("filename"),
    )


def _audio(part: Fields) -> Audio:
    sound = Fields.of(part.take("input_audio"), part.at("input_audio"))
    return Audio(sound.required_text("data"), sound.required_text("format"))


_PARTS: Mapping[str, Callable[[Fields], Part]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
