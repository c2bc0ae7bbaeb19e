"""Rules that hold for every conversation and every reply, on generated ones."""

import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.builders import asking

from omniroute.chat import (
    ChatReply,
    ChatRequest,
    Dialect,
    Event,
    Finished,
    FinishReason,
    Image,
    Message,
    Part,
    Reasoning,
    ReasoningDelta,
    ReasoningSigned,
    Refusal,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    ToolArgumentsDelta,
    ToolCall,
    ToolCallStarted,
    ToolResult,
    Usage,
    UsageReported,
    collect,
)
from omniroute.dialects import CODECS, COMPLETIONS
from omniroute.dialects.codec import Codec, ErrorFacts, MalformedReply, ServerEvent, TargetFacts
from omniroute.dialects.sse import split
from omniroute.errors import InvalidRequest

every_dialect = pytest.mark.parametrize("codec", CODECS.values(), ids=[str(d) for d in CODECS])

words = st.text(min_size=1, max_size=12)
names = st.text(st.sampled_from("abcXYZ019_-.: é"), min_size=1, max_size=80)
objects = st.dictionaries(words, st.none() | st.booleans() | st.integers() | words, max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
counts = st.integers(0, 10_000)
usages = st.builds(
    Usage,
    input_tokens=st.integers(1, 10_000),
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    output_tokens=counts,
    reasoning_tokens=counts,
)


@st.composite
def replies(draw: st.DrawFn) -> list[Event]:
    """The events of a reply, fragments of parallel calls and of texts interleaved."""
    lanes: list[list[Event]] = []
    for number in range(draw(st.integers(0, 3))):
        arguments = json.dumps(draw(objects))
        cut = draw(st.integers(0, len(arguments)))
        pieces = [piece for piece in (arguments[:cut], arguments[cut:]) if piece]
        name = draw(st.sampled_from(("look", "write_file")))
        call: list[Event] = [ToolCallStarted(number, f"call_{number}", name)]
        lanes.append([*call, *(ToolArgumentsDelta(number, piece) for piece in pieces)])
    said = draw(st.lists(st.tuples(st.sampled_from("tsr"), words), max_size=6))
    for kind, text in said:
        deltas: dict[str, Event] = {
            "t": TextDelta(text),
            "s": ReasoningDelta(text),
            "r": RefusalDelta(text),
        }
        behind_a_call = draw(st.booleans())
        if lanes and behind_a_call:
            lanes[0].append(deltas[kind])
        else:
            lanes.append([deltas[kind]])
    events: list[Event] = []
    # Calls begin in the order of their numbers, as every upstream sends them.
    begun = 0
    while any(lanes):
        ready = [
            lane
            for lane in lanes
            if lane and not (isinstance(lane[0], ToolCallStarted) and lane[0].index > begun)
        ]
        event = draw(st.sampled_from(ready)).pop(0)
        begun += isinstance(event, ToolCallStarted)
        events.append(event)
    reasons: list[FinishReason] = ["stop", "length", "content_filter"]
    reason: FinishReason = "tool_calls" if begun else draw(st.sampled_from(reasons))
    ending: list[Event] = [Finished(reason), UsageReported(draw(usages))]
    return [Started("up", "model-1", 1_700_000_000), *events, *ending]


UNMARKED = (Dialect.GEMINI,)
"""Streams without a terminal marker."""

TURNS = {Dialect.OPENAI_RESPONSES: "input", Dialect.GEMINI: "contents"}
"""Where the conversation stands, where that is not `messages`."""


def streamed(codec: Codec, events: Sequence[Event]) -> bytes:
    encoder = codec.encoder(asking(include_usage=True))
    return b"".join(map(encoder.feed, events)) + encoder.close()


def read(codec: Codec, stream: bytes) -> list[Event]:
    decoder, splitter = codec.decoder(), codec.splitter()
    frames = [*splitter.feed(stream), *splitter.close()]
    events = [event for frame in frames for event in decoder.feed(frame)]
    assert decoder.finished or codec.dialect in UNMARKED
    return events


def said(reply: ChatReply) -> dict[str, Any]:
    """What a client learns from a reply, whatever the dialect does to the order of parts."""

    def joined(kind: type[Any]) -> str:
        return "".join(part.text for part in reply.parts if isinstance(part, kind))

    return {
        "id": reply.id,
        "model": reply.model,
        "created_s": reply.created_s,
        "text": joined(Text),
        "refusal": joined(Refusal),
        "reasoning": joined(Reasoning),
        "calls": [
            (part.id, part.name, json.loads(part.arguments or "{}"))
            for part in reply.parts
            if isinstance(part, ToolCall)
        ],
        "finish": reply.finish,
        "usage": reply.usage,
    }


@every_dialect
@given(events=replies())
def test_a_streamed_reply_says_what_the_whole_one_says(codec: Codec, events: list[Event]) -> None:
    whole = collect(codec.decode_reply(codec.encode_reply(collect(events), asking())))
    assert said(collect(read(codec, streamed(codec, events)))) == said(whole)


@given(events=replies())
def test_anthropic_keeps_the_order_of_parts_in_streams_too(events: list[Event]) -> None:
    codec = CODECS[Dialect.ANTHROPIC]
    whole = collect(codec.decode_reply(codec.encode_reply(collect(events), asking())))
    assert collect(read(codec, streamed(codec, events))).parts == whole.parts


@every_dialect
@given(events=replies())
def test_nothing_is_lost_on_the_wire(codec: Codec, events: list[Event]) -> None:
    sent, got = said(collect(events)), said(collect(read(codec, streamed(codec, events))))
    assert got["calls"] == sent["calls"]
    assert got["reasoning"] == sent["reasoning"]
    assert len(got["text"] + got["refusal"]) == len(sent["text"] + sent["refusal"])
    # Ollama has no word for a filter, and counts no cached tokens.
    ollama = codec.dialect is Dialect.OLLAMA
    filtered = ollama and sent["finish"] == "content_filter"
    assert got["finish"] == ("stop" if filtered else sent["finish"])
    assert got["usage"].total_input_tokens == sent["usage"].total_input_tokens
    assert got["usage"].total_output_tokens == sent["usage"].total_output_tokens
    cached = 0 if ollama else sent["usage"].cache_read_tokens
    assert got["usage"].cache_read_tokens == cached


@given(events=replies())
def test_anthropic_blocks_are_sequential(events: list[Event]) -> None:
    frames = split(streamed(CODECS[Dialect.ANTHROPIC], events))
    kinds = [frame.name for frame in frames]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    open_block, begun = None, 0
    for frame in frames[1:-2]:
        data = json.loads(frame.data)
        if frame.name == "content_block_start":
            assert open_block is None
            assert data["index"] == begun
            open_block, begun = begun, begun + 1
        else:
            assert data["index"] == open_block
            open_block = None if frame.name == "content_block_stop" else open_block
    assert open_block is None


@every_dialect
@given(events=replies(), cuts=st.lists(st.integers(0, 4000), max_size=6), crlf=st.booleans())
def test_a_relay_returns_the_bytes_it_was_given(
    codec: Codec, events: list[Event], cuts: list[int], crlf: bool
) -> None:
    stream = streamed(codec, events)
    stream = stream.replace(b"\n", b"\r\n") if crlf else stream
    relay = codec.relay(hide_usage=False)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert b"".join(map(relay.feed, chunks)) + relay.close() == stream
    decoded = collect(read(codec, stream))
    marked = codec.dialect not in UNMARKED
    assert (relay.done, relay.finished, relay.failure) == (marked, True, None)
    assert relay.content == bool(decoded.parts)
    assert relay.usage == decoded.usage


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """A well-formed conversation: turns alternate, calls are answered, each id used once."""
    messages: list[Message] = []
    visible = words.filter(lambda text: bool(text.strip()))
    for turn in range(draw(st.integers(1, 3))):
        asked: list[Part] = [Text(draw(visible))]
        if draw(st.booleans()):
            asked.append(Image(data="aGk=", media_type="image/png"))
        messages.append(Message("user", tuple(asked)))
        ids = [f"call_{turn}_{number}" for number in range(draw(st.integers(0, 2)))]
        calls = [
            ToolCall(call_id, draw(names).strip() or "x", json.dumps(draw(objects)))
            for call_id in ids
        ]
        messages.append(Message("assistant", (Text(draw(visible)), *calls)))
        if calls:
            answers = tuple(ToolResult(call_id, (Text(draw(visible)),)) for call_id in ids)
            messages.append(Message("tool", answers))
    messages.append(Message("user", (Text(draw(visible)),)))
    return tuple(messages)


def told(codec: Codec, request: ChatRequest, read_as: ChatRequest) -> list[Any]:
    """Turns as values; tool names as the client wrote them, arguments parsed, results one list."""
    originals = codec.tool_names(request) if request is not read_as else {}
    turns: list[Any] = []
    for message in read_as.messages:
        for part in message.parts:
            value: tuple[Any, ...]
            match part:
                case ToolCall(id, name, arguments):
                    value = ("call", id, originals.get(name, name), json.loads(arguments))
                case ToolResult(call_id, parts):
                    value = ("result", call_id, [p.text for p in parts if isinstance(p, Text)], 0)
                case Image(url, data, media_type):
                    value = ("image", str(url), str(data), media_type)
                case Text(text):
                    value = ("text", message.role, text, 0)
                case _:
                    raise AssertionError(part)
            turns.append(value)
    return turns


@every_dialect
@given(messages=conversations())
def test_a_conversation_survives_the_wire(codec: Codec, messages: tuple[Message, ...]) -> None:
    request = ChatRequest(model="m", messages=messages)
    wire = codec.encode_request(request, TargetFacts(model="up"))
    assert told(codec, request, codec.decode_request(wire)) == told(codec, request, request)


@every_dialect
@given(messages=conversations(), order=st.randoms(use_true_random=False))
def test_calls_and_answers_pair_up_however_history_was_damaged(
    codec: Codec, messages: tuple[Message, ...], order: Any
) -> None:
    damaged = [message for message in messages if order.random() < 0.7]
    order.shuffle(damaged)
    request = ChatRequest(model="m", messages=(Message("user", (Text("Hi"),)), *damaged))
    again = codec.decode_request(codec.encode_request(request, TargetFacts(model="up")))
    turns = again.messages
    for position, message in enumerate(turns):
        calls = [part.id for part in message.parts if isinstance(part, ToolCall)]
        answers: list[str] = []
        for later in turns[position + 1 :]:
            if later.role != "tool":
                break
            answers += [part.call_id for part in later.parts if isinstance(part, ToolResult)]
        if message.role == "assistant" and position < len(turns) - 1:
            assert answers == calls
        if message.role == "tool":
            assert turns[position - 1].role in ("assistant", "tool")
    ids = [p.id for m in turns for p in m.parts if isinstance(p, ToolCall)]
    assert len(ids) == len(set(ids))


@given(messages=conversations(), order=st.randoms(use_true_random=False))
def test_anthropic_turns_alternate_and_begin_with_the_user(
    messages: tuple[Message, ...], order: Any
) -> None:
    shuffled = list(messages)
    order.shuffle(shuffled)
    request = ChatRequest(model="m", messages=tuple(shuffled))
    wire = json.loads(CODECS[Dialect.ANTHROPIC].encode_request(request, TargetFacts(model="up")))
    roles = [turn["role"] for turn in wire["messages"]]
    assert roles == [("user", "assistant")[number % 2] for number in range(len(roles))]
    for turn in wire["messages"]:
        kinds = [block["type"] for block in turn["content"]]
        assert kinds
        assert kinds == sorted(kinds, key=lambda kind: kind == "tool_use")
        if turn["role"] == "user":
            assert kinds == sorted(kinds, key=lambda kind: kind != "tool_result")


fields = st.sampled_from(
    [
        "content",
        "role",
        "tools",
        "stop",
        "thinking",
        "system",
        "tool_calls",
        "type",
        "source",
        "parts",
        "text",
        "functionCall",
        "functionResponse",
        "inlineData",
        "name",
        "args",
        "generationConfig",
        "options",
        "images",
        "output",
        "call_id",
        "summary",
        "function",
    ]
)
messy = st.recursive(
    json_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=4),
    max_leaves=10,
)


@every_dialect
@settings(max_examples=300)
@given(body=st.dictionaries(fields, messy, max_size=4), messages=st.lists(messy, max_size=3))
def test_any_json_is_a_request_or_a_typed_refusal(
    codec: Codec, body: dict[str, Any], messages: list[Any]
) -> None:
    roles = {"role": "user"}
    turns = [{**roles, **turn} if isinstance(turn, dict) else turn for turn in messages]
    turns_at = TURNS.get(codec.dialect, "messages")
    wire = json.dumps({**body, "model": "m", turns_at: turns}).encode()
    # A refusal ends the attempt; anything else that is raised fails the test.
    with suppress(InvalidRequest):
        request = codec.decode_request(wire)
        patched = json.loads(codec.patch_request(wire, TargetFacts(model="up")))
        assert patched["model"].removeprefix("models/") == "up"
        for target in CODECS.values():
            with suppress(InvalidRequest):
                sent = json.loads(target.encode_request(request, TargetFacts(model="up")))
                assert sent.get("model", "up") == "up"


@every_dialect
@settings(max_examples=300)
@given(value=messy, raw=st.binary(max_size=40), name=words)
def test_any_reply_is_read_or_malformed(codec: Codec, value: Any, raw: bytes, name: str) -> None:
    for body in (json.dumps(value).encode(), raw):
        with suppress(MalformedReply):
            collect(codec.decode_reply(body))
        with suppress(MalformedReply):
            codec.decoder().feed(ServerEvent(name, body.decode(errors="replace")))


@every_dialect
@given(status=st.integers(400, 599), value=messy, raw=st.binary(max_size=60))
def test_any_error_body_becomes_a_message_a_client_can_parse(
    codec: Codec, status: int, value: Any, raw: bytes
) -> None:
    for body in (json.dumps(value).encode(), raw):
        facts = codec.decode_error(status, body)
        assert facts.status == status
        assert facts.message
        assert "\n" not in facts.message
        shown = json.loads(codec.encode_error(facts))["error"]
        if codec.dialect is Dialect.OLLAMA:
            assert shown == facts.message
            continue
        assert shown["message"] == facts.message
        assert isinstance(shown["status" if codec.dialect is Dialect.GEMINI else "type"], str)


@every_dialect
@given(message=st.text(max_size=50), status=st.integers(400, 599))
def test_a_failed_stream_is_read_as_failed(codec: Codec, message: str, status: int) -> None:
    encoder = codec.encoder(asking(include_usage=True))
    begun = encoder.feed(Started("x", "m", 1)) + encoder.feed(TextDelta("Hel"))
    stream = begun + encoder.fail(ErrorFacts(status=status, message=message)) + encoder.close()
    decoder, splitter = codec.decoder(), codec.splitter()
    frames = [*splitter.feed(stream), *splitter.close()]
    reply = collect(event for frame in frames for event in decoder.feed(frame))
    assert reply.text == "Hel"
    assert reply.finish is None
    assert reply.failure is not None
    assert reply.failure.message


def test_every_dialect_has_a_codec() -> None:
    spoken = {dialect: codec.dialect for dialect, codec in CODECS.items()}
    assert spoken == {one: one for one in Dialect if one is not COMPLETIONS.dialect}
    assert msgspec.json.encode(list(CODECS))


def test_signatures_return_to_their_own_provider_only() -> None:
    events: list[Event] = [
        Started("m", "claude"),
        ReasoningDelta("hm"),
        ReasoningSigned("c2ln", Dialect.ANTHROPIC),
        TextDelta("Yes"),
        Finished("stop"),
    ]
    signed = Reasoning("hm", "c2ln", origin=Dialect.ANTHROPIC)
    own, chat = CODECS[Dialect.ANTHROPIC], CODECS[Dialect.OPENAI_CHAT]
    assert collect(read(own, streamed(own, events))).parts[0] == signed
    shown = json.loads(chat.encode_reply(collect(events), asking()))["choices"][0]["message"]
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}, shown]}
    back = chat.decode_request(json.dumps(asked).encode())
    assert back.messages[1].parts[0] == signed
    assert b"c2ln" in own.encode_request(back, TargetFacts(model="up"))
    assert b"c2ln" not in chat.encode_request(back, TargetFacts(model="up"))
