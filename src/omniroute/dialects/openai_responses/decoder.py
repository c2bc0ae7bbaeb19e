"""Responses replies, whole and streamed, into neutral events."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from omniroute.chat import (
    Dialect,
    Event,
    Extras,
    Failed,
    Finished,
    FinishReason,
    Image,
    ImageProduced,
    OpaqueBlock,
    ReasoningDelta,
    ReasoningSigned,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from omniroute.dialects.codec import MalformedReply, ServerEvent
from omniroute.dialects.error_bodies import read_failure
from omniroute.dialects.openai_responses.wire import WireUsage, free_arguments, read_usage
from omniroute.dialects.reply_ids import call_id
from omniroute.dialects.sse import looks_like_events, split
from omniroute.dialects.tool_names import NO_NAMES

R = Dialect.OPENAI_RESPONSES

_PARAGRAPH = "\n\n"  # stands between the pieces of a summary
_CALLS = ("function_call", "custom_tool_call")


class WireResponse(Struct):
    """A response object."""

    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    output: list[dict[str, Any]] | None = None
    error: Any = None
    incomplete_details: dict[str, Any] | None = None
    usage: WireUsage | None = None


class WireEvent(Struct):
    """One event of a stream; most members are absent from most."""

    type: str | None = None
    response: WireResponse | None = None
    item: dict[str, Any] | None = None
    output_index: int = 0
    summary_index: int = 0
    delta: Any = None
    arguments: str | None = None
    error: Any = None
    message: str | None = None
    code: str | None = None


_READ_EVENT = msgspec.json.Decoder(WireEvent)
_READ_RESPONSE = msgspec.json.Decoder(WireResponse)
_ENDINGS = ("completed", "incomplete", "failed", "cancelled", "canceled", "done")


class ResponsesDecoder:
    """Reads one stream. What an event leaves out, the end of its item or of the reply makes up."""

    def __init__(self, tool_names: Mapping[str, str] = NO_NAMES) -> None:
        self.finished = False
        self._tool_names = tool_names
        self._started = False
        self._reply = ""
        self._items: dict[int, _OpenItem] = {}
        self._calls = 0

    def feed(self, event: ServerEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        data = event.data.strip()
        if not data or data == "[DONE]":
            return []
        try:
            wire = _READ_EVENT.decode(data)
            return list(self._read(wire.type or event.name, wire))
        except (ValueError, RecursionError) as error:
            raise MalformedReply("not an event of a Responses stream") from error

    def _read(self, kind: str, wire: WireEvent) -> Iterator[Event]:
        item = self._items.get(wire.output_index)
        match kind.removeprefix("response."):
            case "output_text.delta":
                yield from self._text(wire, TextDelta)
            case "refusal.delta":
                yield from self._text(wire, RefusalDelta)
            case "reasoning_summary_text.delta" | "reasoning_text.delta":
                yield from self._thought(wire)
            case "function_call_arguments.delta" if item is not None:
                yield from item.arguments(str(wire.delta or ""))
            case "function_call_arguments.done" if item is not None:
                yield from item.all_arguments(wire.arguments or "")
            case "output_item.added" if wire.item is not None:
                yield from self._begin(wire.output_index, wire.item)
            case "output_item.done" if wire.item is not None:
                yield from self._end(wire.output_index, wire.item)
            case "created" | "in_progress" if wire.response is not None:
                yield from self._start(wire.response)
            case ending if ending in _ENDINGS and wire.response is not None:
                yield from self.whole(wire.response)
            case "error":
                self.finished = True
                yield read_failure(wire.error or {"message": wire.message, "code": wire.code})

    def whole(self, response: WireResponse) -> Iterator[Event]:
        """Events of a response that has ended, without those already given."""
        yield from self._start(response)
        self.finished = True
        error = response.error
        if response.status in ("failed", "cancelled", "canceled") or error:
            yield _failed(response.status, error)
            return
        for place, item in enumerate(response.output or ()):
            yield from self._end(place, item)
        yield Finished(self._finish(response))
        usage = read_usage(response.usage)
        if usage is not None:
            yield UsageReported(usage)

    def _finish(self, response: WireResponse) -> FinishReason:
        if response.status == "incomplete":
            reason = (response.incomplete_details or {}).get("reason")
            return "content_filter" if reason == "content_filter" else "length"
        return "tool_calls" if self._calls else "stop"

    def _start(self, response: WireResponse) -> Iterator[Event]:
        if not self._started:
            self._started, self._reply = True, response.id or ""
            created_s = int(response.created_at or 0)
            yield Started(response.id or "", response.model or "", created_s)

    def _text(self, wire: WireEvent, made: type[TextDelta] | type[RefusalDelta]) -> Iterator[Event]:
        if isinstance(wire.delta, str) and wire.delta:
            self._item(wire.output_index, "message").written = True
            yield made(wire.delta)

    def _thought(self, wire: WireEvent) -> Iterator[Event]:
        item = self._item(wire.output_index, "reasoning")
        if isinstance(wire.delta, str) and wire.delta:
            if item.written and wire.summary_index > item.piece:
                yield ReasoningDelta(_PARAGRAPH)
            item.piece, item.written = wire.summary_index, True
            yield ReasoningDelta(wire.delta)

    def _item(self, index: int, kind: str) -> "_OpenItem":
        return self._items.setdefault(index, _OpenItem(kind))

    def _begin(self, index: int, wire: dict[str, Any]) -> Iterator[Event]:
        item = self._item(index, str(wire.get("type")))
        if item.kind in _CALLS and item.call is None and wire.get("name"):
            item.call = self._calls
            self._calls += 1
            name = str(wire["name"])
            sent = wire.get("call_id") or wire.get("id")
            named = str(sent or call_id(self._reply, item.call, name))
            yield ToolCallStarted(item.call, named, self._tool_names.get(name, name))
            yield from item.arguments("")

    def _end(self, index: int, wire: dict[str, Any]) -> Iterator[Event]:
        yield from self._begin(index, wire)
        item = self._items[index]
        if item.ended:
            return
        item.ended = True
        match item.kind:
            case "message":
                if not item.written:
                    yield from _message(wire)
            case "reasoning":
                if not item.written:
                    pieces = [*_list(wire, "summary"), *_list(wire, "content")]
                    text = _PARAGRAPH.join(_texts(pieces))
                    yield from [ReasoningDelta(text)] if text else []
                if isinstance(wire.get("encrypted_content"), str):
                    item_id = wire.get("id")
                    named = item_id if isinstance(item_id, str) else None
                    yield ReasoningSigned(wire["encrypted_content"], R, named)
            case "function_call":
                yield from item.all_arguments(str(wire.get("arguments") or ""))
            case "custom_tool_call":
                yield from item.all_arguments(free_arguments(str(wire.get("input") or "")))
            case "image_generation_call" if isinstance(wire.get("result"), str):
                media_type = f"image/{wire.get('output_format') or 'png'}"
                yield ImageProduced(Image(data=wire["result"], media_type=media_type))
            case _:
                yield OpaqueBlock(Extras(R, wire))


class _OpenItem:
    """An item as far as it has come. `piece` is the part of a summary that came last."""

    __slots__ = ("call", "ended", "held", "kind", "piece", "written")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.call: int | None = None
        self.ended = self.written = False
        self.piece = 0
        self.held = ""  # arguments of a call whose name is not known yet

    def arguments(self, text: str) -> Iterator[Event]:
        """More arguments."""
        self.held += text
        if self.call is not None and self.held and self.kind == "function_call":
            text, self.held = self.held, ""
            self.written = True
            yield ToolArgumentsDelta(self.call, text)

    def all_arguments(self, text: str) -> Iterator[Event]:
        """The arguments in one piece, of use when none came before."""
        if self.call is not None and not self.written and text:
            self.written = True
            yield ToolArgumentsDelta(self.call, text)


def _list(wire: Mapping[str, Any], name: str) -> list[Any]:
    value = wire.get(name)
    return value if isinstance(value, list) else []


def _texts(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]


def _message(wire: Mapping[str, Any]) -> Iterator[Event]:
    for part in _list(wire, "content"):
        match part:
            case {"type": "refusal", "refusal": str(text)} if text:
                yield RefusalDelta(text)
            case {"text": str(text)} if text:
                yield TextDelta(text)


def _failed(status: str | None, error: object) -> Failed:
    if not error:
        return Failed(f"The upstream ended its reply as {status}")
    limited = isinstance(error, dict) and error.get("code") == "rate_limit_exceeded"
    return read_failure(error, 429 if limited else 502)


def decode_reply(body: bytes, tool_names: Mapping[str, str] = NO_NAMES) -> list[Event]:
    """See `Codec.decode_reply`. A stream that came instead of a whole reply is read, too."""
    decoder = ResponsesDecoder(tool_names)
    if looks_like_events(body):
        return [event for frame in split(body) for event in decoder.feed(frame)]
    try:
        response = _READ_RESPONSE.decode(body)
        if response.output is None and not response.error:
            raise MalformedReply("neither output nor an error")
        return list(decoder.whole(response))
    except (ValueError, RecursionError) as error:
        raise MalformedReply("not a response") from error
