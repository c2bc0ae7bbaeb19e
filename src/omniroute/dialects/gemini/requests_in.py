"""A client's Gemini request into the neutral conversation."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from omniroute.chat import (
    Audio,
    ChatRequest,
    Dialect,
    Effort,
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
from omniroute.dialects.fields import Fields, read_object, refuse
from omniroute.dialects.gemini.schema import json_schema
from omniroute.dialects.gemini.wire import AUDIO_FORMATS, returned_state

_MODES = {"AUTO": "auto", "NONE": "none", "ANY": "required", "VALIDATED": "auto"}
_LEVELS: Mapping[str, Effort] = {
    "MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high",
}  # fmt: skip
_SNAKE = re.compile(r"_([a-z])")


def decode_request(body: bytes) -> ChatRequest:
    """See `ClientCodec.decode_request`. `model` and `stream` stand in the path."""
    fields = _camel(Fields(read_object(body)))
    if fields.peek("contents") is None and fields.peek("systemInstruction") is None:
        refuse("contents", "is required")
    system = tuple(_system(fields))
    conversation = _Conversation()
    turns = [turn for item in fields.objects("contents") for turn in conversation.read(item)]
    if not (system or turns):
        refuse("contents", "must not be empty")
    config = _camel(fields.object("generationConfig") or Fields({}, "generationConfig"))
    choice = _tool_choice(fields)
    request = ChatRequest(
        model=(fields.text("model") or "").removeprefix("models/"),
        messages=(*system, *turns),
        tools=tuple(_tools(fields)),
        tool_choice=choice,
        max_output_tokens=config.integer("maxOutputTokens"),
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.integer("topK"),
        stop=config.texts("stopSequences"),
        seed=config.integer("seed"),
        presence_penalty=config.number("presencePenalty"),
        frequency_penalty=config.number("frequencyPenalty"),
        n=config.integer("candidateCount") or 1,
        reasoning=_thinking(config),
        response_format=_response_format(config),
        include_usage=True,
    )
    if config.left():
        fields.put("generationConfig", config.left())
    return msgspec.structs.replace(request, extras=fields.rest(Dialect.GEMINI))


def _camel(fields: Fields) -> Fields:
    """The fields under the names of the documentation; clients write snake_case, too."""
    named = {_SNAKE.sub(lambda m: m[1].upper(), name): v for name, v in fields.left().items()}
    return Fields(named, fields.path)


def _system(fields: Fields) -> Iterator[Message]:
    given = fields.take("systemInstruction")
    if isinstance(given, str):
        given = {"parts": [{"text": given}]}
    if given is None:
        return
    said = Fields.of(given, "systemInstruction")
    parts = tuple(Text(part.text("text") or "") for part in said.objects("parts"))
    if parts:
        yield Message("system", parts)


def _thinking(config: Fields) -> ReasoningRequest | None:
    given = config.object("thinkingConfig")
    if given is None:
        return None
    wanted = _camel(given)
    level, budget = wanted.text("thinkingLevel"), wanted.integer("thinkingBudget")
    shown = wanted.flag("includeThoughts")
    if level is not None and level.upper() in _LEVELS:
        return ReasoningRequest(effort=_LEVELS[level.upper()])
    if budget is None:
        return ReasoningRequest(adaptive=True) if shown else None
    if budget == 0:
        return ReasoningRequest(effort="none")
    return ReasoningRequest(budget_tokens=budget) if budget > 0 else ReasoningRequest(adaptive=True)


def _response_format(config: Fields) -> ResponseFormat | None:
    media_type = config.peek("responseMimeType")
    plain = config.take("responseJsonSchema")
    schema = plain if isinstance(plain, dict) else json_schema(config.take("responseSchema"))
    if media_type != "application/json" and schema is None:
        return None
    config.take("responseMimeType")
    if schema is None:
        return ResponseFormat("json_object")
    return ResponseFormat("json_schema", schema=schema)


def _tools(fields: Fields) -> Iterator[Tool | HostedTool]:
    for entry in fields.objects("tools"):
        tool = _camel(entry)
        for item in tool.objects("functionDeclarations"):
            yield from _function(_camel(item))
        for name, settings in tool.left().items():
            yield HostedTool(Extras(Dialect.GEMINI, {"type": name, name: settings}))


def _function(function: Fields) -> Iterator[Tool]:
    name = (function.text("name") or "").strip()
    plain = function.take("parametersJsonSchema")
    parameters = plain if isinstance(plain, dict) else json_schema(function.take("parameters"))
    if name:
        yield Tool(name=name, description=function.text("description") or "", parameters=parameters)


def _tool_choice(fields: Fields) -> ToolChoice | None:
    given = fields.object("toolConfig")
    inner = _camel(given).object("functionCallingConfig") if given is not None else None
    if inner is None:
        return None
    config = _camel(inner)
    mode = _MODES.get((config.text("mode") or "AUTO").upper())
    if mode is None:
        refuse(config.at("mode"), f"must be one of {', '.join(_MODES)}")
    allowed = config.texts("allowedFunctionNames")
    if mode == "required" and len(allowed) == 1:
        return ToolChoice("tool", allowed[0])
    return ToolChoice("none" if mode == "none" else "required" if mode == "required" else "auto")


class _Conversation:
    """Reads turns in order. Calls may lack ids: their answers are linked by name and order."""

    def __init__(self) -> None:
        self._calls = 0
        self._waiting: list[ToolCall] = []

    def read(self, content: Fields) -> Iterator[Message]:
        """One turn; function responses become a message of their own, in front of the rest."""
        role = content.text("role") or "user"
        if role not in ("user", "model", "function", "tool"):
            refuse(content.at("role"), "must be 'user' or 'model'")
        parts = list(_merged(self._parts(content)))
        if role == "model":
            yield Message("assistant", tuple(parts))
            return
        results = tuple(part for part in parts if isinstance(part, ToolResult))
        said = tuple(part for part in parts if not isinstance(part, ToolResult))
        if results:
            yield Message("tool", results)
        if said:
            yield Message("user", said)

    def _parts(self, content: Fields) -> Iterator[Part]:
        for item in content.objects("parts"):
            part = _camel(item)
            signature, thought = part.text("thoughtSignature"), part.flag("thought")
            text = part.text("text")
            if thought:
                yield (
                    returned_state(signature, text or "")
                    if signature
                    else Reasoning(text or "", origin=Dialect.GEMINI)
                )
                continue
            # On a call it stands for what was thought before, on text for what came with it.
            if text:
                yield Text(text)
            if signature:
                yield returned_state(signature)
            if text is None:
                yield self._other(part)

    def _other(self, part: Fields) -> Part:
        call, answer = part.peek("functionCall"), part.peek("functionResponse")
        if isinstance(call, dict):
            return self._call(Fields(call, part.at("functionCall")))
        if isinstance(answer, dict):
            return self._answer(Fields(answer, part.at("functionResponse")))
        for name, read in (("inlineData", _inline), ("fileData", _linked)):
            given = part.peek(name)
            if isinstance(given, dict):
                return read(_camel(Fields(given, part.at(name))))
        return Opaque(Extras(Dialect.GEMINI, part.left()))

    def _call(self, call: Fields) -> ToolCall:
        name, arguments = call.required_text("name"), call.take("args")
        text = msgspec.json.encode(arguments or {}).decode()
        made = ToolCall(call.text("id") or f"call_{self._calls}_{name}", name, text)
        self._calls += 1
        self._waiting.append(made)
        return made

    def _answer(self, answer: Fields) -> ToolResult:
        name, call_id = answer.required_text("name"), answer.text("id")
        for call in self._waiting:
            if (call_id or call.id) == call.id and (call_id or call.name == name):
                self._waiting.remove(call)
                call_id = call.id
                break
        response = answer.take("response")
        failed = isinstance(response, dict) and "error" in response and len(response) == 1
        return ToolResult(call_id or "", (Text(_said(response)),), failed, name)


def _said(response: Any) -> str:
    """The text of an answer: its result, its output, or all of it."""
    value = response
    if isinstance(response, dict):
        names = (name for name in ("result", "output", "error") if name in response)
        name = next(names, None)
        value = response[name] if name is not None else response
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _inline(data: Fields) -> Part:
    media_type, content = data.text("mimeType") or "application/octet-stream", data.text("data")
    if media_type.startswith("image/"):
        return Image(data=content or "", media_type=media_type)
    if media_type in AUDIO_FORMATS:
        return Audio(content or "", AUDIO_FORMATS[media_type])
    return File(data=content or "", media_type=media_type, filename=data.text("displayName"))


def _linked(data: Fields) -> Part:
    media_type, address = data.text("mimeType"), data.required_text("fileUri")
    if media_type is not None and media_type.startswith("image/"):
        return Image(url=address, media_type=media_type)
    return File(url=address, media_type=media_type)


def _merged(parts: Iterator[Part]) -> Iterator[Part]:
    """Pieces of one thought put together: clients return a stream as it came."""
    held: Reasoning | None = None
    for part in parts:
        joins = isinstance(part, Reasoning) and part.redacted is None
        if held is not None and isinstance(part, Reasoning) and joins:
            held = msgspec.structs.replace(part, text=held.text + part.text)
        else:
            if held is not None:
                yield held
            held = None
            if isinstance(part, Reasoning) and joins:
                held = part
            else:
                yield part
        if held is not None and held.signature is not None:
            yield held
            held = None
    if held is not None:
        yield held
