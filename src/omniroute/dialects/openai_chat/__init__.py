"""OpenAI Chat Completions: `POST /chat/completions` and everything that imitates it."""

from collections.abc import Mapping

import msgspec

from omniroute.chat import ChatReply, ChatRequest, Dialect, Event
from omniroute.dialects.codec import ErrorFacts, Relay, ServerEvent, TargetFacts
from omniroute.dialects.error_bodies import read_error
from omniroute.dialects.openai_chat import errors, passthrough, requests_in, requests_out
from omniroute.dialects.openai_chat.decoder import OpenAIChatDecoder, decode_reply
from omniroute.dialects.openai_chat.encoder import OpenAIChatEncoder, encode_reply
from omniroute.dialects.openai_chat.wire import MAX_NAME_CHARS
from omniroute.dialects.relay import ScanningRelay
from omniroute.dialects.sse import EVENT_STREAM, EventSplitter, frame
from omniroute.dialects.tool_names import NO_NAMES, original_names, wire_names

# Keys that matter unless they are null, which they are in nearly every chunk. Quotes inside JSON
# strings are escaped, so a match is a key, or a whole string that looks like one.
_KEYS = tuple(
    (key, key + b":null", key + b": null") for key in (b'"finish_reason"', b'"usage"', b'"error"')
)

# Codecs hold no clock; nobody reads when a keepalive was created.
_KEEPALIVE = (
    b'{"id":"omniroute-keepalive","object":"chat.completion.chunk","created":0,'
    b'"model":"omniroute","choices":[{"index":0,"delta":{},"finish_reason":null}]}'
)


class OpenAIChat:
    """The codec of this dialect; see `Codec`."""

    dialect = Dialect.OPENAI_CHAT
    stream_type = EVENT_STREAM
    own_ids = False
    carries_addresses = True

    def decode_request(self, body: bytes) -> ChatRequest:
        """See `Codec.decode_request`."""
        return requests_in.decode_request(body)

    def encode_request(self, request: ChatRequest, target: TargetFacts) -> bytes:
        """See `Codec.encode_request`."""
        return requests_out.encode_request(request, target)

    def patch_request(self, body: bytes, target: TargetFacts) -> bytes:
        """See `Codec.patch_request`."""
        return passthrough.patch_request(body, target)

    def tool_names(self, request: ChatRequest) -> Mapping[str, str]:
        """See `Codec.tool_names`."""
        return original_names(wire_names(request, MAX_NAME_CHARS))

    def decode_reply(self, body: bytes, tool_names: Mapping[str, str] = NO_NAMES) -> list[Event]:
        """See `Codec.decode_reply`."""
        return decode_reply(body, tool_names)

    def encode_reply(self, reply: ChatReply, request: ChatRequest) -> bytes:  # noqa: ARG002
        """See `Codec.encode_reply`."""
        return encode_reply(reply)

    def splitter(self) -> EventSplitter:
        """See `Codec.splitter`."""
        return EventSplitter()

    def decoder(self, tool_names: Mapping[str, str] = NO_NAMES) -> OpenAIChatDecoder:
        """See `Codec.decoder`."""
        return OpenAIChatDecoder(tool_names)

    def encoder(self, request: ChatRequest) -> OpenAIChatEncoder:
        """See `Codec.encoder`."""
        return OpenAIChatEncoder(include_usage=request.include_usage)

    def relay(self, *, hide_usage: bool) -> Relay:
        """See `Codec.relay`."""
        hidden = _is_usage_only if hide_usage else None
        return ScanningRelay(self.decoder(), _matters, errors.failed_stream, hidden)

    def decode_error(self, status: int, body: bytes) -> ErrorFacts:
        """See `Codec.decode_error`."""
        return read_error(status, body)

    def encode_error(self, error: ErrorFacts) -> bytes:
        """See `Codec.encode_error`."""
        return errors.encode_error(error)

    def keepalive(self) -> bytes:
        """See `Codec.keepalive`."""
        return frame(_KEEPALIVE)


def _matters(frames: bytes) -> bool:
    """Whether frames may hold usage, an error, a finish reason or the terminal marker."""
    if b"[DONE]" in frames:
        return True
    for key, null, spaced_null in _KEYS:
        found = frames.count(key)
        if found and found not in (frames.count(null), frames.count(spaced_null)):
            return True
    return False


def _is_usage_only(event: ServerEvent) -> bool:
    if '"usage"' not in event.data:
        return False
    try:
        chunk = msgspec.json.decode(event.data)
    except ValueError:
        return False
    return isinstance(chunk, dict) and chunk.get("choices") == [] and bool(chunk.get("usage"))
