"""Neutral replies on their way to a client, frame by frame."""

import json
from typing import Any

import pytest
from tests.support.builders import asking

from omniroute.chat import (
    ChatReply,
    Dialect,
    Event,
    Extras,
    Failed,
    Finished,
    Image,
    ImageProduced,
    OpaqueBlock,
    Reasoning,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    Started,
    Text,
    TextDelta,
    ToolArgumentsDelta,
    ToolCall,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from omniroute.dialects import CODECS
from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.sse import split

CHAT, ANTHROPIC = CODECS[Dialect.OPENAI_CHAT], CODECS[Dialect.ANTHROPIC]
BEGUN = Started("msg_1", "m", 7)
USAGE = UsageReported(Usage(3, 20, 10, 5, 6, 2))


def deltas(events: list[Event], *, include_usage: bool = False) -> list[Any]:
    """Delta, finish and usage of every chunk; the frame all chunks share is checked here."""
    encoder = CHAT.encoder(asking(include_usage=include_usage))
    stream = b"".join(map(encoder.feed, events)) + encoder.close() + encoder.close()
    *frames, done = split(stream)
    assert done.data == "[DONE]"
    found = []
    for frame in frames:
        chunk = json.loads(frame.data)
        head = (chunk.pop("id"), chunk.pop("object"), chunk.pop("created"), chunk.pop("model"))
        assert head == ("chatcmpl-1", "chat.completion.chunk", 7, "m")
        if chunk["choices"]:
            (choice,) = chunk.pop("choices")
            assert choice.pop("index") == 0
            found.append({**choice, **chunk})
        else:
            found.append(chunk)
    return found


def delta(fields: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"delta": fields, "finish_reason": finish, **more}


ROLE = delta({"role": "assistant", "content": ""})
SIGNED = {
    "type": "reasoning.signature",
    "signature": "omniroute.anthropic.s",
    "length": 2,
    "index": 0,
}
HIDDEN = {"type": "reasoning.encrypted", "data": "omniroute.anthropic.r", "index": 1}
CITED = Extras(Dialect.OPENAI_CHAT, {"citations": ["c"]})
FOREIGN = Extras(Dialect.ANTHROPIC, {"type": "server_tool_use"})


def tool(index: int, **fields: Any) -> dict[str, Any]:
    return delta({"tool_calls": [{"index": index, **fields}]})


CHAT_STREAMS: dict[str, tuple[list[Event], list[Any]]] = {
    "text, usage not asked for": (
        [BEGUN, TextDelta('"é"'), Finished("stop"), USAGE],
        [ROLE, delta({"content": '"é"'}), delta({}, "stop")],
    ),
    "everything a client can see": (
        [
            BEGUN,
            ReasoningDelta("hm"),
            ReasoningSigned("s", Dialect.ANTHROPIC),
            ReasoningRedacted("r", Dialect.ANTHROPIC),
            OpaqueBlock(FOREIGN),
            ImageProduced(Image(url="https://x.dev/y.png")),
            OpaqueBlock(CITED),
            ReasoningSigned("g", Dialect.GEMINI),
            ToolCallStarted(0, "a", "f"),
            ToolArgumentsDelta(0, "{}"),
            Finished("tool_calls"),
        ],
        [
            ROLE,
            delta({"reasoning_content": "hm"}),
            delta({"reasoning_details": [SIGNED]}),
            delta({"reasoning_details": [HIDDEN]}),
            delta({"images": [{"type": "image_url", "image_url": {"url": "https://x.dev/y.png"}}]}),
            delta({}, citations=["c"]),
            tool(
                0,
                id="a",
                type="function",
                function={"name": "f", "arguments": ""},
                extra_content={"google": {"thought_signature": "g"}},
            ),
            tool(0, function={"arguments": "{}"}),
            delta({}, "tool_calls"),
        ],
    ),
    "a call without arguments can be parsed": (
        [BEGUN, ToolCallStarted(0, "a", "f"), Finished("tool_calls")],
        [
            ROLE,
            tool(0, id="a", type="function", function={"name": "f", "arguments": ""}),
            tool(0, function={"arguments": "{}"}),
            delta({}, "tool_calls"),
        ],
    ),
    "an upstream that ended without a reason": (
        [BEGUN, TextDelta("x")],
        [ROLE, delta({"content": "x"}), delta({}, "stop")],
    ),
}


@pytest.mark.parametrize(("events", "chunks"), CHAT_STREAMS.values(), ids=CHAT_STREAMS)
def test_chat_streams(events: list[Event], chunks: list[Any]) -> None:
    assert deltas(events) == chunks


def test_usage_comes_last_and_is_null_before() -> None:
    usage = {
        "prompt_tokens": 38,
        "completion_tokens": 8,
        "total_tokens": 46,
        "prompt_tokens_details": {"cached_tokens": 20, "cache_creation_tokens": 15},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    assert deltas([BEGUN, USAGE, TextDelta("x"), Finished("stop")], include_usage=True) == [
        {**ROLE, "usage": None},
        delta({"content": "x"}, usage=None),
        delta({}, "stop", usage=None),
        {"choices": [], "usage": usage},
    ]


def test_usage_nobody_counted_is_not_invented() -> None:
    found = deltas([BEGUN, Finished("stop")], include_usage=True)
    assert found == [{**ROLE, "usage": None}, delta({}, "stop", usage=None)]


def blocks(events: list[Event]) -> list[Any]:
    """The frames of an Anthropic stream in short form."""
    encoder = ANTHROPIC.encoder(asking(include_usage=True))
    stream = b"".join(map(encoder.feed, events)) + encoder.close() + encoder.close()
    found: list[Any] = []
    for frame in split(stream):
        data = json.loads(frame.data)
        assert data.pop("type") == frame.name
        match frame.name:
            case "content_block_start":
                found.append((data["index"], data["content_block"]))
            case "content_block_delta":
                kind = data["delta"].pop("type")
                (value,) = data["delta"].values()
                found.append((data["index"], kind, value))
            case "content_block_stop":
                found.append((data["index"], "stop"))
            case "message_delta":
                found.append(data["delta"]["stop_reason"])
            case "error":
                found.append(data["error"])
    return found


TEXT = {"type": "text", "text": ""}
THINKING = {"type": "thinking", "thinking": "", "signature": ""}


def use(call_id: str, name: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {}}


A, B = ToolCallStarted(0, "a", "f"), ToolCallStarted(1, "b", "g")

ANTHROPIC_STREAMS: dict[str, tuple[list[Event], list[Any]]] = {
    "text, then interleaved calls": (
        [
            BEGUN,
            TextDelta("x"),
            A,
            ToolArgumentsDelta(0, '{"k":'),
            B,
            ToolArgumentsDelta(1, '{"l":"[]'),
            ToolArgumentsDelta(0, '""}'),
            ToolArgumentsDelta(1, '"}'),
            Finished("tool_calls"),
        ],
        [
            (0, TEXT),
            (0, "text_delta", "x"),
            (0, "stop"),
            (1, use("a", "f")),
            (1, "input_json_delta", '{"k":'),
            (1, "input_json_delta", '""}'),
            (1, "stop"),
            (2, use("b", "g")),
            (2, "input_json_delta", '{"l":"[]'),
            (2, "input_json_delta", '"}'),
            (2, "stop"),
            "tool_use",
        ],
    ),
    "reasoning, text, reasoning": (
        [
            BEGUN,
            ReasoningDelta("a"),
            ReasoningDelta("b"),
            TextDelta("c"),
            ReasoningDelta("d"),
            Finished("stop"),
        ],
        [
            (0, THINKING),
            (0, "thinking_delta", "a"),
            (0, "thinking_delta", "b"),
            (0, "stop"),
            (1, TEXT),
            (1, "text_delta", "c"),
            (1, "stop"),
            (2, THINKING),
            (2, "thinking_delta", "d"),
            (2, "stop"),
            "end_turn",
        ],
    ),
    "a signature closes its block": (
        [BEGUN, ReasoningDelta("a"), ReasoningSigned("s"), ReasoningDelta("b"), Finished("length")],
        [
            (0, THINKING),
            (0, "thinking_delta", "a"),
            (0, "signature_delta", "s"),
            (0, "stop"),
            (1, THINKING),
            (1, "thinking_delta", "b"),
            (1, "stop"),
            "max_tokens",
        ],
    ),
    "redacted and foreign parts": (
        [
            BEGUN,
            ReasoningRedacted("r"),
            OpaqueBlock(FOREIGN),
            ImageProduced(Image(data="QQ==")),
            Finished("stop"),
        ],
        [
            (0, {"type": "redacted_thinking", "data": "r"}),
            (0, "stop"),
            (1, {"type": "server_tool_use"}),
            (1, "stop"),
            "end_turn",
        ],
    ),
    "an empty reply": (
        [BEGUN, Finished("content_filter")],
        [(0, TEXT), (0, "stop"), "refusal"],
    ),
    "a stop sequence": (
        [BEGUN, Finished("stop", "END")],
        [(0, TEXT), (0, "stop"), "stop_sequence"],
    ),
    "a failure is the end": (
        [BEGUN, TextDelta("x"), Failed("Busy", 429, "rate_limit_error")],
        [(0, TEXT), (0, "text_delta", "x"), {"type": "rate_limit_error", "message": "Busy"}],
    ),
}


@pytest.mark.parametrize(("events", "frames"), ANTHROPIC_STREAMS.values(), ids=ANTHROPIC_STREAMS)
def test_anthropic_streams(events: list[Event], frames: list[Any]) -> None:
    assert blocks(events) == frames


def test_calls_one_after_the_other_are_written_as_they_come() -> None:
    encoder = ANTHROPIC.encoder(asking(include_usage=True))
    for event in (BEGUN, A, ToolArgumentsDelta(0, '{"x":1}')):
        encoder.feed(event)
    begun = split(encoder.feed(B))
    assert [frame.name for frame in begun] == ["content_block_stop", "content_block_start"]
    assert b"partial_json" in encoder.feed(ToolArgumentsDelta(1, "{"))


def test_a_signed_block_ends_at_once() -> None:
    encoder = ANTHROPIC.encoder(asking(include_usage=True))
    encoder.feed(ReasoningDelta("a"))
    signed = split(encoder.feed(ReasoningSigned("s")))
    assert [frame.name for frame in signed] == ["content_block_delta", "content_block_stop"]


def test_anthropic_usage_frames() -> None:
    encoder = ANTHROPIC.encoder(asking(include_usage=False))
    assert encoder.feed(BEGUN) + encoder.feed(UsageReported(Usage(3, 20))) == b""
    start = split(encoder.feed(TextDelta("x")))[0]
    counts = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 20}
    assert json.loads(start.data)["message"] == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 0, **counts},
    }
    # Usage that follows the finish reason still arrives in time.
    encoder.feed(Finished("stop"))
    assert encoder.feed(USAGE) == b""
    ending = split(encoder.close())
    assert [frame.name for frame in ending] == ["message_delta", "message_stop"]
    assert json.loads(ending[0].data)["usage"] == {
        "input_tokens": 3,
        "output_tokens": 8,
        "cache_creation_input_tokens": 15,
        "cache_read_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 5},
        "output_tokens_details": {"thinking_tokens": 2},
    }


REPLY = ChatReply(
    id="resp_9",
    model="m",
    created_s=7,
    parts=(Reasoning("hm"), Text("T"), ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "g", "{no")),
    finish="tool_calls",
    usage=Usage(1, output_tokens=2),
)


def test_a_whole_chat_reply() -> None:
    function = {"name": "f", "arguments": '{"x": 1}'}
    broken = {"name": "g", "arguments": "{no"}
    assert json.loads(CHAT.encode_reply(REPLY, asking())) == {
        "id": "chatcmpl-9",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "T",
                    "reasoning_content": "hm",
                    "refusal": None,
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": function},
                        {"id": "b", "type": "function", "function": broken},
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


@pytest.mark.parametrize(
    ("parts", "content"), [((), ""), ((ToolCall("a", "f", ""),), None), ((Text("T"),), "T")]
)
def test_content_is_null_only_beside_calls(parts: Any, content: str | None) -> None:
    reply = ChatReply(parts=parts, finish="stop")
    message = json.loads(CHAT.encode_reply(reply, asking()))["choices"][0]["message"]
    assert message["content"] == content


def test_a_whole_anthropic_reply() -> None:
    assert json.loads(ANTHROPIC.encode_reply(REPLY, asking())) == {
        "id": "msg_9",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "T"},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "b", "name": "g", "input": {"_raw": "{no"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


@pytest.mark.parametrize("codec", CODECS.values(), ids=[str(d) for d in CODECS])
def test_nothing_follows_a_failure(codec: Any) -> None:
    encoder = codec.encoder(asking(include_usage=True))
    assert encoder.fail(ErrorFacts(status=502, message="x"))
    assert encoder.fail(ErrorFacts(status=502, message="x")) + encoder.close() == b""


@pytest.mark.parametrize("codec", CODECS.values(), ids=[str(d) for d in CODECS])
def test_a_keepalive_says_nothing(codec: Any) -> None:
    decoder = codec.decoder()
    found = [event for frame in split(codec.keepalive()) for event in decoder.feed(frame)]
    assert [event for event in found if not isinstance(event, Started)] == []
