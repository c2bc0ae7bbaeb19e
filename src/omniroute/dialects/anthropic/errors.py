"""Errors as Anthropic clients expect them, before and inside a stream."""

from collections.abc import Mapping
from typing import Any

import msgspec

from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.error_bodies import default_message
from omniroute.dialects.redaction import clean_message
from omniroute.dialects.sse import frame

ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}

STATUSES: Mapping[str, int] = {
    **{error_type: status for status, error_type in ERROR_TYPES.items()},
    "api_error": 500,
    "overloaded_error": 529,
}
"""What a failure inside a stream would have been as an answer."""


def encode_error(error: ErrorFacts) -> bytes:
    """See `Codec.encode_error`. Typed clients know the official types only."""
    body = _error_object(error)
    if error.code is not None:
        body["code"] = error.code
    body |= error.extras
    envelope: dict[str, Any] = {"type": "error", "error": body}
    if error.request_id is not None:
        envelope["request_id"] = error.request_id
    return msgspec.json.encode(envelope)


def failed_stream(error: ErrorFacts) -> bytes:
    """The event that ends a stream after a failure."""
    data = msgspec.json.encode({"type": "error", "error": _error_object(error)})
    return frame(data, "error")


def _error_object(error: ErrorFacts) -> dict[str, Any]:
    fallback = ERROR_TYPES[500 if error.status > 499 else 400]
    official = error.type if error.type in STATUSES else ERROR_TYPES.get(error.status, fallback)
    message = clean_message(error.message) or default_message(error.status)
    return {"type": official, "message": message}
