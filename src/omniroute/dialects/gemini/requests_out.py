"""The neutral conversation into a Gemini request for an upstream."""

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
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from omniroute.dialects.arguments import input_object
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.data_uris import media_type_of
from omniroute.dialects.fields import own_fields
from omniroute.dialects.gemini.generation import generation_config
from omniroute.dialects.gemini.schema import gemini_schema
from omniroute.dialects.gemini.wire import Wire, gemini_names
from omniroute.dialects.pairing import paired
from omniroute.errors import InvalidRequest

SEARCH_TYPES = ("googleSearch", "google_search", "web_search", "web_search_preview")
"""What clients of other dialects call a search that the upstream runs itself."""

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}


def encode_request(request: ChatRequest, target: TargetFacts) -> bytes:
    """See `Codec.encode_request`."""
    names = gemini_names(request)
    messages = paired(request.messages)
    system = [
        {"text": part.text}
        for message in messages
        if message.role == "system"
        for part in message.parts
        if isinstance(part, Text) and part.text
    ]
    contents = _contents((m for m in messages if m.role != "system"), names)
    if not contents and system:
        # A system prompt alone is nothing to answer: it becomes what the user says.
        contents, system = [{"role": "user", "parts": system}], []
    if not contents:
        _unsupported("The conversation has no content to answer", "messages")
    own = own_fields(request.extras, Dialect.GEMINI)
    wire: Wire = {"contents": contents}
    if system:
        wire["systemInstruction"] = {"parts": system}
    wire |= _tools(request, names, target)
    config = generation_config(request, target, own.get("generationConfig"))
    if config:
        wire["generationConfig"] = config
    return msgspec.json.encode({**wire, **{n: own[n] for n in own if n not in wire}})


def _unsupported(message: str, param: str) -> NoReturn:
    raise InvalidRequest(message, code="unsupported_feature", param=param)


def _contents(messages: Iterable[Message], names: Mapping[str, str]) -> list[Wire]:
    """Turns of alternating roles: neighbours of one role are merged, empty ones left out."""
    turns: list[Wire] = []
    called: dict[str, str] = {}
    for message in messages:
        role = "model" if message.role == "assistant" else "user"
        called |= {part.id: part.name for part in message.parts if isinstance(part, ToolCall)}
        parts = list(_parts(message, names, called))
        if not parts:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": role, "parts": parts})
    return turns


def _parts(message: Message, names: Mapping[str, str], called: Mapping[str, str]) -> Iterator[Wire]:
    """The parts of a turn; a signature goes onto the call behind it, else onto its text."""
    waiting: str | None = None
    last: Wire | None = None
    for part in (*message.parts, None):
        if waiting is not None and not isinstance(part, ToolCall):
            if last is not None and "text" in last and "thoughtSignature" not in last:
                last["thoughtSignature"] = waiting
            else:
                last = {"text": "", "thoughtSignature": waiting}
                yield last
            waiting = None
        if isinstance(part, Reasoning):
            if part.origin is Dialect.GEMINI:
                waiting = part.signature
            continue
        for wire in _part(part, names, called) if part is not None else ():
            if waiting is not None:
                wire["thoughtSignature"] = waiting
                waiting = None
            last = wire
            yield wire


def _part(part: Part, names: Mapping[str, str], called: Mapping[str, str]) -> Iterator[Wire]:
    match part:
        case Text(text) | Refusal(text):
            if text:
                yield {"text": text}
        case ToolCall(id, name, arguments):
            named = names.get(name, name)
            yield {"functionCall": {"id": id, "name": named, "args": input_object(arguments)}}
        case ToolResult():
            yield from _result(part, names, called)
        case Image():
            yield from _media(part.data, part.url, part.media_type, "image/png")
        case Audio(data, audio_format):
            yield _inline(data, f"audio/{audio_format}")
        case File(text=str(text), filename=name):
            yield {"text": f"[{name or 'document'}]\n{text}"}
        case File(file_id=str()):
            _unsupported("A stored file must be inlined before it is sent here", "messages")
        case File():
            yield from _media(part.data, part.url, part.media_type, "application/pdf")
        case Opaque(extras):
            own = own_fields(extras, Dialect.GEMINI)
            if own:
                yield dict(own)


def _media(
    data: str | None, url: str | None, media_type: str | None, assumed: str
) -> Iterator[Wire]:
    if data is not None:
        yield _inline(data, media_type or assumed)
    elif url:
        media_type = media_type or media_type_of(url)
        linked = {"fileUri": url} | ({"mimeType": media_type} if media_type else {})
        yield {"fileData": linked}


def _inline(data: str, media_type: str) -> Wire:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _result(
    result: ToolResult, names: Mapping[str, str], called: Mapping[str, str]
) -> Iterator[Wire]:
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    name = called.get(result.call_id) or result.name or "tool"
    key = "error" if result.is_error else "result"
    response = {
        "id": result.call_id,
        "name": names.get(name, name),
        "response": {key: _value("\n".join(texts))},
    }
    yield {"functionResponse": response}
    for part in result.parts:
        if not isinstance(part, Text):
            yield from _part(part, names, called)


def _value(text: str) -> Any:
    """A result that is a JSON object or array as such, any other as text."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return msgspec.json.decode(text)
        except (ValueError, RecursionError):
            pass
    return text


def _tools(request: ChatRequest, names: Mapping[str, str], target: TargetFacts) -> Wire:
    functions = [_function(tool, names) for tool in request.tools if isinstance(tool, Tool)]
    hosted = [_hosted(tool) for tool in request.tools if isinstance(tool, HostedTool)]
    if functions and not target.thinking_levels:
        # Older models refuse the mix; the functions are what the client can go on with.
        hosted = [one for one in hosted if "googleSearch" not in one]
    tools = ([{"functionDeclarations": functions}] if functions else []) + hosted
    wire: Wire = {"tools": tools} if tools else {}
    choice = request.tool_choice
    if choice is not None and functions:
        config: Wire = {"mode": _MODES[choice.mode]}
        if choice.name is not None:
            config["allowedFunctionNames"] = [names.get(choice.name, choice.name)]
        wire["toolConfig"] = {"functionCallingConfig": config}
    return wire


def _function(tool: Tool, names: Mapping[str, str]) -> Wire:
    wire: Wire = {"name": names.get(tool.name, tool.name), "description": tool.description}
    parameters = gemini_schema(tool.parameters)
    if parameters is not None:
        wire["parameters"] = parameters
    return wire


def _hosted(tool: HostedTool) -> Wire:
    own = own_fields(tool.extras, Dialect.GEMINI)
    if own:
        return {name: value for name, value in own.items() if name != "type"}
    kind = str(tool.extras.fields.get("type", "hosted"))
    if kind not in SEARCH_TYPES:
        _unsupported(
            f"The tool type '{kind}' runs at another kind of provider and cannot be used", "tools"
        )
    return {"googleSearch": {}}
