"""Vocabularies of the Gemini dialect: names, endings, usage, media, carried state."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from omniroute.chat import ChatRequest, Dialect, FinishReason, Reasoning, Usage
from omniroute.dialects.carried import is_tagged, tagged, untagged
from omniroute.dialects.tool_names import wire_names

Wire: TypeAlias = dict[str, Any]

MAX_NAME_CHARS = 64

FINISH_REASONS: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
        ),
        "content_filter",
    ),
}  # fmt: skip
"""Any other reason is a natural end."""

WIRE_FINISH_REASONS: Mapping[FinishReason, str] = {
    "stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY",
}  # fmt: skip

AUDIO_FORMATS: Mapping[str, str] = {
    "audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3",
    "audio/flac": "flac", "audio/ogg": "ogg", "audio/aac": "aac", "audio/aiff": "aiff",
}  # fmt: skip

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_OTHERS = re.compile(r"[^A-Za-z0-9_.-]")
_RUNS = re.compile(r"_{2,}")
_REDACTED = "!"  # no signature begins like this


def gemini_names(request: ChatRequest) -> dict[str, str]:
    """Tool names that have to change; see `wire_names`."""
    return wire_names(request, MAX_NAME_CHARS, _clean_name)


def _clean_name(name: str) -> str:
    if _NAME.fullmatch(name):
        return name
    plain = _RUNS.sub("_", _OTHERS.sub("_", name)).strip("_") or "tool"
    return plain if _NAME.match(plain) else f"_{plain}"


class WireUsage(Struct, rename="camel"):
    """Token counts. Cached tokens are inside the prompt, thoughts beside the candidates."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: Any = None
    cache_tokens_details: Any = None
    candidates_tokens_details: Any = None


def read_usage(wire: WireUsage | None) -> Usage | None:
    """Disjoint buckets; None when nothing was counted."""
    if wire is None:
        return None
    prompt = max(0, wire.prompt_token_count or 0)
    thoughts = max(0, wire.thoughts_token_count or 0)
    written = wire.candidates_token_count
    if written is None:
        written = (wire.total_token_count or 0) - prompt - thoughts
    cached = min(prompt, max(0, wire.cached_content_token_count or 0))
    if not prompt and written <= 0 and not thoughts:
        return None
    fresh, written = prompt - cached, max(0, written)
    read, kept = _by_kind(wire.prompt_tokens_details), _by_kind(wire.cache_tokens_details)
    heard = min(fresh, max(0, read.get("AUDIO", 0) - kept.get("AUDIO", 0)))
    seen = min(fresh - heard, max(0, read.get("IMAGE", 0) - kept.get("IMAGE", 0)))
    made = _by_kind(wire.candidates_tokens_details)
    spoken = min(written, made.get("AUDIO", 0))
    drawn = min(written - spoken, made.get("IMAGE", 0))
    return Usage(
        input_tokens=fresh - heard - seen + max(0, wire.tool_use_prompt_token_count or 0),
        cache_read_tokens=cached,
        output_tokens=written - spoken - drawn,
        reasoning_tokens=thoughts,
        input_audio_tokens=heard,
        input_image_tokens=seen,
        output_audio_tokens=spoken,
        output_image_tokens=drawn,
    )


def _by_kind(details: Any) -> dict[str, int]:
    """Tokens by modality, as far as a list of counts can be read."""
    found: dict[str, int] = {}
    for row in details if isinstance(details, list) else ():
        count = row.get("tokenCount") if isinstance(row, dict) else None
        if isinstance(count, int) and not isinstance(count, bool) and count > 0:
            kind = str(row.get("modality"))
            found[kind] = found.get(kind, 0) + count
    return found


def wire_usage(usage: Usage) -> Wire:
    """A usage object for a client."""
    return {
        "promptTokenCount": usage.total_input_tokens,
        "candidatesTokenCount": usage.total_output_tokens - usage.reasoning_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "cachedContentTokenCount": usage.cache_read_tokens,
        "totalTokenCount": usage.total_input_tokens + usage.total_output_tokens,
    }


def carried_state(opaque: str, origin: Dialect | None, *, redacted: bool = False) -> str:
    """A thought signature for a client. Its SDKs insist on base64: foreign state gets wrapped."""
    if origin in (None, Dialect.GEMINI) and not redacted:
        return opaque
    text = tagged(_REDACTED * redacted + opaque, origin or Dialect.OPENAI_CHAT, Dialect.GEMINI)
    return base64.b64encode(text.encode()).decode()


def returned_state(value: str, text: str = "") -> Reasoning:
    """A thought signature as a client returned it, with the thought it stood on."""
    try:
        unwrapped = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        unwrapped = ""
    if not is_tagged(unwrapped):
        return Reasoning(text, value, origin=Dialect.GEMINI)
    opaque, origin = untagged(unwrapped, Dialect.GEMINI)
    if opaque.startswith(_REDACTED):
        return Reasoning(redacted=opaque.removeprefix(_REDACTED), origin=origin)
    return Reasoning(text, opaque, origin=origin)
