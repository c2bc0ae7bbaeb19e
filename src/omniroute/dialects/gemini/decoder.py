"""Gemini replies, whole and streamed, into neutral events."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from omniroute.chat import (
    Dialect,
    Event,
    Extras,
    Finished,
    Image,
    ImageProduced,
    OpaqueBlock,
    ReasoningDelta,
    ReasoningSigned,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from omniroute.dialects.codec import MalformedReply, ServerEvent
from omniroute.dialects.error_bodies import read_failure
from omniroute.dialects.gemini.wire import FINISH_REASONS, WireUsage, read_usage
from omniroute.dialects.reply_ids import call_id
from omniroute.dialects.sse import looks_like_events, split
from omniroute.dialects.tool_names import NO_NAMES


class WireCall(Struct):
    """A function call, always whole."""

    name: str = ""
    id: str | None = None
    args: Any = None


class WireContent(Struct):
    """What one candidate adds. Parts are kept as they are: there are many kinds."""

    parts: list[dict[str, Any]] | None = None


class WireCandidate(Struct, rename="camel"):
    """One answer."""

    content: WireContent | None = None
    finish_reason: str | None = None
    index: int | None = None


class WireFrame(Struct, rename="camel"):
    """One frame of a stream, or a whole reply. Some services wrap it in `response`."""

    candidates: list[WireCandidate] | None = None
    prompt_feedback: dict[str, Any] | None = None
    usage_metadata: WireUsage | None = None
    model_version: str | None = None
    response_id: str | None = None
    response: "WireFrame | None" = None
    error: Any = None


_READ = msgspec.json.Decoder(WireFrame)
_READ_ALL = msgspec.json.Decoder(list[WireFrame])


class GeminiDecoder:
    """Reads one stream. There is no terminal marker: usage may follow the reason for the end."""

    finished = False

    def __init__(self, tool_names: Mapping[str, str] = NO_NAMES) -> None:
        self._tool_names = tool_names
        self._started = False
        self._reply = ""
        self._ended = False
        self._calls = 0

    def feed(self, event: ServerEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if not event.data.strip():
            return []
        try:
            return list(self.read(_READ.decode(event.data)))
        except (ValueError, RecursionError) as error:
            raise MalformedReply("not a frame of a Gemini stream") from error

    def read(self, frame: WireFrame) -> Iterator[Event]:
        """Events of one frame."""
        frame = frame.response or frame
        if frame.error is not None:
            yield read_failure(frame.error)
            return
        candidates = frame.candidates or []
        blocked = frame.prompt_feedback is not None and not candidates
        if not self._started and (candidates or blocked):
            self._started, self._reply = True, frame.response_id or ""
            yield Started(frame.response_id or "", frame.model_version or "")
        answer = next((one for one in candidates if not one.index), None)
        if answer is not None:
            for part in (answer.content.parts if answer.content else None) or ():
                yield from self._part(part)
            if answer.finish_reason and not self._ended:
                self._ended = True
                reason = FINISH_REASONS.get(answer.finish_reason, "stop")
                yield Finished("tool_calls" if reason == "stop" and self._calls else reason)
        elif blocked and not self._ended:
            self._ended = True
            yield Finished("content_filter")
        usage = read_usage(frame.usage_metadata)
        if usage is not None:
            yield UsageReported(usage)

    def _part(self, part: dict[str, Any]) -> Iterator[Event]:
        signature = part.get("thoughtSignature")
        state: list[Event] = []
        if isinstance(signature, str) and signature:
            state = [ReasoningSigned(signature, Dialect.GEMINI)]
        match part:
            case {"text": str(text), "thought": True}:
                yield from [ReasoningDelta(text)] if text else []
                yield from state
            case {"text": str(text)}:
                yield from [TextDelta(text)] if text else []
                yield from state
            case {"functionCall": dict(call)}:
                yield from state
                yield from self._call(msgspec.convert(call, WireCall))
            case {"inlineData": {"mimeType": str(kind), "data": str(data)}} if kind.startswith(
                "image/"
            ):
                yield from state
                yield ImageProduced(Image(data=data, media_type=kind))
            case _:
                yield OpaqueBlock(Extras(Dialect.GEMINI, part))

    def _call(self, call: WireCall) -> Iterator[Event]:
        index = self._calls
        self._calls += 1
        name = self._tool_names.get(call.name, call.name)
        yield ToolCallStarted(index, call.id or call_id(self._reply, index, name), name)
        yield ToolArgumentsDelta(index, msgspec.json.encode(call.args or {}).decode())


def decode_reply(body: bytes, tool_names: Mapping[str, str] = NO_NAMES) -> list[Event]:
    """See `Codec.decode_reply`. A stream that came instead of a whole reply is read, too."""
    decoder = GeminiDecoder(tool_names)
    if looks_like_events(body):
        return [event for frame in split(body) for event in decoder.feed(frame)]
    try:
        frames = _READ_ALL.decode(body) if body.lstrip()[:1] == b"[" else [_READ.decode(body)]
        events = [event for frame in frames for event in decoder.read(frame)]
    except (ValueError, RecursionError) as error:
        raise MalformedReply("not a Gemini reply") from error
    if not events:
        raise MalformedReply("neither candidates nor an error")
    return events
