"""Ollama: `POST /api/chat`, in lines of JSON, and its older `POST /api/generate`."""

from collections.abc import Mapping

from omniroute.chat import ChatReply, ChatRequest, Dialect, Event
from omniroute.dialects.codec import ErrorFacts, Relay, TargetFacts
from omniroute.dialects.error_bodies import read_error
from omniroute.dialects.lines import NDJSON, LineSplitter, LinesRelay
from omniroute.dialects.ollama import errors, passthrough, requests_in, requests_out
from omniroute.dialects.ollama.decoder import OllamaDecoder, decode_reply
from omniroute.dialects.ollama.encoder import OllamaEncoder, chat_line, encode_reply, prompt_line
from omniroute.dialects.tool_names import NO_NAMES


class _OllamaClient:
    """What both of Ollama's forms share towards clients."""

    dialect = Dialect.OLLAMA
    stream_type = NDJSON
    own_ids = False

    def encode_error(self, error: ErrorFacts) -> bytes:
        """See `ClientCodec.encode_error`."""
        return errors.encode_error(error)

    def keepalive(self) -> bytes:
        """See `ClientCodec.keepalive`. There is no line that says nothing."""
        return b""


class Ollama(_OllamaClient):
    """The codec of this dialect; see `Codec`."""

    carries_addresses = False

    def decode_request(self, body: bytes) -> ChatRequest:
        """See `ClientCodec.decode_request`."""
        return requests_in.decode_chat(body)

    def encode_request(self, request: ChatRequest, target: TargetFacts) -> bytes:
        """See `Codec.encode_request`."""
        return requests_out.encode_request(request, target)

    def patch_request(self, body: bytes, target: TargetFacts) -> bytes:
        """See `Codec.patch_request`."""
        return passthrough.patch_request(body, target)

    def tool_names(self, request: ChatRequest) -> Mapping[str, str]:  # noqa: ARG002
        """See `Codec.tool_names`. Every name is welcome."""
        return NO_NAMES

    def splitter(self) -> LineSplitter:
        """See `Codec.splitter`."""
        return LineSplitter()

    def decode_reply(self, body: bytes, tool_names: Mapping[str, str] = NO_NAMES) -> list[Event]:
        """See `Codec.decode_reply`."""
        return decode_reply(body, tool_names)

    def encode_reply(self, reply: ChatReply, request: ChatRequest) -> bytes:
        """See `ClientCodec.encode_reply`."""
        return encode_reply(reply, request, chat_line)

    def decoder(self, tool_names: Mapping[str, str] = NO_NAMES) -> OllamaDecoder:
        """See `Codec.decoder`."""
        return OllamaDecoder(tool_names)

    def encoder(self, request: ChatRequest) -> OllamaEncoder:
        """See `ClientCodec.encoder`."""
        return OllamaEncoder(request, chat_line)

    def relay(self, *, hide_usage: bool) -> Relay:  # noqa: ARG002
        """See `Codec.relay`. Usage rides on the last line and is never hidden."""
        return LinesRelay(self.decoder(), errors.error_line)

    def decode_error(self, status: int, body: bytes) -> ErrorFacts:
        """See `Codec.decode_error`."""
        return read_error(status, body)


class OllamaGenerate(_OllamaClient):
    """A prompt without a conversation; see `ClientCodec`."""

    def decode_request(self, body: bytes) -> ChatRequest:
        """See `ClientCodec.decode_request`."""
        return requests_in.decode_prompt(body)

    def encode_reply(self, reply: ChatReply, request: ChatRequest) -> bytes:
        """See `ClientCodec.encode_reply`."""
        return encode_reply(reply, request, prompt_line)

    def encoder(self, request: ChatRequest) -> OllamaEncoder:
        """See `ClientCodec.encoder`."""
        return OllamaEncoder(request, prompt_line)
