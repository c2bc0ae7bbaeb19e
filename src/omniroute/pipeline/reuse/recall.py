"""Thinking that clients drop between turns, kept in memory under the tool calls it led to.

Some providers refuse the result of a tool call without the thinking before it, and many client
libraries cannot carry that. What a client did return always wins. Source: 01 §6.4, 05 §6.9.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec.structs import replace

from omniroute.chat import (
    ChatRequest,
    Event,
    Message,
    Part,
    Reasoning,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    ToolCall,
    ToolCallStarted,
)

KEPT_FOR_MS = 3_600_000
MAX_CALLS = 2000

Thoughts: TypeAlias = tuple[Reasoning, ...]


@dataclass(slots=True)
class Recall:
    """Thoughts by owner and tool call. The oldest go first; an hour later all of them have."""

    now_ms: Callable[[], int]
    _kept: OrderedDict[tuple[str, str], tuple[int, Thoughts]] = field(default_factory=OrderedDict)

    def keep(self, owner: str, call_id: str, thoughts: Thoughts) -> None:
        """Remember what the model thought before a call."""
        self._kept[owner, call_id] = (self.now_ms() + KEPT_FOR_MS, thoughts)
        self._kept.move_to_end((owner, call_id))
        while len(self._kept) > MAX_CALLS:
            self._kept.popitem(last=False)

    def thoughts(self, owner: str, call_id: str) -> Thoughts:
        """What the model thought before a call; empty when unknown or too long ago."""
        until_ms, thoughts = self._kept.get((owner, call_id), (0, ()))
        return thoughts if self.now_ms() < until_ms else ()

    def completed(self, request: ChatRequest, owner: str) -> ChatRequest:
        """The request with thoughts put back where a turn came without any.

        The very same object when there is nothing to put back.
        """
        if not self._kept:
            return request
        messages = tuple(self._turn(message, owner) for message in request.messages)
        if all(new is old for new, old in zip(messages, request.messages, strict=True)):
            return request
        return replace(request, messages=messages)

    def _turn(self, message: Message, owner: str) -> Message:
        if message.role != "assistant" or any(isinstance(p, Reasoning) for p in message.parts):
            return message
        shown: list[Part] = []
        rest: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                for thought in self.thoughts(owner, part.id):
                    # A bare signature belongs to the part behind it, thinking before the turn.
                    (shown if thought.text or thought.redacted else rest).append(thought)
            rest.append(part)
        if len(shown) + len(rest) == len(message.parts):
            return message
        return replace(message, parts=(*shown, *rest))


class Remembering:
    """Watches the events of one reply and keeps the thoughts before each of its tool calls."""

    def __init__(self, recall: Recall, owner: str) -> None:
        self._recall = recall
        self._owner = owner
        self._thoughts: list[Reasoning] = []
        self._text: list[str] = []

    def see(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case ReasoningDelta(text):
                self._text.append(text)
            case ReasoningSigned(signature, origin, id):
                self._close(Reasoning(signature=signature, origin=origin, id=id))
            case ReasoningRedacted(data, origin, id):
                self._close()
                self._thoughts.append(Reasoning(redacted=data, origin=origin, id=id))
            case ToolCallStarted(id=call_id):
                self._close()
                if self._thoughts:
                    self._recall.keep(self._owner, call_id, tuple(self._thoughts))
                    self._thoughts.clear()

    def _close(self, signed: Reasoning | None = None) -> None:
        text = "".join(self._text)
        self._text.clear()
        if signed is not None:
            self._thoughts.append(replace(signed, text=text))
        elif text:
            self._thoughts.append(Reasoning(text))
