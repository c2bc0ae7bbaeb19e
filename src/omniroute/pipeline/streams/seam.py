"""One answer out of the streams of several targets, for combos that go on after a cut.

What leaves is held so that it can always be continued: text and thinking at once, tool calls only
when their target has finished, because half a call can be neither taken back nor continued.
"""

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from omniroute.chat import (
    ChatRequest,
    Dialect,
    Event,
    Failed,
    Finished,
    Message,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    Started,
    Text,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
)
from omniroute.dialects.codec import ErrorFacts
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.outbound import Endpoint
from omniroute.pipeline.streams.flow import EventFlow, OverEvents

MOST_SEAMS = 3
"""However many targets are left, an answer is not made of more than four pieces."""

GO_ON = (
    "Your answer above was cut off. Continue it from exactly where it stops: no introduction, no "
    "repetition, no comment on the interruption."
)
_THINKING = (ReasoningDelta, ReasoningSigned, ReasoningRedacted)


class Committed:
    """The text that has left: what every later target has to continue."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.seams = 0

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._pieces)

    def add(self, text: str) -> None:
        """More of it."""
        self._pieces.append(text)


class SeamedFlow(OverEvents):
    """A target's events, as they may leave when another target may have to go on."""

    def __init__(self, events: EventFlow, committed: Committed) -> None:
        super().__init__(events)
        self._committed = committed
        self._held: list[Event] = []
        self._continues = committed.seams > 0
        # A target that begins again from the start is heard out silently until it says news.
        self._repeated = committed.text if self._continues else ""
        self._said = ""

    @property
    def content(self) -> bool:
        # All may have been said before the cut: then the end is what was missing.
        return self._events.content or (self._continues and self._events.finished)

    def feed(self, chunk: bytes) -> list[Event]:
        return self._told(self._events.feed(chunk))

    def flush(self) -> list[Event]:
        return self._told(self._events.flush())

    def close(self) -> list[Event]:
        return self._events.close()

    def fail(self, error: ErrorFacts) -> list[Event]:
        return self._events.fail(error)

    def stop(self) -> list[Event]:
        self._held.clear()
        return self._events.stop()

    def note(self, text: str, /) -> list[Event]:
        return self._events.note(text)

    def _told(self, events: list[Event]) -> list[Event]:
        return [told for event in events for told in self._one(event)]

    def _one(self, event: Event) -> Iterator[Event]:
        match event:
            case Failed():
                return  # whether the caller hears of it depends on who can go on
            case Started() if self._continues:
                return
            case ToolCallStarted() | ToolArgumentsDelta():
                self._held.append(event)
                return
            case TextDelta(text):
                text = self._news(text)
                if text:
                    self._committed.add(text)
                    yield TextDelta(text)
                return
            case Finished():
                yield from self._rest()
                yield from self._held
                self._held.clear()
            case _ if self._continues and isinstance(event, _THINKING):
                return  # thinking cannot follow the text it has led to
        yield event

    def _news(self, text: str) -> str:
        """`text` without what only repeats the beginning of the answer."""
        if not self._repeated:
            return text
        self._said += text
        if self._repeated.startswith(self._said):
            return ""
        told, self._said = self._said, ""
        repeated, self._repeated = self._repeated, ""
        return told.removeprefix(repeated)

    def _rest(self) -> Iterator[Event]:
        """What looked like a repetition when the target finished."""
        if self._repeated and self._said and self._said != self._repeated:
            self._committed.add(self._said)
            yield TextDelta(self._said)
        self._repeated = self._said = ""


def continued(call: ChatCall, text: str, to: Endpoint) -> ChatCall:
    """The call that has a target go on after `text`: as its own words where its API takes that,
    otherwise as an earlier turn and the request to go on."""
    if not text:
        return call
    if not prefills(call, to):
        return replace(call, request=with_turns(call.request, text), body=None)
    said = Message("assistant", (Text(text.rstrip()),))
    request = msgspec.structs.replace(call.request, messages=(*call.request.messages, said))
    return replace(call, request=request, body=None)


def with_turns(request: ChatRequest, text: str) -> ChatRequest:
    """The request with `text` as a turn of the model's, and the request to go on: the most that
    a target has to read for it."""
    said = Message("assistant", (Text(text),))
    more = Message("user", (Text(GO_ON),))
    return msgspec.structs.replace(request, messages=(*request.messages, said, more))


def prefills(call: ChatCall, to: Endpoint) -> bool:
    """Whether a target continues a conversation that ends with its own words.

    Source: Anthropic, "Prefill Claude's response"; not with thinking, nor the newest models.
    """
    newest = to.candidate.model.startswith(to.provider.adaptive_prefixes)
    return to.dialect is Dialect.ANTHROPIC and call.request.reasoning is None and not newest
