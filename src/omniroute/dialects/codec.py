"""What every dialect module provides: pure functions and small state machines, no I/O."""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from omniroute.chat import ChatReply, ChatRequest, Dialect, Event, Failed, Usage


class ServerEvent(Struct, frozen=True, gc=False):
    """One server-sent event: the `event:` name (may be empty) and the joined `data:` lines."""

    name: str
    data: str


class TargetFacts(Struct, frozen=True, kw_only=True):
    """What an encoder must know about the model it writes for.

    `model` is the upstream's id. Limits are tokens, None when unknown. The rest are differences
    between services that speak the same dialect; a provider row names them: `adaptive_thinking`
    and `structured_output` are features newer Anthropic models have, `fixed_sampling` says that
    they take no sampling parameters, `thinking_levels` says that
    a Gemini model takes levels instead of budgets. `system_role`, that system turns are understood,
    and `call_id_chars`, the exact length of call ids where a service insists on one, are met by
    `adaptation.adapted` before an encoder writes.
    """

    model: str
    max_output_tokens: int | None = None
    stream: bool = False
    stream_usage: bool = True
    max_completion_tokens: bool = False
    developer_role: bool = False
    reasoning_history: bool = False
    adaptive_thinking: bool = False
    fixed_sampling: bool = False
    structured_output: bool = False
    thinking_levels: bool = False
    system_role: bool = True
    call_id_chars: int | None = None


class ErrorFacts(Struct, frozen=True, kw_only=True):
    """An error as a client shall see it. `type` and `code` None: the dialect's table decides."""

    status: int
    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    request_id: str | None = None
    extras: Mapping[str, Any] = {}


class Splitter(Protocol):
    """Cuts an upstream's bytes into frames: server-sent events, or lines of JSON."""

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Frames that `chunk` completes; chunks may be cut anywhere.

        Raises:
            MalformedReply: a frame is larger than the limit for one.
        """

    def close(self) -> list[ServerEvent]:
        """What the end of the stream completes."""


class StreamDecoder(Protocol):
    """Turns an upstream's stream into neutral events."""

    def feed(self, event: ServerEvent) -> list[Event]:
        """Events of one frame; `[]` for pings, comments and frames without meaning.

        Raises:
            MalformedReply: the frame is not what this dialect sends.
        """

    @property
    def finished(self) -> bool:
        """Whether the dialect's own terminal marker has been seen (`[DONE]`, `message_stop`)."""


class StreamEncoder(Protocol):
    """Turns neutral events into a client's stream."""

    def feed(self, event: Event) -> bytes:
        """Frames for one event; `b""` while something is held back."""

    def close(self) -> bytes:
        """Frames that end a stream which finished properly."""

    def fail(self, error: ErrorFacts) -> bytes:
        """Frames that end a stream honestly after a failure: an error, never a made-up finish."""


class Relay(Protocol):
    """Passes a same-dialect stream on untouched and reads what the ledger needs in passing."""

    usage: Usage | None
    content: bool
    finished: bool
    """A finish reason (or the terminal marker) has been passed on."""
    done: bool
    """The terminal marker has been passed on."""
    failure: Failed | None

    def feed(self, chunk: bytes) -> bytes:
        """What to send on now; chunks may be cut anywhere.

        The bytes are those that came in, held back at most to the end of the frame they are in,
        so that `content`, `finished` and `failure` are true about everything returned so far.
        """

    def close(self) -> bytes:
        """What was still held back when the upstream ended."""

    def fail(self, error: ErrorFacts) -> bytes:
        """Frames that end the stream honestly after a failure, as `StreamEncoder.fail`."""


class ClientCodec(Protocol):
    """One wire format as clients speak it."""

    dialect: Dialect

    stream_type: str
    """The media type of a stream."""

    own_ids: bool
    """Whether replies get ids of the gateway's: clients ask for them again by id."""

    def decode_request(self, body: bytes) -> ChatRequest:
        """A client's request. What its dialect puts into the path, the door fills in.

        Raises:
            InvalidRequest: not a JSON object, or fields of the wrong type, named by path.
        """

    def encode_reply(self, reply: ChatReply, request: ChatRequest) -> bytes:
        """A whole reply for a client, which may echo what was asked."""

    def encoder(self, request: ChatRequest) -> StreamEncoder:
        """A fresh encoder for one client stream."""

    def encode_error(self, error: ErrorFacts) -> bytes:
        """An error body for a client."""

    def keepalive(self) -> bytes:
        """A frame that says nothing and keeps a stream open; `b""` when there is none."""


class Codec(ClientCodec, Protocol):
    """One wire format, both directions."""

    carries_addresses: bool
    """Whether a request may point at pictures and files elsewhere by http(s) address."""

    def encode_request(self, request: ChatRequest, target: TargetFacts) -> bytes:
        """A request for an upstream.

        Raises:
            InvalidRequest: the dialect cannot say what the request asks.
        """

    def patch_request(self, body: bytes, target: TargetFacts) -> bytes:
        """A client's own body for an upstream of the same dialect.

        Only what has to change changes (model id, stream usage option); the order of keys and
        every other byte of their values stay.
        """

    def tool_names(self, request: ChatRequest) -> Mapping[str, str]:
        """Tools `encode_request` has to rename: the upstream's name to the client's.

        Empty for most requests. What is returned goes to `decoder` and `decode_reply`, so that
        the client hears the names it declared.
        """

    def decode_reply(self, body: bytes, tool_names: Mapping[str, str] = ...) -> list[Event]:
        """A whole upstream reply as its event stream.

        Raises:
            MalformedReply: not a reply of this dialect.
        """

    def splitter(self) -> Splitter:
        """A fresh splitter for one upstream stream."""

    def decoder(self, tool_names: Mapping[str, str] = ...) -> StreamDecoder:
        """A fresh decoder for one upstream stream."""

    def relay(self, *, hide_usage: bool) -> Relay:
        """A fresh relay for one stream; `hide_usage` drops a usage frame nobody asked for."""

    def decode_error(self, status: int, body: bytes) -> ErrorFacts:
        """An upstream's error body, whatever it is; the message is one clean line."""


class MalformedReply(Exception):
    """An upstream answered something that is not its dialect. Never shown to callers as is."""
