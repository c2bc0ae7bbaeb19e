"""Opaque reasoning state in OpenAI Chat messages, which have no official place for it.

Two conventions of the field carry it: `reasoning_details` on a message, and Google's
`extra_content.google.thought_signature` on a tool call. Clients that return messages as they got
them bring it back.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from omniroute.chat import Dialect, Reasoning
from omniroute.dialects.carried import is_tagged, tagged, untagged
from omniroute.dialects.fields import Fields


def wire_detail(thought: Reasoning, index: int) -> dict[str, Any] | None:
    """The entry of `reasoning_details` for signed or redacted thinking, None for plain text."""
    if thought.redacted is not None:
        data = tagged(thought.redacted, thought.origin, Dialect.OPENAI_CHAT)
        return {"type": "reasoning.encrypted", "data": data, "index": index}
    if thought.signature is None:
        return None
    signature = tagged(thought.signature, thought.origin, Dialect.OPENAI_CHAT)
    # How much of `reasoning_content` it vouches for: repeating the text would show it twice.
    return {
        "type": "reasoning.signature",
        "signature": signature,
        "length": len(thought.text),
        "index": index,
    }


def read_reasoning(message: Fields, text: str) -> Iterator[Reasoning]:
    """The thinking of an assistant message: `text`, and the state other providers gave with it.

    Their entries are taken out of `reasoning_details`; others stay there.
    """
    details = message.peek("reasoning_details")
    kept: list[Any] = []
    rest = text
    for entry in details if isinstance(details, list) else ():
        match entry:
            case {"type": "reasoning.signature", "signature": str(value), "length": int(length)}:
                opaque, origin = untagged(value, Dialect.OPENAI_CHAT)
                # A client that shortened the text has nothing left the signature would fit.
                if 0 <= length <= len(rest):
                    yield Reasoning(rest[:length], opaque, origin=origin)
                    rest = rest[length:]
            case {"type": "reasoning.encrypted", "data": str(value)} if is_tagged(value):
                opaque, origin = untagged(value, Dialect.OPENAI_CHAT)
                yield Reasoning(redacted=opaque, origin=origin)
            case _:
                kept.append(entry)
    if rest:
        yield Reasoning(rest, origin=Dialect.OPENAI_CHAT)
    if isinstance(details, list) and len(kept) < len(details):
        message.take("reasoning_details")
        if kept:
            message.put("reasoning_details", kept)


def is_call_state(thought: Reasoning) -> bool:
    """Whether this is a Gemini signature that belongs to the tool call behind it."""
    return thought.origin is Dialect.GEMINI and bool(thought.signature) and not thought.text


def wire_call_state(signature: str) -> dict[str, Any]:
    """A Gemini thought signature on the tool call it belongs to."""
    return {"extra_content": {"google": {"thought_signature": signature}}}


def read_call_state(call: Fields) -> Iterator[Reasoning]:
    """The Gemini thought signature of a tool call, under either name it goes by."""
    extra = call.peek("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    nested = google.get("thought_signature") if isinstance(google, Mapping) else None
    given = next((one for one in (nested, call.peek("thought_signature")) if one), None)
    if isinstance(given, str):
        call.take("thought_signature")
        if nested:
            call.take("extra_content")
        yield Reasoning(signature=given, origin=Dialect.GEMINI)
