"""Streams as each service sends them, cut at every byte and written every way SSE allows.

The files in `streams` hold one answer with everything in it: thinking, text outside ASCII, two
calls, usage, and the extra fields services send along.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.builders import asking

from omniroute.chat import Dialect, Event, Reasoning, Text, ToolCall, Usage, collect
from omniroute.dialects import CODECS
from omniroute.dialects.codec import Codec

FILES = sorted((Path(__file__).parent / "streams").glob("*.*"))
STREAMS = {Dialect(file.stem): file.read_bytes() for file in FILES}


def carriage_returns(stream: bytes) -> bytes:
    return stream.replace(b"\n", b"\r\n")


def lone_carriage_returns(stream: bytes) -> bytes:
    return stream.replace(b"\n", b"\r")


def comments(stream: bytes) -> bytes:
    return b": open\n\n" + stream.replace(b"data: ", b": keep-alive\nid: 7\nretry: 9\ndata: ")


def several_data_lines(stream: bytes) -> bytes:
    """Every JSON object over several lines: between members a line break is no change."""
    return re.sub(
        rb'(data: \{"[a-z_]+":)', lambda m: m[1] + b"\ndata: ", stream, flags=re.IGNORECASE
    )


def no_space(stream: bytes) -> bytes:
    return stream.replace(b"data: ", b"data:").replace(b"event: ", b"event:")


def no_last_blank_line(stream: bytes) -> bytes:
    return stream.rstrip(b"\n")


def byte_order_mark(stream: bytes) -> bytes:
    return b"\xef\xbb\xbf" + stream


def blank_lines(stream: bytes) -> bytes:
    return stream.replace(b"\n", b"\n\n")


EVENTS: tuple[Callable[[bytes], bytes], ...] = (
    bytes,
    carriage_returns,
    lone_carriage_returns,
    comments,
    several_data_lines,
    no_space,
    no_last_blank_line,
    byte_order_mark,
)
LINES: tuple[Callable[[bytes], bytes], ...] = (
    bytes,
    carriage_returns,
    no_last_blank_line,
    blank_lines,
)
WRITTEN = [
    (dialect, written)
    for dialect in CODECS
    for written in (LINES if dialect is Dialect.OLLAMA else EVENTS)
]
every_way = pytest.mark.parametrize(
    ("dialect", "written"), WRITTEN, ids=[f"{d} {w.__name__}" for d, w in WRITTEN]
)


def cuts(stream: bytes, written: Callable[[bytes], bytes]) -> range:
    """Where a stream is cut: everywhere as it was recorded; otherwise at every third byte, which
    is inside of every character that has three, and of every line's end sooner or later."""
    return range(0, len(stream) + 1, 1 if written is bytes else 3)


def read(codec: Codec, chunks: list[bytes]) -> list[Event]:
    splitter, decoder = codec.splitter(), codec.decoder()
    frames = [frame for chunk in chunks for frame in splitter.feed(chunk)]
    return [event for frame in [*frames, *splitter.close()] for event in decoder.feed(frame)]


def test_there_is_a_stream_of_every_dialect() -> None:
    assert STREAMS.keys() == CODECS.keys()


@pytest.mark.parametrize("dialect", CODECS)
def test_a_stream_says_everything(dialect: Dialect) -> None:
    told = collect(read(CODECS[dialect], [STREAMS[dialect]]))
    said = "".join(part.text for part in told.parts if isinstance(part, Text))
    thought = "".join(part.text for part in told.parts if isinstance(part, Reasoning))
    calls = [part for part in told.parts if isinstance(part, ToolCall)]
    assert (said, thought) == ("Grüße aus 東京 🗼\n", "Zwölf? 12 ✓")
    assert [call.name for call in calls] == ["look", "count"]
    assert calls[0].arguments == '{"city":"München"}'
    assert told.finish == "tool_calls"
    assert told.usage is not None
    assert told.usage.total_input_tokens in (20, 25)
    assert told.usage != Usage()


@every_way
def test_no_cut_changes_the_events(dialect: Dialect, written: Callable[[bytes], bytes]) -> None:
    codec = CODECS[dialect]
    expected = read(codec, [STREAMS[dialect]])
    stream = written(STREAMS[dialect])
    assert read(codec, [stream]) == expected
    for cut in cuts(stream, written):
        assert read(codec, [stream[:cut], stream[cut:]]) == expected, cut
    assert read(codec, [bytes([byte]) for byte in stream]) == expected


@every_way
def test_no_cut_changes_what_is_relayed(
    dialect: Dialect, written: Callable[[bytes], bytes]
) -> None:
    codec = CODECS[dialect]
    stream = written(STREAMS[dialect])
    usage = collect(read(codec, [stream])).usage
    for cut in cuts(stream, written):
        relay = codec.relay(hide_usage=False)
        passed = relay.feed(stream[:cut]) + relay.feed(stream[cut:]) + relay.close()
        assert passed.rstrip(b"\r\n") == stream.rstrip(b"\r\n"), cut
        assert (relay.content, relay.finished, relay.usage) == (True, True, usage)


@pytest.mark.parametrize("client", CODECS)
@pytest.mark.parametrize("dialect", CODECS)
def test_every_client_gets_the_same_however_it_came(dialect: Dialect, client: Dialect) -> None:
    def translated(chunks: list[bytes]) -> bytes:
        encoder = CODECS[client].encoder(asking(include_usage=True))
        return b"".join(map(encoder.feed, read(CODECS[dialect], chunks))) + encoder.close()

    stream = STREAMS[dialect]
    expected = translated([stream])
    assert collect(read(CODECS[client], [expected])).finish == "tool_calls"
    for size in (1, 2, 3, 5, 7, 64, 1000):
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert translated(chunks) == expected, size
