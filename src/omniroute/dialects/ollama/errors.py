"""Errors as Ollama clients expect them, before and inside a stream."""

import msgspec

from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.error_bodies import default_message
from omniroute.dialects.redaction import clean_message


def encode_error(error: ErrorFacts) -> bytes:
    """See `ClientCodec.encode_error`. The HTTP status says the rest."""
    message = clean_message(error.message) or default_message(error.status)
    return msgspec.json.encode({"error": message})


def error_line(error: ErrorFacts) -> bytes:
    """The line that ends a stream after a failure."""
    return encode_error(error) + b"\n"
