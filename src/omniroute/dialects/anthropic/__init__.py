"""Anthropic Messages: `POST /messages` and the services that imitate it."""

from collections.abc import Mapping

from omniroute.chat import ChatReply, ChatRequest, Dialect, Event
from omniroute.dialects.anthropic import errors, passthrough, requests_in, requests_out
from omniroute.dialects.anthropic.decoder import AnthropicDecoder, decode_reply
from omniroute.dialects.anthropic.encoder import AnthropicEncoder, encode_reply
from omniroute.dialects.anthropic.wire import MAX_NAME_CHARS
from omniroute.dialects.codec import ErrorFacts, Relay, TargetFacts
from omniroute.dialects.error_bodies import read_error
from omniroute.dialects.relay import ScanningRelay
from omniroute.dialects.sse import EVENT_STREAM, EventSplitter, frame
from omniroute.dialects.tool_names import NO_NAMES, original_names, wire_names


class Anthropic:
    """The codec of this dialect; see `Codec`."""

    dialect = Dialect.ANTHROPIC
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

    def decoder(self, tool_names: Mapping[str, str] = NO_NAMES) -> AnthropicDecoder:
        """See `Codec.decoder`."""
        return AnthropicDecoder(tool_names)

    def encoder(self, request: ChatRequest) -> AnthropicEncoder:  # noqa: ARG002
        """See `Codec.encoder`. Every stream of this dialect reports usage, asked or not."""
        return AnthropicEncoder()

    def relay(self, *, hide_usage: bool) -> Relay:  # noqa: ARG002
        """See `Codec.relay`. Usage rides on the frames that end the stream and is never hidden."""
        return ScanningRelay(self.decoder(), _matters, errors.failed_stream)

    def decode_error(self, status: int, body: bytes) -> ErrorFacts:
        """See `Codec.decode_error`."""
        return read_error(status, body)

    def encode_error(self, error: ErrorFacts) -> bytes:
        """See `Codec.encode_error`."""
        return errors.encode_error(error)

    def keepalive(self) -> bytes:
        """See `Codec.keepalive`."""
        return frame(b'{"type":"ping"}', "ping")


def _matters(frames: bytes) -> bool:
    """Whether frames may hold usage, an error or an ending; text may look like it, too."""
    return b"message_" in frames or b"error" in frames
