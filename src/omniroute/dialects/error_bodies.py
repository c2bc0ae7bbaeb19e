"""Reading an upstream's error, whatever it is: JSON of many shapes, text, an HTML page."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from omniroute.chat import Failed
from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.redaction import clean_message

_PHRASES: Mapping[int, str] = {status.value: status.phrase for status in HTTPStatus}
_READ_BYTES = 64 * 1024  # an error page can be long; its message stands at the top


def read_error(status: int, body: bytes) -> ErrorFacts:
    """The facts of an error answer; the message is one clean line and never empty."""
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        text = body[:_READ_BYTES].decode(errors="replace")
        message = clean_message(_page_text(text) if _is_page(text) else text)
        return ErrorFacts(status=status, message=message or default_message(status))
    return _facts(status, value)


def read_failure(value: object, default_status: int = 502) -> Failed:
    """An error object found inside a stream or in a body that came with status 200."""
    code = str(value.get("code")) if isinstance(value, dict) else ""
    # Some services put the HTTP status where others have a machine code.
    status = int(code) if re.fullmatch(r"[45]\d\d", code, re.ASCII) else default_status
    facts = _facts(status, {"error": value})
    return Failed(facts.message, facts.status, facts.type, facts.code)


def default_message(status: int) -> str:
    """What to say when an upstream said nothing."""
    phrase = _PHRASES.get(status, "")
    return f"The upstream answered {status} {phrase}".strip()


def _facts(status: int, value: object) -> ErrorFacts:
    inner = next(_error_objects(value), {})
    message = next((clean_message(text) for text in _texts(value) if text.strip()), "")
    outer: Mapping[str, Any] = value if isinstance(value, dict) else {}
    return ErrorFacts(
        status=status,
        message=message or default_message(status),
        type=_label(inner.get("type") or inner.get("status")),
        code=_label(inner.get("code")),
        param=_label(inner.get("param")),
        request_id=_label(outer.get("request_id")),
    )


def _error_objects(value: object) -> Iterator[Mapping[str, Any]]:
    """Where type and code may be: in `error`, in the first of a list, or at the top."""
    match value:
        case [first, *_]:
            yield from _error_objects(first)
        case {"error": dict(inner)}:
            yield inner
        case {"errors": [dict(inner), *_]}:
            yield inner
        case dict():
            # An Anthropic-like envelope says `"type": "error"`, which is no error type.
            yield {name: item for name, item in value.items() if item != "error"}


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case [first, *_]:
            yield from _texts(first)
        case dict():
            for name in ("error", "message", "msg", "detail", "details", "errors", "title"):
                yield from _texts(value.get(name))


def _label(value: object) -> str | None:
    """A machine word; numbers there repeat the HTTP status and say nothing new."""
    return clean_message(value)[:200] or None if isinstance(value, str) else None


def _is_page(text: str) -> bool:
    return text.lstrip()[:1] == "<"


def _page_text(page: str) -> str:
    """The title of an HTML page, else its text without tags. Linear: only finds, no patterns."""
    lower = page.lower()
    start = lower.find("<title")
    opened = lower.find(">", start) + 1 if start >= 0 else 0
    closed = lower.find("<", opened) if opened else -1
    if closed > opened:
        return page[opened:closed]
    pieces = (piece.partition(">")[2] for piece in page.split("<"))
    return " ".join(piece.strip() for piece in pieces if piece.strip())
