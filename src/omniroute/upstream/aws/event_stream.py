"""Amazon's binary event stream, turned into the server-sent events inside it."""

import base64
from typing import Any

import msgspec

from omniroute.dialects.codec import MalformedReply
from omniroute.dialects.sse import MAX_EVENT_BYTES, frame
from omniroute.errors import InvalidRequest
from omniroute.upstream.aws import NEEDS


class EventStreamToSse:
    """Takes the bytes of an `application/vnd.amazon.eventstream` body, cut anywhere."""

    def __init__(self) -> None:
        try:
            from botocore.eventstream import EventStreamBuffer
        except ImportError as missing:
            raise InvalidRequest(NEEDS) from missing
        self._buffer = EventStreamBuffer()
        self._held = 0

    def feed(self, chunk: bytes) -> bytes:
        """The server-sent events `chunk` completes.

        Raises:
            MalformedReply: a message is damaged, or larger than the limit for one.
        """
        from botocore.eventstream import ParserError

        self._held += len(chunk)
        self._buffer.add_data(chunk)
        given: list[bytes] = []
        try:
            for message in self._buffer:
                self._held = 0
                given.append(_event(message.to_response_dict()))
        except ParserError as error:
            raise MalformedReply("a message of the event stream is damaged") from error
        if self._held > MAX_EVENT_BYTES:
            raise MalformedReply(f"an event is larger than {MAX_EVENT_BYTES} bytes")
        return b"".join(given)


def _event(message: dict[str, Any]) -> bytes:
    """One message: a piece of the model's own stream, or an exception of the service."""
    headers, body = message["headers"], message["body"]
    kind = headers.get(":exception-type") or headers.get(":error-code")
    try:
        fields = msgspec.json.decode(body) if body else {}
        if kind is not None:
            told = str(fields.get("message") or headers.get(":error-message") or kind)
            return _failure(str(kind), told)
        data = base64.b64decode(fields["bytes"], validate=True)
        name = str(msgspec.json.decode(data).get("type", ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedReply("not a chunk of a model's stream") from error
    return frame(data, name)


def _failure(kind: str, message: str) -> bytes:
    types = {
        "throttlingException": "rate_limit_error",
        "validationException": "invalid_request_error",
    }
    error = {"type": types.get(kind, "api_error"), "message": message}
    return frame(msgspec.json.encode({"type": "error", "error": error}), "error")
