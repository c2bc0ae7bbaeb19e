"""A stream of JSON objects as one JSON array, for Gemini clients that do not ask for events."""

from omniroute.dialects.sse import EventSplitter

ARRAY_TYPE = "application/json; charset=utf-8"


class ArrayFrames:
    """Turns server-sent events into the elements of an array, as they come."""

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._open = False

    def feed(self, output: bytes) -> bytes:
        """The elements `output` completes."""
        return b"".join(self._element(event.data) for event in self._splitter.feed(output))

    def close(self) -> bytes:
        """The end of the array."""
        rest = b"".join(self._element(event.data) for event in self._splitter.close())
        return (rest or b"" if self._open else rest or b"[") + b"]"

    def _element(self, data: str) -> bytes:
        lead = b",\n" if self._open else b"["
        self._open = True
        return lead + data.encode()
