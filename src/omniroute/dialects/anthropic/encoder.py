"""Neutral replies into Anthropic Messages, whole and streamed."""

from typing import Any

import msgspec

from omniroute.chat import (
    ChatReply,
    Dialect,
    Event,
    Failed,
    Finished,
    Opaque,
    OpaqueBlock,
    Part,
    Reasoning,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    Refusal,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    ToolArgumentsDelta,
    ToolCall,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from omniroute.dialects.anthropic.errors import failed_stream
from omniroute.dialects.anthropic.wire import WIRE_STOP_REASONS, wire_usage
from omniroute.dialects.arguments import input_object, is_object
from omniroute.dialects.carried import tagged
from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.fields import own_fields
from omniroute.dialects.reply_ids import reply_id
from omniroute.dialects.sse import frame

_encode = msgspec.json.Encoder().encode
_EMPTY_TEXT = {"type": "text", "text": ""}


def encode_reply(reply: ChatReply) -> bytes:
    """See `Codec.encode_reply`."""
    blocks = [block for part in reply.parts for block in _blocks(part)]
    wire = _message(Started(reply.id, reply.model), reply.usage)
    wire["content"] = blocks or [_EMPTY_TEXT]
    finished = Finished(reply.finish, reply.stop_sequence) if reply.finish else None
    return _encode(wire | _stop(finished))


def _message(started: Started, usage: Usage | None) -> dict[str, Any]:
    return {
        "id": reply_id(started.id, "msg_"),
        "type": "message",
        "role": "assistant",
        "model": started.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": wire_usage(usage),
    }


def _stop(finished: Finished | None) -> dict[str, Any]:
    if finished is None:
        return {"stop_reason": None, "stop_sequence": None}
    reason = WIRE_STOP_REASONS[finished.reason]
    if finished.reason == "stop" and finished.stop_sequence is not None:
        reason = "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": finished.stop_sequence}


def _carried(opaque: str, origin: Dialect | None) -> str:
    return tagged(opaque, origin, Dialect.ANTHROPIC) if opaque else ""


def _blocks(part: Part) -> list[dict[str, Any]]:
    match part:
        case Text(text) | Refusal(text):
            return [{"type": "text", "text": text}]
        case Reasoning(redacted=str(data), origin=origin):
            return [{"type": "redacted_thinking", "data": _carried(data, origin)}]
        case Reasoning(text, signature, origin=origin):
            signature = _carried(signature or "", origin)
            return [{"type": "thinking", "thinking": text, "signature": signature}]
        case ToolCall(id, name, arguments):
            tool_input = input_object(arguments)
            return [{"type": "tool_use", "id": id, "name": name, "input": tool_input}]
        case Opaque(extras):
            own = own_fields(extras, Dialect.ANTHROPIC)
            return [own] if own else []
        case _:
            return []


class AnthropicEncoder:
    """Writes one stream. Blocks come one after the other, whatever the upstream interleaves.

    The block in front is written as it grows; those behind it wait until it is complete. A call
    is complete when its arguments are a whole JSON object and something follows, or at the end.
    """

    def __init__(self) -> None:
        self._started: Started | None = None
        self._opened = False  # whether `message_start` is written
        self._closed = False
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._queue: list[_Block] = []
        self._calls: dict[int, _Block] = {}
        self._count = 0  # blocks begun on the wire

    def feed(self, event: Event) -> bytes:
        """See `StreamEncoder.feed`."""
        match event:
            case TextDelta(text) | RefusalDelta(text):
                return self._grow(self._last("text"), "text_delta", "text", text)
            case ReasoningDelta(text):
                return self._grow(self._last("thinking"), "thinking_delta", "thinking", text)
            case ReasoningSigned(signature, origin):
                block = self._last("thinking")
                block.signed = True
                signature = _carried(signature, origin)
                return self._grow(block, "signature_delta", "signature", signature)
            case ReasoningRedacted(data, origin):
                redacted = {"type": "redacted_thinking", "data": _carried(data, origin)}
                return self._push(_Block("redacted", redacted))
            case ToolCallStarted(index, id, name):
                opening = {"type": "tool_use", "id": id, "name": name, "input": {}}
                block = self._calls[index] = _Block("tool", opening)
                return self._push(block)
            case ToolArgumentsDelta(index, text):
                return self._arguments(index, text)
            case OpaqueBlock(extras):
                own = own_fields(extras, Dialect.ANTHROPIC)
                return self._push(_Block("opaque", own)) if own else b""
            case Started():
                self._started = self._started or event
            case UsageReported(usage):
                self._usage = usage
            case Finished():
                self._finished = self._finished or event
                return self._drain(everything=True)
            case Failed(message, status, error_type, code):
                return self.fail(
                    ErrorFacts(status=status, message=message, type=error_type, code=code)
                )
        return b""

    def close(self) -> bytes:
        """See `StreamEncoder.close`.

        The caller vouches that the upstream ended its reply: one that gave no reason for the
        end gave the natural one.
        """
        if self._closed:
            return b""
        finished = self._finished or Finished("tool_calls" if self._calls else "stop")
        if not self._count:
            self._queue.append(_Block("text", _EMPTY_TEXT))
        written = self._drain(everything=True)
        self._closed = True
        # Usage often follows the finish reason, so this event waits for the end of the stream.
        ending = {"type": "message_delta", "delta": _stop(finished)}
        ending["usage"] = wire_usage(self._usage)
        return written + _event(ending) + _event({"type": "message_stop"})

    def fail(self, error: ErrorFacts) -> bytes:
        """See `StreamEncoder.fail`."""
        if self._closed:
            return b""
        self._closed = True
        return failed_stream(error)

    def _last(self, kind: str) -> "_Block":
        """The newest block if more of `kind` belongs into it, else a new one."""
        if self._queue and self._queue[-1].kind == kind and not self._queue[-1].signed:
            return self._queue[-1]
        empty = _EMPTY_TEXT if kind == "text" else _EMPTY_THINKING
        block = _Block(kind, empty)
        self._queue.append(block)
        return block

    def _grow(self, block: "_Block", delta: str, field: str, value: str) -> bytes:
        block.waiting.append(
            b'"delta":{"type":"%b","%b":%b}' % (delta.encode(), field.encode(), _encode(value))
        )
        return self._drain()

    def _arguments(self, index: int, text: str) -> bytes:
        block = self._calls.get(index)
        if block is None or not text:
            return b""
        block.arguments += text
        return self._grow(block, "input_json_delta", "partial_json", text)

    def _push(self, block: "_Block") -> bytes:
        self._queue.append(block)
        return self._drain()

    def _drain(self, *, everything: bool = False) -> bytes:
        """Write what the order of blocks allows."""
        written: list[bytes] = []
        while self._queue:
            block = self._queue[0]
            if not block.begun:
                written.append(self._begin(block))
            if block.waiting:
                head = (
                    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
                )
                head %= block.index
                written += [head + delta + b"}\n\n" for delta in block.waiting]
                block.waiting.clear()
            followed = len(self._queue) > 1
            if not (everything or block.whole or (followed and block.complete)):
                break
            written.append(_event({"type": "content_block_stop", "index": block.index}))
            del self._queue[0]
        return b"".join(written)

    def _begin(self, block: "_Block") -> bytes:
        block.begun, block.index = True, self._count
        self._count += 1
        start = b""
        if not self._opened:
            self._opened = True
            message = _message(self._started or Started(), self._usage)
            start = _event({"type": "message_start", "message": message})
        opening = {"index": block.index, "content_block": block.opening}
        return start + _event({"type": "content_block_start", **opening})


class _Block:
    """A block on its way out: `waiting` are deltas not yet written."""

    __slots__ = ("arguments", "begun", "index", "kind", "opening", "signed", "waiting")

    def __init__(self, kind: str, opening: dict[str, Any]) -> None:
        self.kind, self.opening = kind, opening
        self.begun = self.signed = False
        self.index = 0
        self.arguments = ""
        self.waiting: list[bytes] = []

    @property
    def whole(self) -> bool:
        """Whether nothing can follow in this block."""
        return self.signed or self.kind in ("redacted", "opaque")

    @property
    def complete(self) -> bool:
        """Whether the block can end when another waits behind it."""
        return self.kind != "tool" or is_object(self.arguments)


_EMPTY_THINKING = {"type": "thinking", "thinking": "", "signature": ""}


def _event(fields: dict[str, Any]) -> bytes:
    return frame(_encode(fields), fields["type"])
