"""OpenAI's legacy completions: `POST /completions`, a prompt instead of a conversation."""

from omniroute.chat import ChatReply, ChatRequest, Dialect
from omniroute.dialects.codec import ErrorFacts, StreamEncoder
from omniroute.dialects.openai_chat import OpenAIChat
from omniroute.dialects.openai_completions.encoder import CompletionEncoder, encode_reply
from omniroute.dialects.openai_completions.requests_in import decode_request, echoed
from omniroute.dialects.sse import EVENT_STREAM

_CHAT = OpenAIChat()


class OpenAICompletions:
    """What clients speak; see `ClientCodec`. A body with `messages` is answered as a chat."""

    dialect = Dialect.OPENAI_COMPLETIONS
    stream_type = EVENT_STREAM
    own_ids = False

    def decode_request(self, body: bytes) -> ChatRequest:
        """See `ClientCodec.decode_request`."""
        return decode_request(body)

    def encode_reply(self, reply: ChatReply, request: ChatRequest) -> bytes:
        """See `ClientCodec.encode_reply`."""
        if _is_chat(request):
            return _CHAT.encode_reply(reply, request)
        return encode_reply(reply, echoed(request))

    def encoder(self, request: ChatRequest) -> StreamEncoder:
        """See `ClientCodec.encoder`."""
        if _is_chat(request):
            return _CHAT.encoder(request)
        return CompletionEncoder(echoed(request), include_usage=request.include_usage)

    def encode_error(self, error: ErrorFacts) -> bytes:
        """See `ClientCodec.encode_error`."""
        return _CHAT.encode_error(error)

    def keepalive(self) -> bytes:
        """See `ClientCodec.keepalive`. Clients of this form know no empty chunk."""
        return b": keepalive\n\n"


def _is_chat(request: ChatRequest) -> bool:
    """Whether the body was a chat: those extras are the chat codec's."""
    return request.extras is None or request.extras.dialect is not Dialect.OPENAI_COMPLETIONS
