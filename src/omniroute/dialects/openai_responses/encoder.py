"""Neutral replies into Responses, whole and streamed."""

from collections.abc import Iterable

import msgspec

from omniroute.chat import (
    ChatReply,
    ChatRequest,
    Dialect,
    Event,
    Failed,
    Finished,
    FinishReason,
    ImageProduced,
    OpaqueBlock,
    Reasoning,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    events_of,
)
from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.fields import own_fields
from omniroute.dialects.openai_responses.errors import failure
from omniroute.dialects.openai_responses.items import (
    CallItem,
    FreeCallItem,
    Item,
    MessageItem,
    ReasoningItem,
    WholeItem,
)
from omniroute.dialects.openai_responses.wire import (
    INCOMPLETE,
    Wire,
    free_form_names,
    response_object,
    wire_usage,
)
from omniroute.dialects.reply_ids import reply_id
from omniroute.dialects.sse import frame

_encode = msgspec.json.Encoder().encode


def encode_reply(reply: ChatReply, request: ChatRequest) -> bytes:
    """See `ClientCodec.encode_reply`: what the stream of the same reply ends with."""
    encoder = ResponsesEncoder(request)
    for event in events_of(reply):
        encoder.feed(event)
    encoder.close()
    return _encode(encoder.response)


class ResponsesEncoder:
    """Writes one stream. Items come one after the other, whatever the upstream interleaves.

    The item in front is written as it grows; those behind it wait until it is complete.
    `response` is the response as far as it is written.
    """

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._free_form = free_form_names(request)
        self._started = Started()
        self._opened = False
        self._closed = False
        self._number = 0
        self._queue: list[Item] = []
        self._calls: dict[int, CallItem] = {}
        self._begun = 0
        self._output: list[Wire] = []
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self.response: Wire = {}

    def feed(self, event: Event) -> bytes:
        """See `StreamEncoder.feed`."""
        match event:
            case TextDelta(text) | RefusalDelta(text):
                kind = "output_text" if isinstance(event, TextDelta) else "refusal"
                self._message().add(kind, text)
            case ReasoningDelta() | ReasoningSigned() | ReasoningRedacted():
                self._think(event)
            case ToolCallStarted(index, id, name):
                free = name in self._free_form
                call = FreeCallItem(id, name) if free else CallItem(id, name)
                self._calls[index] = call
                self._queue.append(call)
            case ToolArgumentsDelta(index, text):
                if index in self._calls and text:
                    self._calls[index].add(text)
            case ImageProduced(image):
                fields = {"type": "image_generation_call", "status": "completed"}
                self._queue.append(WholeItem("ig", {**fields, "result": image.data}))
            case OpaqueBlock(extras):
                own = own_fields(extras, Dialect.OPENAI_RESPONSES)
                if own:
                    self._queue.append(WholeItem("item", own))
            case _:
                return self._note(event)
        return self._drain()

    def close(self) -> bytes:
        """See `StreamEncoder.close`."""
        if self._closed:
            return b""
        written = self._open() + self._drain(everything=True)
        self._closed = True
        reason = INCOMPLETE.get(self._finish or "stop")
        status = "incomplete" if reason else "completed"
        details = {"reason": reason} if reason else None
        self.response = self._shown(status, incomplete_details=details)
        return written + self._event({"type": f"response.{status}", "response": self.response})

    def fail(self, error: ErrorFacts) -> bytes:
        """See `StreamEncoder.fail`."""
        if self._closed:
            return b""
        self._closed = True
        self.response = self._shown("failed", error=failure(error))
        return self._event({"type": "response.failed", "response": self.response})

    def _note(self, event: Event) -> bytes:
        match event:
            case Started():
                self._started = event
            case UsageReported(usage):
                self._usage = usage
            case Finished(reason):
                self._finish = self._finish or reason
            case Failed(message, status, error_type, code):
                return self.fail(
                    ErrorFacts(status=status, message=message, type=error_type, code=code)
                )
        return b""

    def _message(self) -> MessageItem:
        newest = self._queue[-1] if self._queue else None
        if isinstance(newest, MessageItem):
            return newest
        item = MessageItem()
        self._queue.append(item)
        return item

    def _think(self, event: ReasoningDelta | ReasoningSigned | ReasoningRedacted) -> None:
        newest = self._queue[-1] if self._queue else None
        grows = isinstance(newest, ReasoningItem) and newest.state is None
        if not grows or isinstance(event, ReasoningRedacted):
            newest = ReasoningItem()
            self._queue.append(newest)
        if not isinstance(newest, ReasoningItem):
            return
        match event:
            case ReasoningDelta(text):
                newest.add(text)
            case ReasoningSigned(signature, origin, item_id):
                newest.state = Reasoning(signature=signature, origin=origin, id=item_id)
            case ReasoningRedacted(data, origin):
                newest.state = Reasoning(redacted=data, origin=origin)

    def _drain(self, *, everything: bool = False) -> bytes:
        """Write what the order of items allows."""
        written: list[bytes] = []
        while self._queue:
            item = self._queue[0]
            if not item.begun:
                written += [self._open(), self._begin(item)]
            written.append(self._events(item.grow()))
            if not (everything or (len(self._queue) > 1 and item.complete)):
                break
            written.append(self._events(item.close()))
            done = item.done()
            written.append(self._event({"type": "response.output_item.done", "item": done}))
            self._output.append(done)
            del self._queue[0]
        return b"".join(written)

    def _open(self) -> bytes:
        if self._opened:
            return b""
        self._opened = True
        shown = self._shown("in_progress")
        kinds = ("response.created", "response.in_progress")
        return b"".join(self._event({"type": kind, "response": shown}) for kind in kinds)

    def _begin(self, item: Item) -> bytes:
        item.begun = True
        body = reply_id(self._started.id, "")
        item.id = f"{item.prefix}_{self._begun}_{body}"
        self._begun += 1
        return self._event({"type": "response.output_item.added", "item": item.opening()})

    def _shown(self, status: str, **fields: object) -> Wire:
        started = self._started
        return response_object(
            reply_id(started.id, "resp_"),
            started.model,
            started.created_s,
            self._request,
            status=status,
            output=list(self._output),
            usage=wire_usage(self._usage) if status != "in_progress" else None,
            **fields,
        )

    def _events(self, events: Iterable[Wire]) -> bytes:
        return b"".join(map(self._event, events))

    def _event(self, fields: Wire) -> bytes:
        if "response" not in fields:
            fields["output_index"] = len(self._output)
        fields["sequence_number"] = self._number
        self._number += 1
        return frame(_encode(fields), fields["type"])
