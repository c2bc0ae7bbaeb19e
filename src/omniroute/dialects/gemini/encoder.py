"""Neutral replies into Gemini's, whole and streamed."""

import msgspec

from omniroute.chat import (
    ChatReply,
    Dialect,
    Event,
    Failed,
    Finished,
    FinishReason,
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
    Text,
    TextDelta,
    ToolArgumentsDelta,
    ToolCall,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from omniroute.dialects.arguments import input_object
from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.fields import own_fields
from omniroute.dialects.gemini.errors import failed_stream
from omniroute.dialects.gemini.wire import WIRE_FINISH_REASONS, Wire, carried_state, wire_usage
from omniroute.dialects.reply_ids import reply_id
from omniroute.dialects.sse import frame
from omniroute.dialects.whole_calls import WholeCalls

_encode = msgspec.json.Encoder().encode


def encode_reply(reply: ChatReply) -> bytes:
    """See `ClientCodec.encode_reply`."""
    parts: list[Wire] = []
    waiting: str | None = None
    for part in reply.parts:
        if _stands_before(part):
            waiting = part.signature if isinstance(part, Reasoning) else None
            continue
        for wire in _parts(part):
            if waiting is not None:
                wire["thoughtSignature"], waiting = waiting, None
            parts.append(wire)
    if waiting is not None:
        parts.append({"text": "", "thoughtSignature": waiting})
    candidate: Wire = {"content": {"role": "model", "parts": parts}, "index": 0}
    if reply.finish is not None:
        candidate["finishReason"] = WIRE_FINISH_REASONS[reply.finish]
    wire = {"candidates": [candidate], **_beside(Started(reply.id, reply.model))}
    return _encode(wire | ({"usageMetadata": wire_usage(reply.usage)} if reply.usage else {}))


def _stands_before(part: Part) -> bool:
    """Whether a part is this dialect's own state, which rides on the part that follows."""
    if not isinstance(part, Reasoning) or part.text or part.signature is None:
        return False
    return part.origin in (None, Dialect.GEMINI)


def _beside(started: Started) -> Wire:
    return {"modelVersion": started.model, "responseId": reply_id(started.id, "")}


def _parts(part: Part) -> list[Wire]:
    match part:
        case Text(text) | Refusal(text):
            return [{"text": text}]
        case Reasoning(redacted=str(data), origin=origin):
            return [_thought("", carried_state(data, origin, redacted=True))]
        case Reasoning(text, signature, origin=origin):
            return [_thought(text, carried_state(signature, origin) if signature else None)]
        case ToolCall():
            return [_call(part)]
        case Image():
            return _picture(part)
        case Opaque(extras):
            own = own_fields(extras, Dialect.GEMINI)
            return [dict(own)] if own else []
        case _:
            return []


def _thought(text: str, signature: str | None) -> Wire:
    return {"text": text, "thought": True} | (
        {"thoughtSignature": signature} if signature is not None else {}
    )


def _call(call: ToolCall) -> Wire:
    arguments = input_object(call.arguments)
    return {"functionCall": {"id": call.id, "name": call.name, "args": arguments}}


def _picture(image: Image) -> list[Wire]:
    if image.data is None:
        return []
    data = {"mimeType": image.media_type or "image/png", "data": image.data}
    return [{"inlineData": data}]


class GeminiEncoder:
    """Writes one stream: parts as they come, calls once they are whole, the end in one frame."""

    def __init__(self) -> None:
        self._started = Started()
        self._tail = b""
        self._calls = WholeCalls()
        self._state: dict[int, str] = {}  # by the number of the call it stands on
        self._given = 0  # calls written so far
        self._waiting: str | None = None
        self._thinking = False
        self._said = False
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._closed = False

    def feed(self, event: Event) -> bytes:
        """See `StreamEncoder.feed`."""
        written = self._written(event)
        self._thinking = isinstance(event, ReasoningDelta)
        return written

    def _written(self, event: Event) -> bytes:
        match event:
            case TextDelta(text) | RefusalDelta(text):
                return self._write({"text": text})
            case ReasoningDelta(text):
                return self._write(_thought(text, None))
            case ReasoningSigned(signature, origin):
                if origin in (None, Dialect.GEMINI):
                    if self._thinking:  # it closes that thought
                        return self._write(_thought("", signature))
                    written = self._loose_state()
                    self._waiting = signature
                    return written
                return self._write(_thought("", carried_state(signature, origin)))
            case ReasoningRedacted(data, origin):
                return self._write(_thought("", carried_state(data, origin, redacted=True)))
            case ToolCallStarted():
                written = self._whole(self._calls.complete())
                if self._waiting is not None:
                    self._state[self._calls.begun], self._waiting = self._waiting, None
                self._calls.begin(event)
                return written
            case ToolArgumentsDelta():
                self._calls.extend(event)
            case ImageProduced(image):
                return b"".join(map(self._write, _picture(image)))
            case OpaqueBlock(extras):
                own = own_fields(extras, Dialect.GEMINI)
                return self._write(dict(own)) if own else b""
            case _:
                return self._note(event)
        return b""

    def close(self) -> bytes:
        """See `StreamEncoder.close`."""
        if self._closed:
            return b""
        rest = self._whole(self._calls.rest()) + self._loose_state()
        self._closed = True
        finish = WIRE_FINISH_REASONS[self._finish or "stop"]
        # Google's SDK takes a turn for failed if one of its frames says nothing at all.
        parts = [{"text": ""}] if self._said else []
        last = {"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}
        wire: Wire = {"candidates": [last], **_beside(self._started)}
        if self._usage is not None:
            wire["usageMetadata"] = wire_usage(self._usage)
        return rest + frame(_encode(wire))

    def fail(self, error: ErrorFacts) -> bytes:
        """See `StreamEncoder.fail`."""
        if self._closed:
            return b""
        self._closed = True
        return failed_stream(error)

    def _note(self, event: Event) -> bytes:
        match event:
            case Started():
                self._started = event
                self._tail = b',"index":0}],%b' % _encode(_beside(event))[1:]
            case UsageReported(usage):
                self._usage = usage
            case Finished(reason):
                self._finish = self._finish or reason
                return self._whole(self._calls.rest())
            case Failed(message, status):
                return self.fail(ErrorFacts(status=status, message=message))
        return b""

    def _whole(self, calls: list[ToolCall]) -> bytes:
        written = b""
        for call in calls:
            part = _call(call)
            if self._given in self._state:
                part["thoughtSignature"] = self._state.pop(self._given)
            self._given += 1
            written += self._write(part)
        return written

    def _loose_state(self) -> bytes:
        held, self._waiting = self._waiting, None
        return b"" if held is None else self._write({"text": "", "thoughtSignature": held})

    def _write(self, part: Wire) -> bytes:
        if self._waiting is not None and "thoughtSignature" not in part:
            part["thoughtSignature"], self._waiting = self._waiting, None
        if not self._tail:
            self._note(Started())
        self._said = True
        head = b'{"candidates":[{"content":{"role":"model","parts":['
        return frame(head + _encode(part) + b"]}" + self._tail)
