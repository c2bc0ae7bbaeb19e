"""Passing a stream on in the bytes it came in, reading what the ledger needs in passing."""

import re
from collections.abc import Callable

from omniroute.chat import CONTENT_EVENTS, Failed, Finished, Usage, UsageReported
from omniroute.dialects.codec import ErrorFacts, MalformedReply, ServerEvent, StreamDecoder
from omniroute.dialects.sse import MAX_EVENT_BYTES, split

_FRAME_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class ScanningRelay:
    """A `Relay` that searches bytes and decodes only the frames that can matter.

    Until the first content every frame is decoded. After that only those that `matters` points
    at; it may point at too many, for the decoder has the last word on what a frame says.

    Args:
        decoder: reads the frames that matter; it sees them in order, but not all of them.
        matters: a quick search of bytes for usage, an error or the ending.
        failed: the frames that end a stream of this dialect after a failure.
        hidden: says which frames are not sent on, None when all are.
    """

    def __init__(
        self,
        decoder: StreamDecoder,
        matters: Callable[[bytes], bool],
        failed: Callable[[ErrorFacts], bytes],
        hidden: Callable[[ServerEvent], bool] | None = None,
    ) -> None:
        self.usage: Usage | None = None
        self.content = False
        self.finished = False
        self.done = False
        self.failure: Failed | None = None
        self._decoder = decoder
        self._matters = matters
        self._failed = failed
        self._hidden = hidden
        self._held = bytearray()
        self._malformed: MalformedReply | None = None

    def feed(self, chunk: bytes) -> bytes:
        """See `Relay.feed`.

        Raises:
            MalformedReply: a frame is not of the dialect, or larger than the limit for one event.
                What came before it has been given out by then; it is not.
        """
        if self._malformed is not None:
            raise self._malformed
        if not self._held and chunk.endswith((b"\n\n", b"\r\n\r\n")):
            return self._scan(chunk)
        held = self._held
        # The frame may end on the border, so the search starts just before it.
        start = max(0, len(held) - 3)
        held += chunk
        cut = max(_end_of_last(held, mark, start) for mark in (b"\n\n", b"\n\r\n", b"\r\r"))
        if len(held) - cut > MAX_EVENT_BYTES:
            raise MalformedReply(f"an event is larger than {MAX_EVENT_BYTES} bytes")
        if not cut:
            return b""
        whole = bytes(held[:cut])
        del held[:cut]
        return self._scan(whole)

    def close(self) -> bytes:
        """See `Relay.close`.

        A last frame that only lacks its blank line is sent on. One that was cut off is not: no
        client could read it, and it would spoil the error event that follows.
        """
        if self._malformed is not None:
            raise self._malformed
        rest = bytes(self._held)
        self._held.clear()
        events = split(rest)
        try:
            self._learn(events)
        except MalformedReply:
            return b""
        if self._hides(events):
            return b""
        if self.done or not rest.strip(b"\r\n"):
            return rest
        return rest.rstrip(b"\r\n") + b"\n\n"

    def fail(self, error: ErrorFacts) -> bytes:
        """See `Relay.fail`."""
        return self._failed(error)

    def _scan(self, whole: bytes) -> bytes:
        if self._dull(whole):
            return whole
        kept: list[bytes] = []
        start = 0
        for end in (*(match.end() for match in _FRAME_END.finditer(whole)), len(whole)):
            piece = whole[start:end]
            start = end
            if not self._dull(piece):
                events = split(piece)
                try:
                    self._learn(events)
                except MalformedReply as error:
                    if not kept:
                        raise
                    self._malformed = error
                    break
                if self._hides(events):
                    continue
            kept.append(piece)
        return b"".join(kept)

    def _dull(self, piece: bytes) -> bool:
        return self.content and not self._matters(piece)

    def _hides(self, events: list[ServerEvent]) -> bool:
        return self._hidden is not None and any(map(self._hidden, events))

    def _learn(self, events: list[ServerEvent]) -> None:
        for server_event in events:
            for event in self._decoder.feed(server_event):
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


def _end_of_last(held: bytearray, mark: bytes, start: int) -> int:
    return held.rfind(mark, start) + len(mark) if held.find(mark, start) >= 0 else 0
