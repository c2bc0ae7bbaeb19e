"""An upstream's stream on its way to a caller: relayed, translated, or read as events.

Three forms with one face, so that dispatch and settlement know nothing of dialects.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from omniroute.chat import (
    CONTENT_EVENTS,
    ChatRequest,
    Dialect,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    Usage,
    UsageReported,
)
from omniroute.dialects import CODECS
from omniroute.dialects.codec import ErrorFacts, ServerEvent, StreamEncoder
from omniroute.dialects.sse import EVENT_STREAM
from omniroute.dialects.think_tags import ThinkTags

OutT = TypeVar("OutT", covariant=True)

_SAID = (TextDelta, RefusalDelta, ReasoningDelta, ToolArgumentsDelta)


class Flow(Protocol[OutT]):
    """Takes upstream bytes, gives what the caller wants, knows what the ledger needs.

    `tokens_seen` counts content frames: a floor for usage when the upstream never reports any.
    """

    @property
    def content(self) -> bool:
        """Whether anything a caller would miss has been given out."""

    @property
    def finished(self) -> bool:
        """Whether the upstream said why it stopped: what follows is usage and markers at most."""

    @property
    def done(self) -> bool:
        """Whether the upstream's terminal marker was seen: nothing follows."""

    @property
    def failure(self) -> Failed | None:
        """An error the upstream reported inside the stream; it is part of what was given out."""

    @property
    def usage(self) -> Usage | None:
        """The last usage the upstream reported."""

    @property
    def tokens_seen(self) -> int:
        """Content frames so far."""

    @property
    def content_bytes(self) -> int:
        """Bytes of content so far: never fewer than tokens. 0 where nobody counts."""

    def feed(self, chunk: bytes) -> OutT:
        """What to hand on for this chunk; falsy when nothing is ready.

        Raises:
            MalformedReply: the bytes are not the upstream's dialect.
        """

    def flush(self) -> OutT:
        """The upstream has ended: what was held back for an end of frame that never came.

        Raises:
            MalformedReply: as for `feed`.
        """

    def close(self) -> OutT:
        """What ends the caller's stream when the upstream has ended properly."""

    def fail(self, error: ErrorFacts) -> OutT:
        """What ends the caller's stream honestly after a failure."""

    def stop(self) -> OutT:
        """What ends the caller's stream where the money ends: a reply that is cut for length."""

    def note(self, text: str, /) -> OutT:
        """A remark that clients skip and people may read; nothing where there is no such thing."""


class RelayFlow:
    """Same dialect on both sides: the bytes as they came.

    Args:
        beside: reads the same stream for whoever has to know what it says.
    """

    def __init__(
        self, dialect: Dialect, *, hide_usage: bool, beside: "EventFlow | None" = None
    ) -> None:
        self._beside = beside
        self._codec = CODECS[dialect]
        self._relay = self._codec.relay(hide_usage=hide_usage)
        self._mark = b"data:" if self._codec.stream_type == EVENT_STREAM else b"\n"
        self.tokens_seen = 0
        self.content_bytes = 0

    @property
    def content(self) -> bool:
        return self._relay.content

    @property
    def finished(self) -> bool:
        return self._relay.finished

    @property
    def done(self) -> bool:
        return self._relay.done

    @property
    def failure(self) -> Failed | None:
        return self._relay.failure

    @property
    def usage(self) -> Usage | None:
        return self._relay.usage

    def feed(self, chunk: bytes) -> bytes:
        self.tokens_seen += chunk.count(self._mark)
        if self._beside is not None:
            self._beside.feed(chunk)
        return self._relay.feed(chunk)

    def flush(self) -> bytes:
        if self._beside is not None:
            self._beside.flush()
        return self._relay.close()

    def close(self) -> bytes:
        return b""

    def fail(self, error: ErrorFacts) -> bytes:
        return self._relay.fail(error)

    def stop(self) -> bytes:
        return self.fail(ErrorFacts(status=429, message="The budget is used up."))

    def note(self, text: str, /) -> bytes:
        return remark(text) if self._codec.stream_type == EVENT_STREAM else b""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a reply is read: `fallback` fills in what the upstream leaves out of its beginning,
    `own_ids` says that the gateway's id replaces the upstream's, `think_tags` that thinking stands
    in the text, and `see` is shown every event.
    """

    request: ChatRequest
    fallback: Started
    see: Callable[[Event], None]
    own_ids: bool = False
    think_tags: bool = False

    def told(self, events: list[Event], tags: ThinkTags | None) -> list[Event]:
        """Events as the caller gets them. `tags` holds on to what may be half a tag."""
        if tags is not None:
            events = [one for event in events for one in tags.feed(event)]
        for place, event in enumerate(events):
            if isinstance(event, Started):
                events[place] = identified(event, self.fallback, own_ids=self.own_ids)
            self.see(event)
        return events

    def tags(self) -> ThinkTags | None:
        """A fresh separator of thinking, where one is needed."""
        return ThinkTags() if self.think_tags else None


class EventFlow:
    """For callers without a wire format: the neutral events."""

    def __init__(self, upstream: Dialect, reading: Reading) -> None:
        codec = CODECS[upstream]
        self._splitter = codec.splitter()
        self._decoder = codec.decoder(codec.tool_names(reading.request))
        self._reading = reading
        self._tags = reading.tags()
        self._reason_seen = False
        self.content = False
        self.failure: Failed | None = None
        self.usage: Usage | None = None
        self.tokens_seen = 0
        self.content_bytes = 0

    @property
    def finished(self) -> bool:
        # An end that follows an error is the end of the error, not of an answer.
        return self._reason_seen or (self._decoder.finished and self.failure is None)

    @property
    def done(self) -> bool:
        return self._decoder.finished

    def feed(self, chunk: bytes) -> list[Event]:
        return self._decode(self._splitter.feed(chunk))

    def flush(self) -> list[Event]:
        rest = self._decode(self._splitter.close())
        return rest if self._tags is None else [*rest, *self._tags.close()]

    def close(self) -> list[Event]:
        return []

    def fail(self, error: ErrorFacts) -> list[Event]:
        return [Failed(error.message, error.status, error.type, error.code)]

    def stop(self) -> list[Event]:
        return [Finished("length")]

    def note(self, _text: str, /) -> list[Event]:
        return []

    def _decode(self, frames: list[ServerEvent]) -> list[Event]:
        events: list[Event] = []
        for frame in frames:
            events += self._decoder.feed(frame)
        events = self._reading.told(events, self._tags)
        for event in events:
            if isinstance(event, _SAID):
                self.content_bytes += len(event.text.encode())
            if isinstance(event, CONTENT_EVENTS):
                self.content = True
                self.tokens_seen += 1
            elif isinstance(event, UsageReported):
                self.usage = event.usage
            elif isinstance(event, Finished):
                self._reason_seen = True
            elif isinstance(event, Failed):
                self.failure = event
        return events


class OverEvents:
    """What every flow over another flow's events knows, because those know it."""

    def __init__(self, events: Flow[list[Event]]) -> None:
        self._events = events

    @property
    def content(self) -> bool:
        return self._events.content

    @property
    def finished(self) -> bool:
        return self._events.finished

    @property
    def done(self) -> bool:
        return self._events.done

    @property
    def failure(self) -> Failed | None:
        return self._events.failure

    @property
    def usage(self) -> Usage | None:
        return self._events.usage

    @property
    def tokens_seen(self) -> int:
        return self._events.tokens_seen

    @property
    def content_bytes(self) -> int:
        return self._events.content_bytes


class TranslatedFlow(OverEvents):
    """Different dialects: the upstream's events, written for the caller.

    Args:
        remarks: the caller's stream has comments.
    """

    def __init__(
        self, events: Flow[list[Event]], encoder: StreamEncoder, *, remarks: bool = False
    ) -> None:
        super().__init__(events)
        self._encoder = encoder
        self._remarks = remarks

    def taken_over(self, events: Flow[list[Event]]) -> "TranslatedFlow":
        """The same stream to the caller, out of another target's events."""
        return TranslatedFlow(events, self._encoder, remarks=self._remarks)

    def feed(self, chunk: bytes) -> bytes:
        return self._encode(self._events.feed(chunk))

    def flush(self) -> bytes:
        return self._encode(self._events.flush())

    def close(self) -> bytes:
        return self._encoder.close()

    def fail(self, error: ErrorFacts) -> bytes:
        return self._encoder.fail(error)

    def stop(self) -> bytes:
        return self._encode(self._events.stop()) + self._encoder.close()

    def note(self, text: str, /) -> bytes:
        return remark(text) if self._remarks else b""

    def _encode(self, events: list[Event]) -> bytes:
        return b"".join(
            self._encoder.fail(failed_facts(event))
            if isinstance(event, Failed)
            else self._encoder.feed(event)
            for event in events
        )


def identified(started: Started, fallback: Started, *, own_ids: bool = False) -> Started:
    """`started` with what the upstream left out filled in, or with the gateway's id."""
    return Started(
        id=fallback.id if own_ids else started.id or fallback.id,
        model=started.model or fallback.model,
        created_s=started.created_s or fallback.created_s,
    )


def remark(text: str) -> bytes:
    """A comment of an event stream."""
    return f": {text}\n\n".encode()


def failed_facts(event: Failed) -> ErrorFacts:
    """An in-stream error as the caller shall see it."""
    return ErrorFacts(
        status=event.status, message=event.message, type=event.error_type, code=event.code
    )
