"""Neutral replies into OpenAI Chat, whole and streamed."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec

from omniroute.chat import (
    ChatReply,
    Dialect,
    Event,
    Failed,
    Finished,
    Image,
    ImageProduced,
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
    TextDelta,
    ToolArgumentsDelta,
    ToolCall,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.data_uris import data_uri
from omniroute.dialects.fields import own_fields
from omniroute.dialects.openai_chat.errors import DONE, failed_stream
from omniroute.dialects.openai_chat.opaque import is_call_state, wire_call_state, wire_detail
from omniroute.dialects.openai_chat.wire import REPLY_EXTRAS, wire_usage
from omniroute.dialects.reply_ids import reply_id

Wire: TypeAlias = dict[str, Any]

_encode = msgspec.json.Encoder().encode


def encode_reply(reply: ChatReply) -> bytes:
    """See `Codec.encode_reply`. Members without a value are left out, except `content`."""
    message: Wire = {"role": "assistant", "content": reply.text or None}
    reasoning = "".join(part.text for part in reply.parts if isinstance(part, Reasoning))
    if reasoning:
        message["reasoning_content"] = reasoning
    pictures = [_picture(part) for part in reply.parts if isinstance(part, Image)]
    if pictures:
        message["images"] = pictures
    refusal = "".join(part.text for part in reply.parts if isinstance(part, Refusal))
    message["refusal"] = refusal or None
    calls, details = _calls_and_state(reply.parts)
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    if not calls and not refusal:
        message["content"] = reply.text
    beside: Wire = {}
    for part in reply.parts:
        if isinstance(part, Opaque):
            for name, value in own_fields(part.extras, Dialect.OPENAI_CHAT).items():
                (beside if name in REPLY_EXTRAS else message)[name] = value
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
    wire: Wire = {
        "id": reply_id(reply.id, "chatcmpl-"),
        "object": "chat.completion",
        "created": reply.created_s,
        "model": reply.model,
        "choices": [choice],
        **beside,
    }
    if reply.usage is not None:
        wire["usage"] = wire_usage(reply.usage)
    return _encode(wire)


def _calls_and_state(parts: Iterable[Part]) -> tuple[list[Wire], list[Wire]]:
    """Tool calls with the state that belongs to each, and the entries of all other state."""
    calls: list[Wire] = []
    details: list[Wire] = []
    waiting: Reasoning | None = None
    for part in (*parts, None):
        held, waiting = waiting, None
        if isinstance(part, ToolCall):
            state = wire_call_state(held.signature or "") if held is not None else {}
            function = {"name": part.name, "arguments": part.arguments or "{}"}
            calls.append({"id": part.id, "type": "function", "function": function, **state})
            continue
        if held is not None:
            details += filter(None, [wire_detail(held, len(details))])
        if isinstance(part, Reasoning) and is_call_state(part):
            waiting = part
        elif isinstance(part, Reasoning):
            details += filter(None, [wire_detail(part, len(details))])
    return calls, details


def _picture(image: Image) -> Wire:
    address = image.url or data_uri(image.data or "", image.media_type or "image/png")
    return {"type": "image_url", "image_url": {"url": address}}


class OpenAIChatEncoder:
    """Writes one stream: role chunk, deltas, finish, usage if asked for, `[DONE]`."""

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._head = b""
        self._tail = b""
        self._usage: Usage | None = None
        self._finished = False
        self._closed = False
        self._called = False
        # Calls that have no arguments yet: a client must be able to parse what it collects.
        self._bare: set[int] = set()
        self._thought = ""  # since the last signature: what the next one vouches for
        self._details = 0
        self._waiting: Reasoning | None = None

    def feed(self, event: Event) -> bytes:
        """See `StreamEncoder.feed`."""
        if self._waiting is not None and not isinstance(event, ToolCallStarted):
            return self._state() + self.feed(event)
        match event:
            case TextDelta(text):
                return self._delta(b'{"content":%b}' % _encode(text))
            case ReasoningDelta() | ReasoningSigned() | ReasoningRedacted():
                return self._thinking(event)
            case ImageProduced(image):
                return self._delta(_encode({"images": [_picture(image)]}))
            case ToolArgumentsDelta(index, text):
                self._bare.discard(index)
                return self._call(index, {"function": {"arguments": text}})
            case ToolCallStarted(index, id, name):
                self._bare.add(index)
                self._called = True
                held, self._waiting = self._waiting, None
                state = wire_call_state(held.signature or "") if held is not None else {}
                function = {"name": name, "arguments": ""}
                return self._call(
                    index, {"id": id, "type": "function", "function": function, **state}
                )
            case RefusalDelta(text):
                return self._delta(b'{"refusal":%b}' % _encode(text))
            case OpaqueBlock(extras):
                return self._opaque(own_fields(extras, Dialect.OPENAI_CHAT))
            case Started():
                return self._start(event)
            case UsageReported(usage):
                self._usage = usage
            case Finished(reason):
                return self._finish(reason)
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
        self._closed = True
        ending = self._state() + self._finish("tool_calls" if self._called else "stop")
        if self._include_usage and self._usage is not None:
            head = self._head.removesuffix(_CHOICE_HEAD)
            ending += b'%b[],"usage":%b}\n\n' % (head, _encode(wire_usage(self._usage)))
        return ending + DONE

    def fail(self, error: ErrorFacts) -> bytes:
        """See `StreamEncoder.fail`."""
        if self._closed:
            return b""
        self._closed = True
        return failed_stream(error)

    def _start(self, started: Started) -> bytes:
        if self._head:
            return b""
        opening = {
            "id": reply_id(started.id, "chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": started.created_s,
            "model": started.model,
        }
        self._head = b'data: %b,"choices":%b' % (_encode(opening)[:-1], _CHOICE_HEAD)
        usage = b',"usage":null' if self._include_usage else b""
        self._tail = b',"finish_reason":null}]%b}\n\n' % usage
        return self._delta(b'{"role":"assistant","content":""}')

    def _delta(self, delta: bytes) -> bytes:
        if not self._head:
            return self._start(Started()) + self._delta(delta)
        return self._head + delta + self._tail

    def _call(self, index: int, fields: Wire) -> bytes:
        return self._delta(_encode({"tool_calls": [{"index": index, **fields}]}))

    def _thinking(self, event: ReasoningDelta | ReasoningSigned | ReasoningRedacted) -> bytes:
        match event:
            case ReasoningDelta(text):
                self._thought += text
                return self._delta(b'{"reasoning_content":%b}' % _encode(text))
            case ReasoningSigned(signature, origin):
                thought = Reasoning(self._thought, signature, origin=origin)
                self._thought, self._waiting = "", thought
                return b"" if is_call_state(thought) else self._state()
            case ReasoningRedacted(data, origin):
                self._waiting = Reasoning(redacted=data, origin=origin)
                return self._state()

    def _state(self) -> bytes:
        """The entry for state that is held back, if there is some."""
        held, self._waiting = self._waiting, None
        detail = wire_detail(held, self._details) if held is not None else None
        if detail is None:
            return b""
        self._details += 1
        return self._delta(_encode({"reasoning_details": [detail]}))

    def _opaque(self, fields: Wire) -> bytes:
        delta = {name: value for name, value in fields.items() if name not in REPLY_EXTRAS}
        beside = {name: value for name, value in fields.items() if name in REPLY_EXTRAS}
        if not fields:
            return b""
        chunk = self._delta(_encode(delta))
        return chunk[:-3] + b"," + _encode(beside)[1:] + b"\n\n" if beside else chunk

    def _finish(self, reason: str) -> bytes:
        if self._finished:
            return b""
        bare = (self._call(i, {"function": {"arguments": "{}"}}) for i in sorted(self._bare))
        chunks = b"".join(bare) + self._delta(b"{}")
        self._finished = True
        named = b'"finish_reason":%b}]' % _encode(reason)
        before, _, after = chunks.rpartition(b'"finish_reason":null}]')
        return before + named + after


_CHOICE_HEAD = b'[{"index":0,"delta":'
