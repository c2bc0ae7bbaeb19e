"""Anthropic Messages replies, whole and streamed, into neutral events."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from omniroute.chat import (
    Dialect,
    Event,
    Extras,
    Finished,
    OpaqueBlock,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from omniroute.dialects.anthropic.errors import STATUSES
from omniroute.dialects.anthropic.wire import (
    STOP_REASONS,
    UsageSum,
    WireBlock,
    WireDelta,
    WireEvent,
    WireMessage,
    WireUsage,
)
from omniroute.dialects.codec import MalformedReply, ServerEvent
from omniroute.dialects.error_bodies import read_failure
from omniroute.dialects.sse import looks_like_events, split
from omniroute.dialects.tool_names import NO_NAMES

_READ_EVENT = msgspec.json.Decoder(WireEvent)
_READ_MESSAGE = msgspec.json.Decoder(WireMessage)
_READ_BLOCK = msgspec.json.Decoder(WireBlock)
_READ_OBJECT = msgspec.json.Decoder(dict[str, Any])


class AnthropicDecoder:
    """Reads one stream. Blocks are numbered by the upstream, calls by their own counter."""

    def __init__(self, tool_names: Mapping[str, str] = NO_NAMES) -> None:
        self.finished = False
        self._blocks = _Blocks(tool_names)
        self._usage = UsageSum()
        self._finish_seen = False

    def feed(self, event: ServerEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if not event.data.strip():
            return []
        try:
            wire = _READ_EVENT.decode(event.data)
            return list(self._read(wire.type or event.name, wire))
        except (ValueError, RecursionError) as error:
            raise MalformedReply("not an event of an Anthropic stream") from error

    def _read(self, kind: str, wire: WireEvent) -> Iterator[Event]:
        match kind:
            case "content_block_delta":
                if wire.delta is not None:
                    yield from self._blocks.extend(wire.index, wire.delta)
            case "content_block_start":
                if bytes(wire.content_block):
                    yield from self._blocks.begin(wire.index, wire.content_block)
            case "content_block_stop":
                yield from self._blocks.end(wire.index)
            case "message_start":
                if wire.message is not None:
                    yield Started(wire.message.id or "", wire.message.model or "")
                    yield from self._count(wire.message.usage)
            case "message_delta":
                delta = wire.delta
                if delta is not None and delta.stop_reason and not self._finish_seen:
                    self._finish_seen = True
                    yield self._blocks.finish(delta.stop_reason, delta.stop_sequence)
                yield from self._count(wire.usage)
            case "message_stop":
                self.finished = True
            case "error":
                error_type = wire.error.get("type") if isinstance(wire.error, dict) else None
                yield read_failure(wire.error, STATUSES.get(str(error_type), 502))

    def _count(self, wire: WireUsage | None) -> Iterator[Event]:
        usage = self._usage.add(wire)
        if usage is not None:
            yield UsageReported(usage)


class _Blocks:
    """The content blocks of a reply, as they begin, grow and end."""

    def __init__(self, tool_names: Mapping[str, str]) -> None:
        self._tool_names = tool_names
        self._calls = 0
        self._open: dict[int, _OpenBlock] = {}

    def begin(self, index: int, raw: Raw) -> Iterator[Event]:
        block = _READ_BLOCK.decode(raw)
        self._open[index] = opened = _OpenBlock(raw, block)
        match block.type:
            case "text":
                if block.text:
                    yield TextDelta(block.text)
            case "thinking":
                if block.thinking:
                    yield ReasoningDelta(block.thinking)
                opened.text = block.signature or ""
            case "redacted_thinking":
                yield ReasoningRedacted(block.data or "", Dialect.ANTHROPIC)
            case "tool_use":
                opened.call = self._calls
                self._calls += 1
                name = block.name or ""
                name = self._tool_names.get(name, name)
                yield ToolCallStarted(opened.call, block.id or "", name)

    def extend(self, index: int, delta: WireDelta) -> Iterator[Event]:
        if delta.text:
            yield TextDelta(delta.text)
        elif delta.thinking:
            yield ReasoningDelta(delta.thinking)
        opened = self._open.get(index)
        if opened is None:
            return
        if delta.signature:
            opened.text += delta.signature
        elif delta.partial_json:
            opened.text += delta.partial_json
            if opened.call is not None:
                yield ToolArgumentsDelta(opened.call, delta.partial_json)

    def end(self, index: int) -> Iterator[Event]:
        opened = self._open.pop(index, None)
        if opened is None:
            return
        match opened.block.type:
            case "thinking":
                if opened.text:
                    yield ReasoningSigned(opened.text, Dialect.ANTHROPIC)
            case "tool_use":
                # Some services send the whole input in the start of the block.
                if not opened.text and opened.call is not None:
                    yield ToolArgumentsDelta(opened.call, bytes(opened.block.input).decode())
            case "text" | "redacted_thinking":
                pass
            case _:
                yield OpaqueBlock(Extras(Dialect.ANTHROPIC, opened.whole()))

    def finish(self, stop_reason: str, stop_sequence: str | None) -> Finished:
        reason = STOP_REASONS.get(stop_reason, "stop")
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if self._calls else "stop"
        return Finished(reason, stop_sequence if reason == "stop" else None)


class _OpenBlock:
    __slots__ = ("block", "call", "raw", "text")

    def __init__(self, raw: Raw, block: WireBlock) -> None:
        self.raw, self.block = raw, block
        self.call: int | None = None
        self.text = ""  # a signature, or JSON text, by the type of the block

    def whole(self) -> dict[str, Any]:
        """A block of a type nobody here knows, with the input that came in pieces."""
        fields = _READ_OBJECT.decode(self.raw)
        if self.text:
            fields["input"] = msgspec.json.decode(self.text)
        return fields


def decode_reply(body: bytes, tool_names: Mapping[str, str] = NO_NAMES) -> list[Event]:
    """See `Codec.decode_reply`. A stream that came instead of a whole reply is read, too."""
    if looks_like_events(body):
        decoder = AnthropicDecoder(tool_names)
        return [event for frame in split(body) for event in decoder.feed(frame)]
    try:
        return list(_whole(_READ_MESSAGE.decode(body), tool_names))
    except (ValueError, RecursionError) as error:
        raise MalformedReply("not an Anthropic message") from error


def _whole(message: WireMessage, tool_names: Mapping[str, str]) -> Iterator[Event]:
    if message.error is not None:
        error_type = message.error.get("type") if isinstance(message.error, dict) else None
        yield read_failure(message.error, STATUSES.get(str(error_type), 502))
        return
    if message.content is None:
        raise MalformedReply("neither content nor an error")
    yield Started(message.id or "", message.model or "")
    blocks = _Blocks(tool_names)
    for index, raw in enumerate(message.content):
        yield from blocks.begin(index, raw)
        yield from blocks.end(index)
    if message.stop_reason:
        yield blocks.finish(message.stop_reason, message.stop_sequence)
    usage = UsageSum().add(message.usage)
    if usage is not None:
        yield UsageReported(usage)
