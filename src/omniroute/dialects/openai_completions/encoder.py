"""Neutral replies into text completions, whole and streamed."""

from typing import Any

import msgspec

from omniroute.chat import (
    ChatReply,
    Event,
    Failed,
    Finished,
    FinishReason,
    RefusalDelta,
    Started,
    TextDelta,
    Usage,
    UsageReported,
)
from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.openai_chat.errors import DONE, failed_stream
from omniroute.dialects.openai_chat.wire import wire_usage
from omniroute.dialects.reply_ids import reply_id
from omniroute.dialects.sse import frame

_encode = msgspec.json.Encoder().encode


def encode_reply(reply: ChatReply, echo: str) -> bytes:
    """See `ClientCodec.encode_reply`; `echo` stands before the text."""
    started = Started(reply.id, reply.model, reply.created_s)
    wire = _completion(started, echo + reply.text, _finish(reply.finish))
    if reply.usage is not None:
        wire["usage"] = wire_usage(reply.usage)
    return _encode(wire)


def _completion(started: Started, text: str, finish: str | None) -> dict[str, Any]:
    return {
        "id": reply_id(started.id, "cmpl-"),
        "object": "text_completion",
        "created": started.created_s,
        "model": started.model,
        "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}],
    }


def _finish(reason: FinishReason | None) -> str:
    return reason if reason in ("length", "content_filter") else "stop"


class CompletionEncoder:
    """Writes one stream: text as it comes, the reason for the end, usage if asked for, `[DONE]`."""

    def __init__(self, echo: str, *, include_usage: bool) -> None:
        self._echo = echo
        self._include_usage = include_usage
        self._started = Started()
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._closed = False

    def feed(self, event: Event) -> bytes:
        """See `StreamEncoder.feed`."""
        match event:
            case TextDelta(text) | RefusalDelta(text):
                return self._write(text)
            case Started():
                self._started = event
                echo, self._echo = self._echo, ""
                return self._write(echo) if echo else b""
            case UsageReported(usage):
                self._usage = usage
            case Finished(reason):
                self._finish = self._finish or reason
            case Failed(message, status):
                return self.fail(ErrorFacts(status=status, message=message))
        return b""

    def close(self) -> bytes:
        """See `StreamEncoder.close`."""
        if self._closed:
            return b""
        self._closed = True
        written = self._write("", _finish(self._finish))
        if self._include_usage and self._usage is not None:
            chunk = _completion(self._started, "", None)
            written += frame(_encode({**chunk, "choices": [], "usage": wire_usage(self._usage)}))
        return written + DONE

    def fail(self, error: ErrorFacts) -> bytes:
        """See `StreamEncoder.fail`."""
        if self._closed:
            return b""
        self._closed = True
        return failed_stream(error)

    def _write(self, text: str, finish: str | None = None) -> bytes:
        return frame(_encode(_completion(self._started, text, finish)))
