"""How long a stream may take to its first useful event: longer for requests that are much to read.

Source: 05 §4.10.
"""

from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.sizes import CHARS_PER_TOKEN, input_tokens

MOST_S = 120.0


def readiness_s(base_s: float | None, call: ChatCall) -> float | None:
    """Seconds for one request; None, which is no limit, stays None."""
    if base_s is None:
        return None
    request = call.request
    items, tools = len(request.messages), len(request.tools)
    chars = len(call.body) if call.body is not None else input_tokens(request) * CHARS_PER_TOKEN
    more = 45.0 if items > 400 else 20.0 if items > 150 else 0.0
    more += 15.0 if tools >= 15 else 0.0
    more += 45.0 if chars > 750_000 else 20.0 if chars > 250_000 else 0.0
    return min(base_s + more, max(base_s, MOST_S))
