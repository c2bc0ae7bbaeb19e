"""Gemini: `generateContent` and `streamGenerateContent`, at Google and at Vertex AI."""

from collections.abc import Mapping

from omniroute.chat import ChatReply, ChatRequest, Dialect, Event
from omniroute.dialects.codec import ErrorFacts, Relay, TargetFacts
from omniroute.dialects.error_bodies import read_error
from omniroute.dialects.gemini import errors, passthrough, requests_in, requests_out
from omniroute.dialects.gemini.decoder import GeminiDecoder, decode_reply
from omniroute.dialects.gemini.encoder import GeminiEncoder, encode_reply
from omniroute.dialects.gemini.wire import gemini_names
from omniroute.dialects.relay import ScanningRelay
from omniroute.dialects.sse import EVENT_STREAM, EventSplitter
from omniroute.dialects.tool_names import NO_NAMES, original_names


class Gemini:
    """The codec of this dialect; see `Codec`. Model and streaming stand in the path."""

    dialect = Dialect.GEMINI
    stream_type = EVENT_STREAM
    own_ids = False
    carries_addresses = False

    def decode_request(self, body: bytes) -> ChatRequest:
        """See `ClientCodec.decode_request`."""
        return requests_in.decode_request(body)

    def encode_request(self, request: ChatRequest, target: TargetFacts) -> bytes:
        """See `Codec.encode_request`."""
        return requests_out.encode_request(request, target)

    def patch_request(self, body: bytes, target: TargetFacts) -> bytes:
        """See `Codec.patch_request`."""
        return passthrough.patch_request(body, target)

    def tool_names(self, request: ChatRequest) -> Mapping[str, str]:
        """See `Codec.tool_names`."""
        return original_names(gemini_names(request))

    def splitter(self) -> EventSplitter:
        """See `Codec.splitter`."""
        return EventSplitter()

    def decode_reply(self, body: bytes, tool_names: Mapping[str, str] = NO_NAMES) -> list[Event]:
        """See `Codec.decode_reply`."""
        return decode_reply(body, tool_names)

    def encode_reply(self, reply: ChatReply, request: ChatRequest) -> bytes:  # noqa: ARG002
        """See `ClientCodec.encode_reply`."""
        return encode_reply(reply)

    def decoder(self, tool_names: Mapping[str, str] = NO_NAMES) -> GeminiDecoder:
        """See `Codec.decoder`."""
        return GeminiDecoder(tool_names)

    def encoder(self, request: ChatRequest) -> GeminiEncoder:  # noqa: ARG002
        """See `ClientCodec.encoder`."""
        return GeminiEncoder()

    def relay(self, *, hide_usage: bool) -> Relay:  # noqa: ARG002
        """See `Codec.relay`. Every frame counts; the one that ends the reply has the last word."""
        return ScanningRelay(self.decoder(), _matters, errors.failed_stream)

    def decode_error(self, status: int, body: bytes) -> ErrorFacts:
        """See `Codec.decode_error`."""
        return read_error(status, body)

    def encode_error(self, error: ErrorFacts) -> bytes:
        """See `ClientCodec.encode_error`."""
        return errors.encode_error(error)

    def keepalive(self) -> bytes:
        """See `ClientCodec.keepalive`."""
        return b": keepalive\n\n"


def _matters(frames: bytes) -> bool:
    """Whether frames may hold an ending, which comes with the usage, or an error."""
    return b'"finishReason"' in frames or b'"error"' in frames or b'"promptFeedback"' in frames
