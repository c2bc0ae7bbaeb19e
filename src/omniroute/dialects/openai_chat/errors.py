"""Errors as OpenAI clients expect them, before and inside a stream."""

from collections.abc import Mapping
from typing import Any

import msgspec

from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.error_bodies import default_message
from omniroute.dialects.redaction import clean_message
from omniroute.dialects.sse import frame

DONE = b"data: [DONE]\n\n"
"""The terminal marker of a stream."""

# HTTP status to `type` and `code`.
ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("invalid_request_error", "bad_request"),
    401: ("authentication_error", "invalid_api_key"),
    402: ("billing_error", "payment_required"),
    403: ("permission_error", "insufficient_quota"),
    404: ("invalid_request_error", "model_not_found"),
    406: ("invalid_request_error", "model_not_supported"),
    413: ("payload_too_large", "PAYLOAD_TOO_LARGE"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", "internal_server_error"),
    502: ("server_error", "bad_gateway"),
    503: ("server_error", "service_unavailable"),
    504: ("server_error", "gateway_timeout"),
}


def encode_error(error: ErrorFacts) -> bytes:
    """See `Codec.encode_error`. Extras stand beside the message."""
    default_type, default_code = ERRORS.get(
        error.status, ERRORS[500 if error.status > 499 else 400]
    )
    body: dict[str, Any] = {
        "message": clean_message(error.message) or default_message(error.status),
        "type": error.type or default_type,
        "code": error.code or default_code,
        "param": error.param,
        **error.extras,
    }
    return msgspec.json.encode({"error": body})


def failed_stream(error: ErrorFacts) -> bytes:
    """What ends a stream after a failure: a chunk whose code is the HTTP status, and the marker."""
    body = {
        "message": clean_message(error.message) or default_message(error.status),
        "type": "upstream_error",
        "code": error.status,
    }
    choice = {"index": 0, "delta": {}, "finish_reason": "error"}
    chunk = {"object": "chat.completion.chunk", "choices": [choice], "error": body}
    return frame(msgspec.json.encode(chunk)) + DONE
