"""Streams passed on as they came: what is read in passing, what is hidden, what it costs."""

import json
from typing import Any

import pytest

from omniroute.chat import Dialect, Event, Failed, Usage
from omniroute.dialects import CODECS
from omniroute.dialects.codec import Codec, MalformedReply, ServerEvent, StreamDecoder
from omniroute.dialects.sse import MAX_EVENT_BYTES

CHAT, ANTHROPIC = CODECS[Dialect.OPENAI_CHAT], CODECS[Dialect.ANTHROPIC]


def chunk(text: str | None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'x', 'choices': [choice], 'usage': None})}\n\n".encode()


USAGE_FRAME = b'data: {"id":"x","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
# Words that look like signs, inside the text of an answer.
LURE = chunk('say "usage":{} "error":{"a"} "finish_reason":"error" data: [DONE]\ndata: [DONE]')
STREAM = chunk("") + chunk("Hi") + LURE + chunk(None, "stop") + USAGE_FRAME + DONE


def fed(stream: bytes, size: int, *, codec: Codec = CHAT, hide: bool = False) -> tuple[bytes, Any]:
    relay = codec.relay(hide_usage=hide)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    return b"".join(map(relay.feed, pieces)) + relay.close(), relay


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_usage_frame_nobody_asked_for_is_hidden(size: int, line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    shown, relay = fed(stream, size, hide=True)
    assert shown == stream.replace(USAGE_FRAME.replace(b"\n", line_end), b"")
    assert (relay.usage, relay.content, relay.finished, relay.done, relay.failure) == (
        Usage(input_tokens=5, output_tokens=2),
        True,
        True,
        True,
        None,
    )


def test_usage_beside_content_is_never_hidden() -> None:
    stream = chunk("Hi").replace(b'"usage": null', b'"usage": {"prompt_tokens": 5}') + DONE
    assert fed(stream, 9, hide=True)[0] == stream


def test_what_is_known_is_true_about_what_was_passed_on() -> None:
    relay = CHAT.relay(hide_usage=False)
    states = []
    for piece in (chunk(""), chunk("Hi"), chunk(None, "stop"), USAGE_FRAME, DONE[:-1], DONE[-1:]):
        passed = relay.feed(piece)
        usage = relay.usage is not None
        states.append((bool(passed), relay.content, relay.finished, usage, relay.done))
    assert states == [
        (True, False, False, False, False),
        (True, True, False, False, False),
        (True, True, True, False, False),
        (True, True, True, True, False),
        (False, True, True, True, False),
        (True, True, True, True, True),
    ]


FAILURES = {
    "an error chunk": (
        CHAT,
        b'data: {"error": {"message": "Boom", "code": 503}}\n\n',
        Failed("Boom", 503),
    ),
    "an error as text": (CHAT, b'data: {"error":"Boom"}\n\n', Failed("Boom", 502)),
    "an error as finish": (CHAT, chunk(None, "error"), Failed("The upstream broke off its reply")),
    "anthropic": (
        ANTHROPIC,
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"Boom"}}\n\n',
        Failed("Boom", 500, "api_error"),
    ),
}
BEGINNINGS = {
    Dialect.OPENAI_CHAT: chunk("Hi"),
    Dialect.ANTHROPIC: b'event: content_block_delta\ndata: {"type":"content_block_delta",'
    b'"index":0,"delta":{"type":"text_delta","text":"Hi"}}\n\n',
}


@pytest.mark.parametrize("content", [False, True], ids=["at once", "after content"])
@pytest.mark.parametrize(("codec", "frame", "failure"), FAILURES.values(), ids=FAILURES)
def test_failures_are_seen(codec: Codec, frame: bytes, failure: Failed, content: bool) -> None:
    stream = BEGINNINGS[codec.dialect] + frame if content else frame
    passed, relay = fed(stream, 11, codec=codec)
    assert (passed, relay.failure, relay.content, relay.done) == (stream, failure, content, False)


def test_a_stream_that_begins_with_nonsense_is_malformed() -> None:
    with pytest.raises(MalformedReply):
        CHAT.relay(hide_usage=False).feed(b"data: {oops\n\n")


def test_what_came_before_nonsense_is_passed_on() -> None:
    relay = CHAT.relay(hide_usage=False)
    start = chunk("")
    assert relay.feed(start + b"data: {oops\n\n") == start
    with pytest.raises(MalformedReply):
        relay.feed(chunk("more"))
    with pytest.raises(MalformedReply):
        relay.close()


ENDINGS = {
    "a marker without blank line": (
        chunk("a") + b"data: [DONE]",
        True,
        chunk("a") + b"data: [DONE]",
    ),
    "a frame without blank line": (chunk("a") + chunk("b")[:-2], False, chunk("a") + chunk("b")),
    "a frame cut off": (chunk("a") + chunk("b")[:-9], False, chunk("a")),
    "an odd line end": (chunk("a") + b"\n", False, chunk("a") + b"\n"),
    "a hidden frame without blank line": (chunk("a") + USAGE_FRAME[:-1], False, chunk("a")),
}


@pytest.mark.parametrize(("stream", "done", "passed"), ENDINGS.values(), ids=ENDINGS)
def test_the_end_of_a_stream(stream: bytes, done: bool, passed: bytes) -> None:
    shown, relay = fed(stream, 6, hide=True)
    assert (shown, relay.done, relay.failure) == (passed, done, None)


def test_a_frame_without_end_is_refused() -> None:
    relay = CHAT.relay(hide_usage=False)
    piece = b"data: " + b"x" * (4 << 20)
    with pytest.raises(MalformedReply, match="larger"):
        _ = [relay.feed(piece) for _ in range(MAX_EVENT_BYTES // len(piece) + 1)]


class Counting:
    """A decoder that counts the frames it is shown."""

    def __init__(self, decoder: StreamDecoder) -> None:
        self.inner, self.frames = decoder, 0

    @property
    def finished(self) -> bool:
        return self.inner.finished

    def feed(self, event: ServerEvent) -> list[Event]:
        self.frames += 1
        return self.inner.feed(event)


@pytest.mark.parametrize("codec", [CHAT, ANTHROPIC])
def test_relaying_costs_searches_not_decoding(codec: Codec) -> None:
    relay: Any = codec.relay(hide_usage=True)
    relay._decoder = counting = Counting(codec.decoder())
    frames = BEGINNINGS[codec.dialect] * 8
    relay.feed(BEGINNINGS[codec.dialect])
    for _ in range(100):
        assert relay.feed(frames) == frames
    assert counting.frames == 1
