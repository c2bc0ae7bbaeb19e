"""Frames survive every way a network can cut them and every line end services send."""

import pytest

from omniroute.dialects.codec import MalformedReply, ServerEvent
from omniroute.dialects.sse import EventSplitter, frame, looks_like_events, split

STREAMS = {
    "two events": (b"data: a\n\ndata: b\n\n", [("", "a"), ("", "b")]),
    "names": (b"event: ping\ndata: {}\n\n", [("ping", "{}")]),
    "no space after the colon": (b"event:x\ndata:1\n\n", [("x", "1")]),
    "only one space is dropped": (b"data:  a\n\n", [("", " a")]),
    "several data lines": (b"data: a\ndata:\ndata: b\n\n", [("", "a\n\nb")]),
    "comments and unknown fields": (b": hi\nid: 7\nretry: 1\ndata: a\n\n: bye\n\n", [("", "a")]),
    "missing final blank line": (b"data: a\n\ndata: b\n", [("", "a"), ("", "b")]),
    "missing final line end": (b"data: a\n\ndata: b", [("", "a"), ("", "b")]),
    "an event line ends the event before": (
        b"event: a\ndata: 1\nevent: b\ndata: 2\n\n",
        [("a", "1"), ("b", "2")],
    ),
    "a name without data is no event": (b"event: a\n\ndata: 1\n\n", [("", "1")]),
    "multi-byte characters": ("data: äß€😀\n\n".encode(), [("", "äß€😀")]),
    "line separators of Unicode are text": (
        "data: a\u2028b\x0bc\u0085d\n\n".encode(),
        [("", "a\u2028b\x0bc\u0085d")],
    ),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [("", "a")]),
    "nothing": (b"", []),
    "blank lines only": (b"\n\n\n", []),
}


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize(("stream", "events"), STREAMS.values(), ids=STREAMS)
def test_events_are_the_same_wherever_the_stream_is_cut(
    stream: bytes, events: list[tuple[str, str]], line_end: bytes
) -> None:
    stream = stream.replace(b"\n", line_end)
    expected = [ServerEvent(name, data) for name, data in events]
    assert split(stream) == expected
    for cut in range(len(stream) + 1):
        splitter = EventSplitter()
        found = splitter.feed(stream[:cut]) + splitter.feed(stream[cut:]) + splitter.close()
        assert found == expected, cut
    splitter = EventSplitter()
    found = [e for byte in stream for e in splitter.feed(bytes([byte]))] + splitter.close()
    assert found == expected


def test_an_event_is_there_as_soon_as_its_blank_line_is() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\r\n\r") == []
    assert splitter.feed(b"\ndata: b\n\n") == [ServerEvent("", "a"), ServerEvent("", "b")]


def test_a_lone_carriage_return_ends_a_line_once_anything_follows() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\r\r") == []
    assert splitter.feed(b"d") == [ServerEvent("", "a")]


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 40, b"data: xxxxxxxxx\n"])
def test_an_event_without_end_is_refused(chunk: bytes) -> None:
    splitter = EventSplitter(max_event_bytes=100)
    with pytest.raises(MalformedReply, match="100 bytes"):
        _ = [splitter.feed(chunk) for _ in range(20)]


def test_many_events_of_legal_size_pass_the_limit_together() -> None:
    splitter = EventSplitter(max_event_bytes=100)
    found = [event for _ in range(50) for event in splitter.feed(b"data: " + b"x" * 40 + b"\n\n")]
    assert len(found) == 50


def test_frames_are_read_back() -> None:
    written = frame(b'{"a":1}', "message") + frame(b"[DONE]")
    assert split(written) == [ServerEvent("message", '{"a":1}'), ServerEvent("", "[DONE]")]


def test_a_stream_in_place_of_a_json_body_is_noticed() -> None:
    assert looks_like_events(b"\n: hi\n\ndata: {}\n\n")
    assert not looks_like_events(b' {"data": 1}')
