"""Ollama replies, whole and streamed, into neutral events."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from omniroute.chat import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from omniroute.dialects.codec import MalformedReply, ServerEvent
from omniroute.dialects.error_bodies import read_failure
from omniroute.dialects.lines import LineSplitter
from omniroute.dialects.reply_ids import call_id
from omniroute.dialects.tool_names import NO_NAMES

FINISH_REASONS: Mapping[str, FinishReason] = {"stop": "stop", "length": "length"}


class WireFunction(Struct):
    """A call; always whole, its arguments an object."""

    name: str = ""
    arguments: Any = None


class WireCall(Struct):
    """A tool call; newer servers give ids."""

    function: WireFunction
    id: str | None = None


class WireMessage(Struct):
    """What a line adds."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[WireCall] | None = None


class WireLine(Struct):
    """A line of a stream, or a whole reply: its one line."""

    model: str | None = None
    created_at: str | None = None
    message: WireMessage | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None


_READ = msgspec.json.Decoder(WireLine)


class OllamaDecoder:
    """Reads one stream, a line at a time."""

    def __init__(self, tool_names: Mapping[str, str] = NO_NAMES) -> None:
        self.finished = False
        self._tool_names = tool_names
        self._started = False
        self._begun = ""
        self._calls = 0

    def feed(self, event: ServerEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        try:
            return list(self._read(_READ.decode(event.data)))
        except (ValueError, RecursionError) as error:
            raise MalformedReply("not a line of an Ollama stream") from error

    def _read(self, line: WireLine) -> Iterator[Event]:
        if line.error is not None:
            told = {"message": line.error} if isinstance(line.error, str) else line.error
            yield read_failure(told)
            return
        if not self._started:
            self._started, self._begun = True, line.created_at or ""
            yield Started("", line.model or "", _seconds(line.created_at))
        message = line.message or WireMessage(line.response, line.thinking)
        if message.thinking:
            yield ReasoningDelta(message.thinking)
        if message.content:
            yield TextDelta(message.content)
        for call in message.tool_calls or ():
            yield from self._call(call)
        if line.done:
            self.finished = True
            reason = FINISH_REASONS.get(line.done_reason or "", "stop")
            if reason == "stop" and self._calls:
                reason = "tool_calls"
            yield Finished(reason)
            if line.prompt_eval_count or line.eval_count:
                read, written = line.prompt_eval_count or 0, line.eval_count or 0
                usage = Usage(input_tokens=max(0, read), output_tokens=max(0, written))
                yield UsageReported(usage)

    def _call(self, call: WireCall) -> Iterator[Event]:
        index, name = self._calls, call.function.name
        if not name:
            return
        self._calls += 1
        named = call.id or call_id(self._begun, index, name)
        yield ToolCallStarted(index, named, self._tool_names.get(name, name))
        arguments = call.function.arguments
        text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
        yield ToolArgumentsDelta(index, "{}" if arguments is None else text)


def _seconds(created_at: str | None) -> int:
    try:
        return int(datetime.fromisoformat(created_at or "").timestamp())
    except (ValueError, OverflowError):
        return 0


def decode_reply(body: bytes, tool_names: Mapping[str, str] = NO_NAMES) -> list[Event]:
    """See `Codec.decode_reply`. A stream that came instead of a whole reply is read, too."""
    decoder, splitter = OllamaDecoder(tool_names), LineSplitter()
    lines = [*splitter.feed(body), *splitter.close()] if b"\n{" in body else []
    whole = [ServerEvent("", body.decode(errors="replace"))]
    events = [event for line in lines or whole for event in decoder.feed(line)]
    if not events:
        raise MalformedReply("neither a message nor an error")
    return events
