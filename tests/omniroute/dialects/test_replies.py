"""Recorded upstream replies: what they say, however the network cuts them."""

import json
from typing import Any

import pytest

from omniroute.chat import (
    Dialect,
    Event,
    Extras,
    Failed,
    Finished,
    Image,
    ImageProduced,
    OpaqueBlock,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from omniroute.dialects import CODECS
from omniroute.dialects.codec import Codec, MalformedReply, ServerEvent
from omniroute.dialects.reply_ids import call_id
from omniroute.dialects.sse import EventSplitter

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}
CHAT, ANTHROPIC = CODECS[Dialect.OPENAI_CHAT], CODECS[Dialect.ANTHROPIC]
BEGUN = Started("c1", "m", 7)


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "c1", "model": "m", "created": 7, "choices": choices}
    return b"data: " + json.dumps({**head, **more}, ensure_ascii=False).encode() + b"\n\n"


def calls(*fragments: dict[str, Any]) -> bytes:
    return chunk({"tool_calls": list(fragments)})


def part(
    index: int | None, call_id: str | None = None, name: str | None = None, text: Any = None
) -> Any:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": text}}


DONE = b"data: [DONE]\n\n"

CHAT_STREAMS: dict[str, tuple[bytes, list[Event]]] = {
    "text": (
        chunk({"role": "assistant", "content": ""})
        + chunk({"content": "Grüße 😀"})
        + chunk({}, "stop")
        + chunk(usage={"prompt_tokens": 9, "completion_tokens": 4})
        + DONE,
        [
            BEGUN,
            TextDelta("Grüße 😀"),
            Finished("stop"),
            UsageReported(Usage(input_tokens=9, output_tokens=4)),
        ],
    ),
    "reasoning under its aliases, never twice": (
        chunk({"reasoning_content": "a"})
        + chunk({"reasoning": "b", "reasoning_details": [{"type": "reasoning.text", "text": "b"}]})
        + chunk({"reasoning_details": [{"text": "c"}, {"data": "x"}]})
        + chunk({"reasoning_text": "d", "content": "T"}),
        [
            BEGUN,
            ReasoningDelta("a"),
            ReasoningDelta("b"),
            ReasoningDelta("c"),
            ReasoningDelta("d"),
            TextDelta("T"),
        ],
    ),
    "content as parts": (
        chunk(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "T"},
                ]
            }
        ),
        [BEGUN, ReasoningDelta("hm"), TextDelta("T")],
    ),
    "interleaved calls": (
        calls(part(0, "a", "f", ""), part(1, "b", "g"))
        + calls(part(0, text='{"x'), part(1, text="{}"))
        + calls(part(0, text='":1}'))
        + chunk({}, "tool_calls"),
        [
            BEGUN,
            ToolCallStarted(0, "a", "f"),
            ToolCallStarted(1, "b", "g"),
            ToolArgumentsDelta(0, '{"x'),
            ToolArgumentsDelta(1, "{}"),
            ToolArgumentsDelta(0, '":1}'),
            Finished("tool_calls"),
        ],
    ),
    "a new id at the same index is a new call": (
        calls(part(0, "a", "f", "{}")) + calls(part(0, "b", "g", "{}")) + chunk({}, "stop"),
        [
            BEGUN,
            ToolCallStarted(0, "a", "f"),
            ToolArgumentsDelta(0, "{}"),
            ToolCallStarted(1, "b", "g"),
            ToolArgumentsDelta(1, "{}"),
            Finished("tool_calls"),
        ],
    ),
    "the id repeated, the index missing, arguments as an object": (
        calls(part(None, "a", "f")) + calls(part(None, "a", "f", {"x": 1})),
        [BEGUN, ToolCallStarted(0, "a", "f"), ToolArgumentsDelta(0, '{"x":1}')],
    ),
    "a name that comes late, an id that never comes": (
        calls(part(0, text='{"x')) + calls(part(0, name="f", text='":1}')),
        [BEGUN, ToolCallStarted(0, call_id("c1", 0, "f"), "f"), ToolArgumentsDelta(0, '{"x":1}')],
    ),
    "a call without a name is none": (
        calls(part(0, "a", "", "{}")) + chunk({}, "tool_calls"),
        [BEGUN, Finished("stop")],
    ),
    "the legacy call": (
        chunk({"function_call": {"name": "f", "arguments": "{"}})
        + chunk({"function_call": {"arguments": "}"}})
        + chunk({}, "function_call"),
        [
            BEGUN,
            ToolCallStarted(0, call_id("c1", 0, "f"), "f"),
            ToolArgumentsDelta(0, "{"),
            ToolArgumentsDelta(0, "}"),
            Finished("tool_calls"),
        ],
    ),
    "cut off by length while calling": (
        calls(part(0, "a", "f", "{")) + chunk({}, "length"),
        [BEGUN, ToolCallStarted(0, "a", "f"), ToolArgumentsDelta(0, "{"), Finished("length")],
    ),
    "an unknown reason, twice": (
        chunk({}, "eos") + chunk({}, "length"),
        [BEGUN, Finished("stop")],
    ),
    "a refusal and pictures": (
        chunk({"refusal": "No"}) + chunk({"images": [PICTURE]}),
        [
            BEGUN,
            RefusalDelta("No"),
            ImageProduced(Image(data="QQ==", media_type="image/png")),
        ],
    ),
    "an error chunk": (
        chunk({"content": "T"}) + b'data: {"error":{"message":"Boom","type":"t","code":503}}\n\n',
        [BEGUN, TextDelta("T"), Failed("Boom", 503, "t")],
    ),
    "an error as finish reason": (
        chunk({}, "error"),
        [BEGUN, Failed("The upstream broke off its reply")],
    ),
    "only the first choice": (
        chunk(
            None,
            choices=[{"index": 1, "delta": {"content": "B"}}, {"delta": {"content": "A"}}],
        ),
        [BEGUN, TextDelta("A")],
    ),
    "Groq's usage": (
        chunk({}, "stop", x_groq={"usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        [BEGUN, Finished("stop"), UsageReported(Usage(input_tokens=1, output_tokens=2))],
    ),
}


def event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False).encode()
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def block(index: int, opening: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    grown = (event("content_block_delta", index=index, delta=delta) for delta in deltas)
    start = event("content_block_start", index=index, content_block=opening)
    return start + b"".join(grown) + event("content_block_stop", index=index)


def ended(reason: str, sequence: str | None = None, **usage: int) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": sequence}
    return event("message_delta", delta=delta, usage=usage) + event("message_stop")


START = event("message_start", message={"id": "msg_1", "model": "claude", "usage": {}})
MSG = Started("msg_1", "claude")
TEXT = {"type": "text", "text": ""}
TOOL_A = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
TOOL_B = {"type": "tool_use", "id": "b", "name": "g", "input": {"x": 1}}

ANTHROPIC_STREAMS: dict[str, tuple[bytes, list[Event]]] = {
    "text and two calls": (
        START
        + event("ping")
        + block(0, TEXT, {"type": "text_delta", "text": "Größe"})
        + block(
            1,
            TOOL_A,
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"y": 2}'},
        )
        + block(2, TOOL_B)
        + ended("tool_use", output_tokens=5),
        [
            MSG,
            TextDelta("Größe"),
            ToolCallStarted(0, "a", "f"),
            ToolArgumentsDelta(0, '{"y": 2}'),
            ToolCallStarted(1, "b", "g"),
            ToolArgumentsDelta(1, '{"x": 1}'),
            Finished("tool_calls"),
            UsageReported(Usage(output_tokens=5)),
        ],
    ),
    "thinking, signed in two pieces, and redacted": (
        START
        + block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "c2"},
            {"type": "signature_delta", "signature": "ln"},
        )
        + block(1, {"type": "redacted_thinking", "data": "eA=="}),
        [
            MSG,
            ReasoningDelta("hm"),
            ReasoningSigned("c2ln", Dialect.ANTHROPIC),
            ReasoningRedacted("eA==", Dialect.ANTHROPIC),
        ],
    ),
    "blocks of other types stay whole": (
        START
        + block(
            0,
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"q":'},
            {"type": "input_json_delta", "partial_json": '"x"}'},
        ),
        [
            MSG,
            OpaqueBlock(
                Extras(
                    Dialect.ANTHROPIC,
                    {
                        "type": "server_tool_use",
                        "id": "s",
                        "name": "web_search",
                        "input": {"q": "x"},
                    },
                )
            ),
        ],
    ),
    "usage from both ends, zeros do not count": (
        event(
            "message_start",
            message={
                "id": "msg_1",
                "model": "claude",
                "usage": {
                    "input_tokens": 3,
                    "output_tokens": 1,
                    "cache_read_input_tokens": 20,
                    "cache_creation_input_tokens": 30,
                    "cache_creation": {
                        "ephemeral_5m_input_tokens": 10,
                        "ephemeral_1h_input_tokens": 20,
                    },
                },
            },
        )
        + ended("end_turn", input_tokens=0, output_tokens=8),
        [
            MSG,
            UsageReported(Usage(3, 20, 10, 20, 1)),
            Finished("stop"),
            UsageReported(Usage(3, 20, 10, 20, 8)),
        ],
    ),
    "thinking counted apart": (
        START
        + event(
            "message_delta",
            usage={"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
        ),
        [MSG, UsageReported(Usage(output_tokens=5, reasoning_tokens=4))],
    ),
    "a stop sequence": (START + ended("stop_sequence", "END"), [MSG, Finished("stop", "END")]),
    "the end without a reason": (START + event("message_stop"), [MSG]),
    "the type only as event name": (b'event: message_start\ndata: {"message":{}}\n\n', [Started()]),
    "an error": (
        START + event("error", error={"type": "overloaded_error", "message": "Busy"}),
        [MSG, Failed("Busy", 529, "overloaded_error")],
    ),
}

STREAMS = {
    **{f"chat: {name}": (CHAT, *case) for name, case in CHAT_STREAMS.items()},
    **{f"anthropic: {name}": (ANTHROPIC, *case) for name, case in ANTHROPIC_STREAMS.items()},
}


def events_of(codec: Codec, *chunks: bytes) -> list[Event]:
    splitter, decoder = EventSplitter(), codec.decoder()
    frames = [frame for chunk in chunks for frame in splitter.feed(chunk)] + splitter.close()
    return [event for frame in frames for event in decoder.feed(frame)]


@pytest.mark.parametrize(("codec", "stream", "events"), STREAMS.values(), ids=STREAMS)
def test_a_stream_cut_at_every_byte_says_the_same(
    codec: Codec, stream: bytes, events: list[Event]
) -> None:
    for cut in range(len(stream) + 1):
        assert events_of(codec, stream[:cut], stream[cut:]) == events, cut


@pytest.mark.parametrize(("codec", "stream", "events"), STREAMS.values(), ids=STREAMS)
def test_a_stream_with_strange_framing_says_the_same(
    codec: Codec, stream: bytes, events: list[Event]
) -> None:
    assert events_of(codec, stream.replace(b"\n", b"\r\n")) == events
    assert events_of(codec, b": hello\n\n" + stream.replace(b"\n\n", b"\n: ping\n\n")) == events
    assert events_of(codec, stream.rstrip(b"\n")) == events
    # A JSON value may go on in the next data line wherever it may hold a space.
    assert events_of(codec, stream.replace(b"data: {", b"data: {\ndata: ")) == events


@pytest.mark.parametrize("reason", ["end_turn", "pause_turn", "novel"])
def test_natural_ends(reason: str) -> None:
    assert Finished("stop") in events_of(ANTHROPIC, START + ended(reason))


STOP_REASONS = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "tool_use": "stop",  # announced, but no tool was called
}


@pytest.mark.parametrize(("reason", "finish"), STOP_REASONS.items())
def test_other_ends(reason: str, finish: Any) -> None:
    assert Finished(finish) in events_of(ANTHROPIC, START + ended(reason))


USAGES: dict[str, tuple[dict[str, Any], Usage | None]] = {
    "cached and reasoning inside": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_creation_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
        Usage(30, 60, 10, 0, 30, 20),
    ),
    "cache writes under their newer name": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cache_write_tokens": 10},
        },
        Usage(90, 0, 10, 0, 1),
    ),
    "DeepSeek": (
        {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 4},
        Usage(6, 4, output_tokens=1),
    ),
    "Moonshot": (
        {"prompt_tokens": 10, "completion_tokens": 1, "cached_tokens": 4},
        Usage(6, 4, output_tokens=1),
    ),
    "xAI counts reasoning beside": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 22,
            "completion_tokens_details": {"reasoning_tokens": 7},
        },
        Usage(10, output_tokens=5, reasoning_tokens=7),
    ),
    "more cached than read": (
        {
            "prompt_tokens": 3,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 9},
        },
        Usage(0, 3, output_tokens=1),
    ),
    "all zero is not counted": ({"prompt_tokens": 0, "completion_tokens": 0}, None),
}


@pytest.mark.parametrize(("wire", "usage"), USAGES.values(), ids=USAGES)
def test_chat_usage_in_disjoint_buckets(wire: dict[str, Any], usage: Usage | None) -> None:
    found = [e.usage for e in events_of(CHAT, chunk(usage=wire)) if isinstance(e, UsageReported)]
    assert found == ([] if usage is None else [usage])


CHAT_WHOLE = {
    "id": "c1",
    "created": 7,
    "model": "m",
    "choices": [
        {
            "message": {
                "role": "assistant",
                "content": "T",
                "reasoning_content": "hm",
                "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}],
            },
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    "citations": ["https://x.dev"],
}


def test_a_whole_chat_reply() -> None:
    assert CHAT.decode_reply(json.dumps(CHAT_WHOLE).encode()) == [
        BEGUN,
        ReasoningDelta("hm"),
        TextDelta("T"),
        ToolCallStarted(0, "a", "f"),
        ToolArgumentsDelta(0, "{}"),
        Finished("tool_calls"),
        OpaqueBlock(Extras(Dialect.OPENAI_CHAT, {"citations": ["https://x.dev"]})),
        UsageReported(Usage(1, output_tokens=2)),
    ]


def test_a_whole_anthropic_reply() -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {**TEXT, "text": "T"},
        TOOL_A,
    ]
    body = {"id": "msg_1", "model": "claude", "content": content, "stop_reason": "tool_use"}
    assert ANTHROPIC.decode_reply(json.dumps(body).encode()) == [
        MSG,
        ReasoningDelta("hm"),
        ReasoningSigned("s", Dialect.ANTHROPIC),
        TextDelta("T"),
        ToolCallStarted(0, "a", "f"),
        ToolArgumentsDelta(0, "{}"),
        Finished("tool_calls"),
    ]


@pytest.mark.parametrize(("codec", "stream", "events"), STREAMS.values(), ids=STREAMS)
def test_a_stream_in_place_of_a_whole_reply_is_read(
    codec: Codec, stream: bytes, events: list[Event]
) -> None:
    assert codec.decode_reply(stream) == events


@pytest.mark.parametrize("codec", [CHAT, ANTHROPIC])
def test_an_error_with_status_200_is_a_failure(codec: Codec) -> None:
    assert codec.decode_reply(b'{"error":{"message":"No"}}') == [Failed("No", 502)]


@pytest.mark.parametrize("codec", [CHAT, ANTHROPIC])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"a":1}', b'{"choices":3,"content":3}'])
def test_what_is_no_reply_is_malformed(codec: Codec, body: bytes) -> None:
    with pytest.raises(MalformedReply):
        codec.decode_reply(body)


@pytest.mark.parametrize("codec", [CHAT, ANTHROPIC])
def test_a_frame_that_is_no_json_is_malformed(codec: Codec) -> None:
    with pytest.raises(MalformedReply):
        codec.decoder().feed(ServerEvent("", "{oops"))
