"""What one service insists on beyond its dialect, done to the neutral request before encoding."""

from hashlib import sha256

from msgspec.structs import replace

from omniroute.chat import ChatRequest, Message, Text, ToolCall, ToolResult
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.pairing import paired

SYSTEM_HEADING = "[System Instructions]"
USER_HEADING = "[User Message]"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def adapted(request: ChatRequest, target: TargetFacts) -> ChatRequest:
    """The request as this target takes it: the very same object when nothing has to change.

    Where a target knows no system role, the system's text stands before the first user text.
    Where it insists on a length of call ids, ids become hashes of what the client wrote: the
    same in every turn, so that provider prompt caches stay warm.
    """
    if not target.system_role:
        request = _without_system_role(request)
    if target.call_id_chars is not None:
        request = _with_call_ids(request, target.call_id_chars)
    return request


def _without_system_role(request: ChatRequest) -> ChatRequest:
    told = [message.text for message in request.messages if message.role == "system"]
    if not told:
        return request
    rest = [message for message in request.messages if message.role != "system"]
    system = "\n\n".join(filter(None, told))
    place = next((at for at, message in enumerate(rest) if message.role == "user"), None)
    if place is None:
        rest.insert(0, Message("user", (Text(system),)))
    else:
        heading = Text(f"{SYSTEM_HEADING}\n{system}\n\n{USER_HEADING}")
        rest[place] = replace(rest[place], parts=(heading, *rest[place].parts))
    return replace(request, messages=tuple(rest))


def _with_call_ids(request: ChatRequest, chars: int) -> ChatRequest:
    ids = [
        part.id if isinstance(part, ToolCall) else part.call_id
        for message in request.messages
        for part in message.parts
        if isinstance(part, ToolCall | ToolResult)
    ]
    if all(_fits(one, chars) for one in ids):
        return request
    return replace(
        request,
        messages=tuple(paired(request.messages, lambda call_id: call_id_of(call_id, chars))),
    )


def _fits(call_id: str, chars: int) -> bool:
    return len(call_id) == chars and call_id.isascii() and call_id.isalnum()


def call_id_of(call_id: str, chars: int) -> str:
    """An id of exactly `chars` letters and digits: the given one if it fits, else its hash."""
    if _fits(call_id, chars):
        return call_id
    number = int.from_bytes(sha256(call_id.encode()).digest(), "big")
    digits = []
    for _ in range(chars):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
