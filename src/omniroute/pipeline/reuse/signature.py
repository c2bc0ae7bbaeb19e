"""When two requests are the same question: by everything that shapes the answer, and by who asks.

Source: 01 §4.7 and §4.9. A question of one tenant is never that of another, nor that of another
dialect, nor the same after the configuration has changed.
"""

import hashlib

import msgspec
from msgspec.structs import replace

from omniroute.chat import ChatReply, Extras, ToolCall
from omniroute.pipeline.exchange import ChatCall

BYPASS = "x-omniroute-no-cache"
LARGEST_BYTES = 256 * 1024
SHARED_UP_TO = 0.1
"""Temperature up to which requests that are under way at once may share an answer."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_NOT_SHAPING = ("metadata", "user", "stream", "stream_options", "store")


def signature(call: ChatCall, version: int) -> str:
    """The name of a question: 64 hex digits.

    Args:
        version: of the configuration, which decides what a model name stands for.
    """
    request = replace(call.request, user=None, stream=None, include_usage=False)
    if request.extras is not None:
        kept = {k: v for k, v in request.extras.fields.items() if k not in _NOT_SHAPING}
        request = replace(request, extras=Extras(request.extras.dialect, kept) if kept else None)
    caller = call.caller
    asker = (
        caller.owner,
        call.dialect,
        caller.allowed_models,
        caller.allowed_connections,
        call.pinned_connection,
        call.max_cost_micro_usd,
        call.routed_model,
        version,
    )
    return hashlib.sha256(_encode(asker) + b"\n" + _encode(request)).hexdigest()


def unreadable(call: ChatCall, *, enabled: bool) -> str | None:
    """Why the cache is not asked; None when it is."""
    if not enabled:
        return "switched off"
    if call.headers.get(BYPASS, "").strip().lower() == "true":
        return "bypassed by the client"
    temperature = call.request.temperature
    if temperature not in (None, 0):
        return f"temperature {temperature:g}"
    return "several choices" if call.request.n > 1 else None


def unwritable(call: ChatCall) -> str | None:
    """Why an answer would not be kept, judged by its request; None when it may be."""
    return None if call.request.temperature == 0 else "no temperature of 0"


def keepable(reply: ChatReply) -> bool:
    """Whether a reply is worth keeping: complete, and without calls that somebody has to make."""
    calls = any(isinstance(part, ToolCall) for part in reply.parts)
    return reply.finish == "stop" and reply.failure is None and bool(reply.parts) and not calls


def shareable(call: ChatCall) -> bool:
    """Whether the same question under way may be waited for instead of asked again."""
    temperature = call.request.temperature
    bypass = call.headers.get(BYPASS, "").strip().lower() == "true"
    return temperature is not None and temperature <= SHARED_UP_TO and not bypass
