"""Errors as Gemini clients expect them, before and inside a stream. 01 §2.6.3."""

from collections.abc import Mapping

import msgspec

from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.error_bodies import default_message
from omniroute.dialects.redaction import clean_message
from omniroute.dialects.sse import frame

STATUSES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def encode_error(error: ErrorFacts) -> bytes:
    """See `ClientCodec.encode_error`. Clients know Google's status words only."""
    fallback = STATUSES[500 if error.status > 499 else 400]
    body = {
        "code": error.status,
        "message": clean_message(error.message) or default_message(error.status),
        "status": STATUSES.get(error.status, fallback),
        "details": [],
    }
    return msgspec.json.encode({"error": body})


def failed_stream(error: ErrorFacts) -> bytes:
    """The frame that ends a stream after a failure."""
    return frame(encode_error(error))
