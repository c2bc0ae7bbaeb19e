"""OpenAI Chat replies, whole and streamed, into neutral events."""

from collections.abc import Iterator, Mapping

import msgspec

from omniroute.chat import (
    Dialect,
    Event,
    Extras,
    Failed,
    Finished,
    Image,
    ImageProduced,
    OpaqueBlock,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from omniroute.dialects.codec import MalformedReply, ServerEvent
from omniroute.dialects.data_uris import parse_data_uri
from omniroute.dialects.error_bodies import read_failure
from omniroute.dialects.openai_chat.wire import (
    FINISH_REASONS,
    MESSAGE_EXTRAS,
    REPLY_EXTRAS,
    WireChoice,
    WireMessage,
    WireReply,
    WireToolCall,
    content_text,
    read_usage,
    reasoning_text,
)
from omniroute.dialects.reply_ids import call_id
from omniroute.dialects.sse import looks_like_events, split
from omniroute.dialects.tool_names import NO_NAMES

_READ = msgspec.json.Decoder(WireReply)


class OpenAIChatDecoder:
    """Reads one stream. Only the first choice is read; the neutral model has one answer."""

    def __init__(self, tool_names: Mapping[str, str] = NO_NAMES) -> None:
        self.finished = False
        self._tool_names = tool_names
        self._started: Started | None = None
        self._finish: str | None = None
        self._calls = _Calls()

    def feed(self, event: ServerEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        data = event.data.strip()
        if not data:
            return []
        if data == "[DONE]":
            self.finished = True
            return []
        return list(self.read(read_reply(data)))

    def read(self, reply: WireReply) -> Iterator[Event]:
        """Events of one chunk, or of a whole reply: its message is one big delta."""
        if reply.error:
            yield read_failure(reply.error)
            return
        if self._started is None and (reply.id or reply.choices):
            created_s = int(reply.created or 0)
            self._started = Started(reply.id or "", reply.model or "", created_s)
            self._calls.reply = reply.id or ""
            yield self._started
        choice = next((c for c in reply.choices or () if not c.index), None)
        if choice is not None:
            message = choice.delta or choice.message
            if message is not None:
                yield from self._message(message)
            yield from self._ending(choice)
        for name in REPLY_EXTRAS:
            value = getattr(reply, name)
            # Perplexity repeats the list in every chunk: once is enough.
            if value and choice is not None and choice.finish_reason:
                yield OpaqueBlock(Extras(Dialect.OPENAI_CHAT, {name: value}))
        usage = read_usage(reply.usage or (reply.x_groq.usage if reply.x_groq else None))
        if usage is not None:
            yield UsageReported(usage)

    def _message(self, message: WireMessage) -> Iterator[Event]:
        thought, text = content_text(message.content)
        thought = reasoning_text(message) or thought
        if thought:
            yield ReasoningDelta(thought)
        if text:
            yield TextDelta(text)
        if message.refusal:
            yield RefusalDelta(message.refusal)
        for picture in message.images or ():
            yield from _pictures(picture)
        for name in MESSAGE_EXTRAS:
            value = getattr(message, name)
            if value:
                yield OpaqueBlock(Extras(Dialect.OPENAI_CHAT, {name: value}))
        for position, call in enumerate(message.tool_calls or ()):
            yield from self._named(self._calls.feed(call, position))
        if message.function_call is not None:
            legacy = WireToolCall(index=0, function=message.function_call)
            yield from self._named(self._calls.feed(legacy, 0))

    def _named(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, ToolCallStarted) and event.name in self._tool_names:
                yield ToolCallStarted(event.index, event.id, self._tool_names[event.name])
            else:
                yield event

    def _ending(self, choice: WireChoice) -> Iterator[Event]:
        if not choice.finish_reason or self._finish is not None:
            return
        self._finish = choice.finish_reason
        if choice.finish_reason == "error":
            yield Failed("The upstream broke off its reply")
            return
        reason = FINISH_REASONS.get(choice.finish_reason, "stop")
        # Some services say `stop` after calling tools, or announce calls and make none.
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if self._calls.started else "stop"
        yield Finished(reason)


def _pictures(picture: object) -> Iterator[Event]:
    match picture:
        case {"image_url": {"url": str(url)}} | {"image_url": str(url)}:
            inline = parse_data_uri(url)
            if inline is None:
                yield ImageProduced(Image(url=url))
            else:
                yield ImageProduced(Image(data=inline[1], media_type=inline[0]))


class _Calls:
    """Sorts call fragments. A call begins once its name is known; its id may be missing."""

    def __init__(self) -> None:
        self.reply = ""
        self.started = 0
        self._open: dict[int, _Call] = {}

    def feed(self, wire: WireToolCall, position: int) -> Iterator[Event]:
        key = position if wire.index is None else wire.index
        call = self._open.get(key)
        # Gemini's compatible endpoint numbers every call 0: a new id is a new call.
        if call is None or (wire.id and call.id and wire.id != call.id):
            call = self._open[key] = _Call()
        call.id = call.id or wire.id or ""
        function = wire.function
        if function is None:
            return
        arguments = function.arguments
        if arguments is not None and not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        if call.number is None:
            call.held += arguments or ""
            if not function.name:
                return
            call.number, arguments = self.started, call.held
            call.id = call.id or call_id(self.reply, call.number, function.name)
            self.started += 1
            yield ToolCallStarted(call.number, call.id, function.name)
        if arguments:
            yield ToolArgumentsDelta(call.number, arguments)


class _Call:
    __slots__ = ("held", "id", "number")

    def __init__(self) -> None:
        self.id = ""
        self.held = ""
        self.number: int | None = None


def read_reply(data: str | bytes) -> WireReply:
    """One JSON object of this dialect.

    Raises:
        MalformedReply: it is something else.
    """
    try:
        return _READ.decode(data)
    except (ValueError, RecursionError) as error:
        raise MalformedReply("not an OpenAI chat object") from error


def decode_reply(body: bytes, tool_names: Mapping[str, str] = NO_NAMES) -> list[Event]:
    """See `Codec.decode_reply`. A stream that came instead of a whole reply is read, too."""
    decoder = OpenAIChatDecoder(tool_names)
    if looks_like_events(body):
        events = [event for frame in split(body) for event in decoder.feed(frame)]
    else:
        events = list(decoder.read(read_reply(body)))
    if not events:
        raise MalformedReply("neither choices nor an error")
    return events
