"""OpenAI Responses: `POST /responses`, items in and items out."""

from collections.abc import Mapping

from omniroute.chat import ChatReply, ChatRequest, Dialect, Event
from omniroute.dialects.codec import ErrorFacts, Relay, TargetFacts
from omniroute.dialects.error_bodies import read_error
from omniroute.dialects.openai_chat.errors import encode_error
from omniroute.dialects.openai_responses import passthrough, requests_in, requests_out
from omniroute.dialects.openai_responses.decoder import ResponsesDecoder, decode_reply
from omniroute.dialects.openai_responses.encoder import ResponsesEncoder, encode_reply
from omniroute.dialects.openai_responses.relay import ResponsesRelay
from omniroute.dialects.openai_responses.wire import MAX_NAME_CHARS
from omniroute.dialects.sse import EVENT_STREAM, EventSplitter
from omniroute.dialects.tool_names import NO_NAMES, original_names, wire_names


class OpenAIResponses:
    """The codec of this dialect; see `Codec`."""

    dialect = Dialect.OPENAI_RESPONSES
    stream_type = EVENT_STREAM
    own_ids = True
    carries_addresses = True

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
        return original_names(wire_names(request, MAX_NAME_CHARS))

    def splitter(self) -> EventSplitter:
        """See `Codec.splitter`."""
        return EventSplitter()

    def decode_reply(self, body: bytes, tool_names: Mapping[str, str] = NO_NAMES) -> list[Event]:
        """See `Codec.decode_reply`."""
        return decode_reply(body, tool_names)

    def encode_reply(self, reply: ChatReply, request: ChatRequest) -> bytes:
        """See `ClientCodec.encode_reply`."""
        return encode_reply(reply, request)

    def decoder(self, tool_names: Mapping[str, str] = NO_NAMES) -> ResponsesDecoder:
        """See `Codec.decoder`."""
        return ResponsesDecoder(tool_names)

    def encoder(self, request: ChatRequest) -> ResponsesEncoder:
        """See `ClientCodec.encoder`."""
        return ResponsesEncoder(request)

    def relay(self, *, hide_usage: bool) -> Relay:  # noqa: ARG002
        """See `Codec.relay`. Usage rides on the event that ends the stream."""
        return ResponsesRelay(self.decoder())

    def decode_error(self, status: int, body: bytes) -> ErrorFacts:
        """See `Codec.decode_error`."""
        return read_error(status, body)

    def encode_error(self, error: ErrorFacts) -> bytes:
        """See `ClientCodec.encode_error`: OpenAI has one form for all its APIs."""
        return encode_error(error)

    def keepalive(self) -> bytes:
        """See `ClientCodec.keepalive`."""
        return b": keepalive\n\n"
