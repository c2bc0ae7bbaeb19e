"""Errors inside a stream of this dialect; before one they are OpenAI's."""

import msgspec

from omniroute.chat import ChatRequest
from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.error_bodies import default_message
from omniroute.dialects.openai_responses.wire import Wire, response_object
from omniroute.dialects.redaction import clean_message
from omniroute.dialects.sse import frame


def failure(error: ErrorFacts) -> Wire:
    """The `error` member of a response that failed."""
    code = "rate_limit_exceeded" if error.status == 429 else "server_error"
    message = clean_message(error.message) or default_message(error.status)
    return {"code": code, "message": message}


def failed_event(error: ErrorFacts, number: int) -> bytes:
    """The event that ends somebody else's stream after a failure."""
    request = ChatRequest(model="", messages=())
    told = failure(error)
    response = response_object("resp_omniroute", "", 0, request, status="failed", error=told)
    fields = {"type": "response.failed", "response": response, "sequence_number": number}
    return frame(msgspec.json.encode(fields), "response.failed")
