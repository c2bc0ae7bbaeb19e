"""Newline-delimited JSON on the wire: bytes cut anywhere into whole lines, and lines relayed."""

from collections.abc import Callable

from omniroute.chat import CONTENT_EVENTS, Failed, Finished, Usage, UsageReported
from omniroute.dialects.codec import ErrorFacts, MalformedReply, ServerEvent, StreamDecoder
from omniroute.dialects.sse import MAX_EVENT_BYTES

NDJSON = "application/x-ndjson"


class LineSplitter:
    """Splits a byte stream into lines. They end with LF or CRLF; blank ones are dropped."""

    def __init__(self, max_line_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_line_bytes
        self._held = bytearray()

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """See `Splitter.feed`."""
        start = len(self._held)
        self._held += chunk
        cut = self._held.rfind(b"\n", start) + 1
        if len(self._held) - cut > self._limit:
            raise MalformedReply(f"a line is larger than {self._limit} bytes")
        if not cut:
            return []
        whole = bytes(self._held[:cut])
        del self._held[:cut]
        return _events(whole)

    def close(self) -> list[ServerEvent]:
        """See `Splitter.close`. The last line needs no end."""
        rest = bytes(self._held)
        self._held.clear()
        return _events(rest)


def _events(block: bytes) -> list[ServerEvent]:
    lines = (line.strip() for line in block.split(b"\n"))
    return [ServerEvent("", line.decode(errors="replace")) for line in lines if line]


class LinesRelay:
    """A `Relay` for newline-delimited JSON: whole lines as they came.

    Args:
        decoder: reads every line; there are no more of them than there are tokens.
        failed: the lines that end a stream of this dialect after a failure.
    """

    def __init__(self, decoder: StreamDecoder, failed: Callable[[ErrorFacts], bytes]) -> None:
        self.usage: Usage | None = None
        self.content = False
        self.finished = False
        self.done = False
        self.failure: Failed | None = None
        self._decoder = decoder
        self._failed = failed
        self._held = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """See `Relay.feed`.

        Raises:
            MalformedReply: a line is not of the dialect, or larger than the limit for one.
        """
        start = len(self._held)
        self._held += chunk
        cut = self._held.rfind(b"\n", start) + 1
        if len(self._held) - cut > MAX_EVENT_BYTES:
            raise MalformedReply(f"a line is larger than {MAX_EVENT_BYTES} bytes")
        whole = bytes(self._held[:cut])
        del self._held[:cut]
        self._learn(whole)
        return whole

    def close(self) -> bytes:
        """See `Relay.close`. A last line that was cut off is not sent on: nobody could read it."""
        rest = bytes(self._held)
        self._held.clear()
        try:
            self._learn(rest)
        except MalformedReply:
            return b""
        return rest + b"\n" if rest.strip() else b""

    def fail(self, error: ErrorFacts) -> bytes:
        """See `Relay.fail`."""
        return self._failed(error)

    def _learn(self, block: bytes) -> None:
        for line in _events(block):
            for event in self._decoder.feed(line):
                if isinstance(event, UsageReported):
                    self.usage = event.usage
                elif isinstance(event, Finished):
                    self.finished = True
                elif isinstance(event, Failed):
                    self.failure = event
                elif isinstance(event, CONTENT_EVENTS):
                    self.content = True
        self.done = self._decoder.finished
        self.finished = self.finished or self.done
