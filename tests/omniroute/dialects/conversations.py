"""Conversations and replies that use everything the neutral model has, and what they say."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, TypeAlias, TypeVar

from omniroute.chat import (
    Audio,
    ChatReply,
    ChatRequest,
    Event,
    File,
    Finished,
    FinishReason,
    Image,
    ImageProduced,
    Message,
    Part,
    Reasoning,
    ReasoningDelta,
    ReasoningRequest,
    Refusal,
    RefusalDelta,
    ResponseFormat,
    Started,
    Text,
    TextDelta,
    Tool,
    ToolArgumentsDelta,
    ToolCall,
    ToolCallStarted,
    ToolChoice,
    ToolResult,
    Usage,
    UsageReported,
)

AnyT = TypeVar("AnyT")

Facts: TypeAlias = Mapping[str, list[Any]]
"""What a conversation or reply says, by the things of `losses`, in order."""

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

ATTACHED: tuple[Part, ...] = (
    Image(data=PNG, media_type="image/png"),
    Image(data=PNG, media_type="image/png", detail="high"),
    Image(url="https://x.test/a.png"),
    Audio("UklGRg==", "wav"),
    File(data="JVBERi0=", media_type="application/pdf", filename="a.pdf"),
    File(text="body", filename="n.txt", media_type="text/plain"),
    File(url="https://x.test/a.pdf", media_type="application/pdf"),
    File(file_id="file-1"),
)
ANSWERS: tuple[tuple[Text | Image, ...], ...] = (
    (Text("12"),),
    (Text("a"), Text("b")),
    (Text("see"), Image(data=PNG, media_type="image/png")),
    (Text('{"x":1}'),),
)
REASONING = (
    None,
    None,
    ReasoningRequest(effort="low"),
    ReasoningRequest(effort="high"),
    ReasoningRequest(effort="none"),
    ReasoningRequest(budget_tokens=2048),
    ReasoningRequest(adaptive=True),
)
FORMATS = (
    None,
    None,
    ResponseFormat("json_object"),
    ResponseFormat("json_schema", "out", SCHEMA, True),
)
CHOICES = (
    None,
    ToolChoice("auto"),
    ToolChoice("none"),
    ToolChoice("required"),
    ToolChoice("tool", "look"),
)


def conversation(chance: Random) -> ChatRequest:
    """A request in which anything may be."""

    def maybe(value: AnyT, how_often: float = 0.3) -> AnyT | None:
        return value if chance.random() < how_often else None

    messages = [Message("system", (Text("Be kind"),))] if chance.random() < 0.5 else []
    for turn in range(chance.randint(1, 3)):
        messages += _turn(chance, turn)
    messages.append(Message("user", (Text("end"),)))
    declared = tuple(
        Tool(name, "does it", SCHEMA, strict=chance.choice([None, True, False]))
        for name in ("look", "files.read")
    )
    tools = maybe(declared, 0.6) or ()
    return ChatRequest(
        model="m",
        messages=tuple(messages),
        tools=tools,
        tool_choice=chance.choice(CHOICES) if tools else None,
        parallel_tool_calls=maybe(False) if tools else None,
        max_output_tokens=maybe(500),
        temperature=maybe(0.5),
        top_p=maybe(0.9),
        top_k=maybe(40),
        stop=maybe(("END", "X")) or (),
        seed=maybe(7),
        presence_penalty=maybe(0.5),
        frequency_penalty=maybe(0.25),
        n=maybe(2, 0.05) or 1,
        reasoning=chance.choice(REASONING),
        response_format=chance.choice(FORMATS),
        user=maybe("u1"),
    )


def _turn(chance: Random, turn: int) -> Iterator[Message]:
    asked: list[Part] = [Text(f"ask {turn}")]
    asked += [part for part in ATTACHED if chance.random() < 0.08]
    asked += [Text("and more")] if chance.random() < 0.3 else []
    yield Message("user", tuple(asked), name=chance.choice([None, None, "ann"]))
    calls = [
        ToolCall(f"call_{turn}_{at}", chance.choice(["look", "files.read"]), f'{{"a":{at}}}')
        for at in range(chance.randint(0, 2))
    ]
    said: list[Part] = [Reasoning("hm")] if chance.random() < 0.3 else []
    said += [Text(f"said {turn}")] if chance.random() < 0.7 else []
    said += [Refusal("no")] if chance.random() < 0.2 else []
    said += calls
    said += [Text("after")] if chance.random() < 0.2 or not said else []
    yield Message("assistant", tuple(said))
    if calls:
        results = [
            ToolResult(call.id, chance.choice(ANSWERS), is_error=chance.random() < 0.3)
            for call in calls
        ]
        yield Message("tool", tuple(results))


def facts_of(request: ChatRequest, names: Mapping[str, str]) -> Facts:
    """What a request says. `names` are tools the wire renamed, with what the client calls them."""
    found: dict[str, list[Any]] = defaultdict(list)
    for message in request.messages:
        if message.name:
            found["name of a speaker"].append(message.name)
        for part in message.parts:
            for thing, value in _part_facts(part, message.role, names):
                found[thing].append(value)
    for tool in request.tools:
        assert isinstance(tool, Tool)
        shown = (names.get(tool.name, tool.name), tool.description, json.dumps(tool.parameters))
        found["tool"].append(shown)
        if tool.strict is not None:
            found["strict tool"].append(tool.strict)
    for thing, value in _option_facts(request):
        if value is not None:
            found[thing].append(value)
    for thing in [thing for thing in found if thing.startswith("text of ")]:
        found["border between texts"].append((thing, len(found[thing])))
        found[thing] = ["".join("".join(found[thing]).split())]
    return found


def _part_facts(part: Part, role: str, names: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    match part:
        case Text(text):
            yield f"text of {role}", text
        case Image(url, data, _, detail):
            yield "picture by address" if url else "picture", url or data
            if detail:
                yield "detail of a picture", detail
        case Audio(data, kind):
            yield "sound", (data, kind)
        case File(data, url, text, file_id):
            kinds = {"document": data, "document by address": url}
            kinds |= {"document as text": text, "document by id": file_id}
            yield from ((kind, value) for kind, value in kinds.items() if value is not None)
            if part.filename:
                yield "name of a document", part.filename
        case Refusal(text):
            yield "refusal", text
        case Reasoning(text, signature, redacted, origin):
            if text:
                yield "thinking", text
            if signature or redacted:
                yield "thinking signature", (signature or redacted, origin)
        case ToolCall(call_id, name, arguments):
            yield "call", (call_id, names.get(name, name), json.loads(arguments or "{}"))
        case ToolResult(call_id, parts, is_error):
            texts = [one.text for one in parts if isinstance(one, Text)]
            yield "result", (call_id, "\n".join(texts))
            yield from (
                ("picture in a result", one.data) for one in parts if isinstance(one, Image)
            )
            if is_error:
                yield "failed result", call_id
        case _:
            raise AssertionError(part)


def _option_facts(request: ChatRequest) -> Iterator[tuple[str, Any]]:
    yield "output limit", request.max_output_tokens
    yield "temperature", request.temperature
    yield "top_p", request.top_p
    yield "top_k", request.top_k
    yield "seed", request.seed
    yield "presence penalty", request.presence_penalty
    yield "frequency penalty", request.frequency_penalty
    yield "user", request.user
    yield "tool choice", request.tool_choice
    yield "parallel calls", request.parallel_tool_calls
    yield "answers", request.n if request.n > 1 else None
    yield "stop", request.stop or None
    if request.reasoning is not None:
        yield "reasoning effort", request.reasoning.effort
        yield "reasoning budget", request.reasoning.budget_tokens
        yield "adaptive reasoning", request.reasoning.adaptive or None
    if request.response_format is not None:
        yield "response format", request.response_format.kind
        schema = request.response_format.schema
        yield "schema", None if schema is None else json.dumps(schema)
        yield "name of a schema", request.response_format.name
        yield "strict schema", request.response_format.strict


def reply(chance: Random) -> list[Event]:
    """The events of a reply in which anything may be."""

    def perhaps(*events: Event, how_often: float = 0.3) -> tuple[Event, ...]:
        return events if chance.random() < how_often else ()

    calls = chance.randint(0, 2)
    events: list[Event] = [Started("up", "model-1", 1_700_000_000)]
    events += perhaps(ReasoningDelta("h"), ReasoningDelta("m"))
    events += perhaps(TextDelta("Hel"), TextDelta("lo"), how_often=0.8)
    events += perhaps(RefusalDelta("no"))
    events += perhaps(ImageProduced(Image(data=PNG, media_type="image/png")))
    for at in range(calls):
        events += [ToolCallStarted(at, f"call_{at}", "look"), ToolArgumentsDelta(at, '{"a":1}')]
    events += perhaps(TextDelta("after"))
    reasons: tuple[FinishReason, ...] = ("stop", "length", "content_filter")
    reason = "tool_calls" if calls else chance.choice(reasons)
    sequence = "END" if reason == "stop" and chance.random() < 0.4 else None
    events.append(Finished(reason, sequence))
    read, written, hour, thought = (chance.choice([0, 5]) for _ in range(4))
    return [*events, UsageReported(Usage(7, read, written, hour, 3, thought))]


def facts_of_reply(told: ChatReply) -> Facts:
    """What a reply says. Ids and the model's name are each dialect's own and not compared."""
    found: dict[str, list[Any]] = defaultdict(list)
    for part in told.parts:
        for thing, value in _part_facts(part, "assistant", {}):
            found["text" if thing == "text of assistant" else thing].append(value)
    found["text"] = ["".join(found["text"])]
    usage = told.usage or Usage()
    optional = {
        "time of creation": told.created_s,
        "stop sequence": told.stop_sequence,
        "cached tokens read": usage.cache_read_tokens,
        "cached tokens written": usage.cache_write_tokens,
        "tokens written to a cache for an hour": usage.cache_write_1h_tokens,
        "tokens of thinking": usage.reasoning_tokens,
    }
    for thing, value in optional.items():
        if value:
            found[thing].append(value)
    found["finish"].append(told.finish)
    found["tokens read"].append(usage.total_input_tokens)
    found["tokens written"].append(usage.total_output_tokens)
    return found
