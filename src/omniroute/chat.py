"""The neutral conversation: requests of typed parts, replies as one event stream.

Every dialect decodes into and encodes from these shapes, so guardrails, cache and ledger see
one form whatever a client speaks. A whole reply is its event stream, collected.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from msgspec import Struct


class Dialect(StrEnum):
    """A wire format a client or an upstream speaks."""

    OPENAI_CHAT = "openai-chat"
    OPENAI_RESPONSES = "openai-responses"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    OLLAMA = "ollama"
    OPENAI_COMPLETIONS = "openai-completions"


Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class Extras(Struct, frozen=True):
    """Fields only one dialect understands. They ride along and return only to that dialect."""

    dialect: Dialect
    fields: dict[str, Any]


class Text(Struct, frozen=True, tag="text"):
    """Plain text."""

    text: str
    extras: Extras | None = None


class Image(Struct, frozen=True, tag="image"):
    """A picture: exactly one of `url` and `data` (base64, with `media_type`)."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    detail: str | None = None
    extras: Extras | None = None


class Audio(Struct, frozen=True, tag="audio"):
    """Sound, base64, in a named container format such as `wav`."""

    data: str
    format: str
    extras: Extras | None = None


class File(Struct, frozen=True, tag="file"):
    """A document: one of `data` (base64), `url`, `text` and `file_id`."""

    data: str | None = None
    url: str | None = None
    text: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    filename: str | None = None
    extras: Extras | None = None


class Refusal(Struct, frozen=True, tag="refusal"):
    """Text in which the model declines."""

    text: str


class Reasoning(Struct, frozen=True, tag="reasoning"):
    """Thinking the model showed.

    `signature` proves it genuine to the provider that wrote it; `redacted` is opaque thinking
    that only that provider can read. Both mean nothing to any other: `origin` is its dialect.
    `id` is the provider's own name for this piece, where it has one. With a signature and no
    text, it is the provider's state of mind before the part that follows.
    """

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    origin: Dialect | None = None
    id: str | None = None


class ToolCall(Struct, frozen=True, tag="tool_call"):
    """The model asks for a tool. `arguments` is JSON text, `""` when there are none."""

    id: str
    name: str
    arguments: str
    extras: Extras | None = None


class ToolResult(Struct, frozen=True, tag="tool_result"):
    """What a tool answered to the call `call_id`."""

    call_id: str
    parts: tuple["Text | Image | File | Opaque", ...]
    is_error: bool = False
    name: str | None = None
    extras: Extras | None = None


class Opaque(Struct, frozen=True, tag="opaque"):
    """A part only its own dialect understands, kept as received."""

    extras: Extras


Part: TypeAlias = Text | Image | Audio | File | Refusal | Reasoning | ToolCall | ToolResult | Opaque


class Message(Struct, frozen=True):
    """One turn. Tool results are parts of a `tool` message."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    extras: Extras | None = None

    @property
    def text(self) -> str:
        """All text of the turn, parts joined by newlines."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))


class Tool(Struct, frozen=True):
    """A function the model may call. `parameters` is a JSON Schema object, None when undeclared."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    extras: Extras | None = None


class HostedTool(Struct, frozen=True):
    """A tool the upstream runs itself; only its own dialect understands the declaration."""

    extras: Extras


class ToolChoice(Struct, frozen=True):
    """How the model may use tools. `name` is set for mode `tool` only."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None


class ReasoningRequest(Struct, frozen=True):
    """How much thinking is asked for: an effort, a token budget, or adaptive."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    adaptive: bool = False


class ResponseFormat(Struct, frozen=True):
    """Structured output. `schema` is set for kind `json_schema` only."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ChatRequest(Struct, frozen=True):
    """One chat call in neutral form. None always means: the client did not say."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool | HostedTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: int = 1
    reasoning: ReasoningRequest | None = None
    response_format: ResponseFormat | None = None
    user: str | None = None
    stream: bool | None = None
    include_usage: bool = False
    extras: Extras | None = None


class Usage(Struct, frozen=True):
    """Tokens of one call in disjoint buckets: each token is counted, and priced, once.

    `input_tokens` and `output_tokens` are text; sound and pictures have buckets of their own where
    the upstream tells them apart. `reported_micro_usd` is what the upstream says the call cost.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    reported_micro_usd: int | None = None

    @property
    def total_input_tokens(self) -> int:
        """Everything the model read, cached or not."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
            + self.cache_write_1h_tokens
            + self.input_audio_tokens
            + self.input_image_tokens
        )

    @property
    def total_output_tokens(self) -> int:
        """Everything the model wrote, thinking included."""
        return (
            self.output_tokens
            + self.reasoning_tokens
            + self.output_audio_tokens
            + self.output_image_tokens
        )


class Started(Struct, frozen=True, tag="started", gc=False):
    """The upstream began to answer. `created_s` is Unix seconds; empty values are unknown."""

    id: str = ""
    model: str = ""
    created_s: int = 0


class TextDelta(Struct, frozen=True, tag="text_delta", gc=False):
    """More visible text."""

    text: str


class RefusalDelta(Struct, frozen=True, tag="refusal_delta", gc=False):
    """More text of a refusal."""

    text: str


class ReasoningDelta(Struct, frozen=True, tag="reasoning_delta", gc=False):
    """More thinking."""

    text: str


class ReasoningSigned(Struct, frozen=True, tag="reasoning_signed", gc=False):
    """Closes the current thinking with its provider's signature.

    With no thinking open it stands for itself; see `Reasoning`. `origin` None: this dialect's own.
    """

    signature: str
    origin: Dialect | None = None
    id: str | None = None


class ReasoningRedacted(Struct, frozen=True, tag="reasoning_redacted", gc=False):
    """A whole piece of thinking that only its provider can read."""

    data: str
    origin: Dialect | None = None
    id: str | None = None


class ToolCallStarted(Struct, frozen=True, tag="tool_call_started", gc=False):
    """A tool call begins. `index` counts the calls of this reply from 0."""

    index: int
    id: str
    name: str


class ToolArgumentsDelta(Struct, frozen=True, tag="tool_arguments_delta", gc=False):
    """More JSON text of the arguments of call `index`; calls may interleave."""

    index: int
    text: str


class OpaqueBlock(Struct, frozen=True, tag="opaque_block"):
    """A whole reply part only its own dialect understands."""

    extras: Extras


class ImageProduced(Struct, frozen=True, tag="image_produced", gc=False):
    """A whole picture the model made."""

    image: Image


class UsageReported(Struct, frozen=True, tag="usage_reported", gc=False):
    """Cumulative token counts; the last one holds."""

    usage: Usage


class Finished(Struct, frozen=True, tag="finished", gc=False):
    """The model stopped, and why. Usage may still follow."""

    reason: FinishReason
    stop_sequence: str | None = None


class Failed(Struct, frozen=True, tag="failed"):
    """The upstream reported a failure inside its stream. Nothing follows."""

    message: str
    status: int = 502
    error_type: str | None = None
    code: str | None = None


Event: TypeAlias = (
    Started
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ReasoningSigned
    | ReasoningRedacted
    | ToolCallStarted
    | ToolArgumentsDelta
    | OpaqueBlock
    | ImageProduced
    | UsageReported
    | Finished
    | Failed
)

CONTENT_EVENTS = (
    TextDelta,
    RefusalDelta,
    ReasoningDelta,
    ReasoningRedacted,
    ToolCallStarted,
    OpaqueBlock,
    ImageProduced,
)
"""Events that carry something a client would miss: after the first of them no target is changed."""


class ChatReply(Struct, frozen=True):
    """A complete reply. `finish` is None when the stream broke off; `failure` says why."""

    id: str = ""
    model: str = ""
    created_s: int = 0
    parts: tuple[Part, ...] = ()
    finish: FinishReason | None = None
    stop_sequence: str | None = None
    usage: Usage | None = None
    failure: Failed | None = None

    @property
    def text(self) -> str:
        """All visible text of the reply, joined as the model wrote it."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class _Call:
    """A tool call whose arguments are still arriving."""

    __slots__ = ("chunks", "id", "name")

    def __init__(self, id: str, name: str) -> None:  # noqa: A002
        self.id, self.name, self.chunks = id, name, list[str]()


class Collector:
    """Folds events into a `ChatReply`. Order of parts is the order in which they began."""

    def __init__(self) -> None:
        self._started = Started()
        self._slots: list[Part | _Call] = []
        self._text: list[str] = []
        self._kind: type[TextDelta | RefusalDelta | ReasoningDelta] | None = None
        self._calls: dict[int, _Call] = {}
        self._finished: Finished | None = None
        self._usage: Usage | None = None
        self._failure: Failed | None = None

    def feed(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case TextDelta() | RefusalDelta() | ReasoningDelta():
                if type(event) is not self._kind:
                    self._close_run()
                    self._kind = type(event)
                self._text.append(event.text)
            case ReasoningSigned():
                self._close_run(event)
            case ReasoningRedacted(data, origin, id):
                self._close_run()
                self._slots.append(Reasoning(redacted=data, origin=origin, id=id))
            case ToolCallStarted(index, id, name):
                self._close_run()
                self._calls[index] = call = _Call(id, name)
                self._slots.append(call)
            case ToolArgumentsDelta(index, text):
                if index in self._calls:
                    self._calls[index].chunks.append(text)
            case OpaqueBlock(extras):
                self._close_run()
                self._slots.append(Opaque(extras))
            case ImageProduced(image):
                self._close_run()
                self._slots.append(image)
            case Started():
                self._started = event
            case UsageReported(usage):
                self._usage = usage
            case Finished():
                self._finished = event
            case Failed():
                self._failure = event

    def _close_run(self, signed: ReasoningSigned | None = None) -> None:
        text, kind = "".join(self._text), self._kind
        self._text.clear()
        self._kind = None
        if kind is TextDelta and text:
            self._slots.append(Text(text))
        elif kind is RefusalDelta and text:
            self._slots.append(Refusal(text))
        thought = text if kind is ReasoningDelta else ""
        if signed is not None:
            self._slots.append(
                Reasoning(thought, signed.signature, origin=signed.origin, id=signed.id)
            )
        elif thought:
            self._slots.append(Reasoning(thought))

    def reply(self) -> ChatReply:
        """What has arrived so far, as a reply."""
        self._close_run()
        parts = tuple(
            ToolCall(slot.id, slot.name, "".join(slot.chunks)) if isinstance(slot, _Call) else slot
            for slot in self._slots
        )
        finished = self._finished
        return ChatReply(
            id=self._started.id,
            model=self._started.model,
            created_s=self._started.created_s,
            parts=parts,
            finish=finished.reason if finished else None,
            stop_sequence=finished.stop_sequence if finished else None,
            usage=self._usage,
            failure=self._failure,
        )


def collect(events: Iterable[Event]) -> ChatReply:
    """Fold a finished event stream into one reply."""
    collector = Collector()
    for event in events:
        collector.feed(event)
    return collector.reply()


def events_of(reply: ChatReply) -> Iterator[Event]:
    """A whole reply as the stream it could have been: each part in one piece."""
    yield Started(reply.id, reply.model, reply.created_s)
    calls = 0
    for part in reply.parts:
        match part:
            case Text(text):
                yield TextDelta(text)
            case Refusal(text):
                yield RefusalDelta(text)
            case Reasoning(redacted=str(data), origin=origin):
                yield ReasoningRedacted(data, origin)
            case Reasoning(text, signature, origin=origin, id=item_id):
                yield from [ReasoningDelta(text)] if text else []
                yield from [ReasoningSigned(signature, origin, item_id)] if signature else []
            case ToolCall(id, name, arguments):
                yield ToolCallStarted(calls, id, name)
                yield ToolArgumentsDelta(calls, arguments)
                calls += 1
            case Image():
                yield ImageProduced(part)
            case Opaque(extras):
                yield OpaqueBlock(extras)
    if reply.usage is not None:
        yield UsageReported(reply.usage)
    if reply.finish is not None:
        yield Finished(reply.finish, reply.stop_sequence)
