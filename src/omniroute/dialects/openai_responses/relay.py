"""Relaying a stream of numbered events, so that an event of our own can follow."""

import re

from omniroute.dialects.codec import ErrorFacts, StreamDecoder
from omniroute.dialects.openai_responses.errors import failed_event
from omniroute.dialects.relay import ScanningRelay

_NUMBER = re.compile(rb'"sequence_number"\s*:\s*(\d+)')
_MARK = b'"sequence_number"'
_ENDINGS = (b"response.completed", b"response.incomplete", b"response.failed", b'"error"')


class ResponsesRelay(ScanningRelay):
    """Knows how far the numbers have come."""

    def __init__(self, decoder: StreamDecoder) -> None:
        super().__init__(decoder, _matters, self._fail)
        self._next = 0

    def feed(self, chunk: bytes) -> bytes:
        """See `Relay.feed`."""
        passed = super().feed(chunk)
        place = passed.rfind(_MARK)
        found = _NUMBER.match(passed, place) if place >= 0 else None
        if found is not None:
            self._next = int(found[1]) + 1
        return passed

    def _fail(self, error: ErrorFacts) -> bytes:
        return failed_event(error, self._next)


def _matters(frames: bytes) -> bool:
    """Whether frames may hold an ending, which has the usage, or an error."""
    return any(ending in frames for ending in _ENDINGS)
