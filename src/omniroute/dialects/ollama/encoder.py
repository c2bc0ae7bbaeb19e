"""Neutral replies into Ollama's lines, whole and streamed, for chats and for prompts."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from omniroute.chat import (
    ChatReply,
    ChatRequest,
    Event,
    Failed,
    Finished,
    FinishReason,
    Image,
    ImageProduced,
    Reasoning,
    ReasoningDelta,
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
from omniroute.dialects.ollama.errors import error_line
from omniroute.dialects.whole_calls import WholeCalls

Wire: TypeAlias = dict[str, Any]
Line: TypeAlias = Callable[[Wire], Wire]
"""Where a message stands in a line."""

_encode = msgspec.json.Encoder().encode


def chat_line(message: Wire) -> Wire:
    """A line of a chat."""
    return {"message": {"role": "assistant", "content": "", **message}}


def prompt_line(message: Wire) -> Wire:
    """A line of the answer to a prompt; it knows no tools."""
    rest = {name: value for name, value in message.items() if name in ("thinking", "images")}
    return {"response": message.get("content", ""), **rest}


def encode_reply(reply: ChatReply, request: ChatRequest, line: Line) -> bytes:
    """See `ClientCodec.encode_reply`."""
    message: Wire = {
        "content": "".join(p.text for p in reply.parts if isinstance(p, Text | Refusal))
    }
    thinking = "".join(part.text for part in reply.parts if isinstance(part, Reasoning))
    if thinking:
        message["thinking"] = thinking
    images = [part.data for part in reply.parts if isinstance(part, Image) and part.data]
    if images:
        message["images"] = images
    calls = [part for part in reply.parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = _calls(calls)
    head = _head(request, reply.created_s)
    return _encode({**head, **line(message), **_end(reply.finish, reply.usage)})


def _head(request: ChatRequest, created_s: int) -> Wire:
    at = datetime.fromtimestamp(created_s, UTC).isoformat(timespec="milliseconds")
    return {"model": request.model, "created_at": at.replace("+00:00", "Z")}


def _calls(calls: Iterable[ToolCall]) -> list[Wire]:
    return [
        {"id": call.id, "function": {"name": call.name, "arguments": input_object(call.arguments)}}
        for call in calls
    ]


def _end(finish: FinishReason | None, usage: Usage | None) -> Wire:
    """What closes an answer. Codecs hold no clock: the durations say nothing."""
    counts = usage or Usage()
    return {
        "done": True,
        "done_reason": "length" if finish == "length" else "stop",
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": counts.total_input_tokens,
        "prompt_eval_duration": 0,
        "eval_count": counts.total_output_tokens,
        "eval_duration": 0,
    }


class OllamaEncoder:
    """Writes one stream: lines as they come, calls once they are whole, one line at the end."""

    def __init__(self, request: ChatRequest, line: Line) -> None:
        self._request = request
        self._line = line
        self._head = _head(request, 0)
        self._calls = WholeCalls()
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._closed = False

    def feed(self, event: Event) -> bytes:
        """See `StreamEncoder.feed`."""
        match event:
            case TextDelta(text) | RefusalDelta(text):
                return self._write({"content": text})
            case ReasoningDelta(text):
                return self._write({"thinking": text})
            case ToolCallStarted():
                written = self._whole(self._calls.complete())
                self._calls.begin(event)
                return written
            case ToolArgumentsDelta():
                self._calls.extend(event)
            case ImageProduced(image):
                return self._write({"images": [image.data]}) if image.data else b""
            case Started():
                self._head = _head(self._request, event.created_s)
            case UsageReported(usage):
                self._usage = usage
            case Finished(reason):
                self._finish = self._finish or reason
                return self._whole(self._calls.rest())
            case Failed(message, status):
                return self.fail(ErrorFacts(status=status, message=message))
        return b""

    def close(self) -> bytes:
        """See `StreamEncoder.close`."""
        if self._closed:
            return b""
        rest = self._whole(self._calls.rest())
        self._closed = True
        return rest + self._encoded({**self._line({}), **_end(self._finish, self._usage)})

    def fail(self, error: ErrorFacts) -> bytes:
        """See `StreamEncoder.fail`."""
        if self._closed:
            return b""
        self._closed = True
        return error_line(error)

    def _whole(self, calls: list[ToolCall]) -> bytes:
        return self._write({"tool_calls": _calls(calls)}) if calls else b""

    def _write(self, message: Wire) -> bytes:
        return self._encoded({**self._line(message), "done": False})

    def _encoded(self, fields: Wire) -> bytes:
        return _encode({**self._head, **fields}) + b"\n"
