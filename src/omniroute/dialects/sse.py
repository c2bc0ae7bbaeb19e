"""Server-sent events on the wire: bytes cut anywhere into whole events, and events into bytes."""

from omniroute.dialects.codec import MalformedReply, ServerEvent

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""One event may hold this much. A generated picture in base64 fits; an endless line does not."""

EVENT_STREAM = "text/event-stream; charset=utf-8"

_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Splits a byte stream into events. Lines end with LF, CRLF or CR; comments are dropped.

    An event ends at a blank line and, because some services forget that line, also at the
    `event:` line of the next one.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._tail: list[bytes] = []
        self._size = 0
        self._first = True
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Events that `chunk` completes.

        Raises:
            MalformedReply: an event is larger than the limit.
        """
        tail = self._tail
        # The line end to look for may be the CR that the chunk before stopped at.
        if b"\n" not in chunk and b"\r" not in chunk and not (tail and tail[-1].endswith(b"\r")):
            self._hold(chunk)
            return []
        block = b"".join((*tail, chunk)) if tail else chunk
        # A CR at the very end may be half of a CRLF: it waits for the next chunk.
        end = len(block) - block.endswith(b"\r")
        cut = max(block.rfind(b"\n", 0, end), block.rfind(b"\r", 0, end)) + 1
        tail.clear()
        self._size = sum(map(len, self._data))
        events = self._lines(block[:cut].splitlines()) if cut else []
        self._hold(block[cut:])
        return events

    def close(self) -> list[ServerEvent]:
        """What the end of the stream completes: the last line and event need no end."""
        events = self._lines(b"".join(self._tail).splitlines())
        self._tail.clear()
        self._end(events)
        return events

    def _hold(self, rest: bytes) -> None:
        if rest:
            self._tail.append(rest)
            self._grow(len(rest))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._limit:
            raise MalformedReply(f"an event is larger than {self._limit} bytes")

    def _lines(self, lines: list[bytes]) -> list[ServerEvent]:
        events: list[ServerEvent] = []
        if self._first and lines:
            self._first = False
            lines[0] = lines[0].removeprefix(_BOM)
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
                self._grow(len(line))
            elif not line:
                self._end(events)
            elif line.startswith(b"event:"):
                self._end(events)
                self._name = line[6:].strip().decode(errors="replace")
        return events

    def _end(self, events: list[ServerEvent]) -> None:
        if self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            events.append(ServerEvent(self._name, data.decode(errors="replace")))
            self._data.clear()
        self._name = ""
        self._size = 0


def split(body: bytes) -> list[ServerEvent]:
    """All events of a complete stream."""
    splitter = EventSplitter()
    return splitter.feed(body) + splitter.close()


def looks_like_events(body: bytes) -> bool:
    """Whether a body that should be one JSON value is an event stream instead."""
    return body.lstrip().startswith((b"data:", b"event:", b":"))


def frame(data: bytes, name: str = "") -> bytes:
    """One event as bytes. `data` is one line, as encoded JSON always is."""
    if name:
        return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
    return b"data: %b\n\n" % data
