"""Wire shapes and vocabularies of Anthropic Messages, as far as the gateway reads them."""

from collections.abc import Mapping
from typing import Any

from msgspec import Raw, Struct

from omniroute.chat import FinishReason, Usage

# Unknown values are a natural end.
STOP_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

WIRE_STOP_REASONS: Mapping[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}

DEFAULT_MAX_TOKENS = 64_000
"""The upstream rejects a request without `max_tokens`; other dialects leave it open."""

MAX_NAME_CHARS = 128
"""Longest tool name the upstream accepts."""


class CacheCreation(Struct, gc=False):
    """Cache writes by how long they live; they cost differently."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(Struct, gc=False):
    """The part of `output_tokens` that was thinking."""

    thinking_tokens: int | None = None


class WireUsage(Struct):
    """Token counts; input excludes what was read from or written to the cache."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None


class WireBlock(Struct):
    """The fields of the content blocks every client knows; others are read as plain objects."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = Raw(b"{}")


class WireMessage(Struct):
    """A reply, whole or as `message_start` announces it."""

    type: str | None = None
    id: str | None = None
    model: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: WireUsage | None = None
    error: Any = None


class WireDelta(Struct):
    """The `delta` of `content_block_delta` and `message_delta`."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class WireEvent(Struct):
    """One event of a stream."""

    type: str | None = None
    index: int = 0
    message: WireMessage | None = None
    content_block: Raw = Raw()
    delta: WireDelta | None = None
    usage: WireUsage | None = None
    error: Any = None


class UsageSum:
    """Usage of one stream: `message_start` counts input, `message_delta` counts output.

    A later value replaces an earlier one only when it says something: some services send zeros.
    """

    def __init__(self) -> None:
        self._input = self._output = self._thought = 0
        self._read = self._written = self._written_1h = 0

    def add(self, wire: WireUsage | None) -> Usage | None:
        """Usage so far; None while nothing was counted."""
        if wire is None:
            return None
        self._input = _positive(wire.input_tokens) or self._input
        self._output = _positive(wire.output_tokens) or self._output
        self._read = _positive(wire.cache_read_input_tokens) or self._read
        self._written = _positive(wire.cache_creation_input_tokens) or self._written
        if wire.cache_creation is not None:
            long = _positive(wire.cache_creation.ephemeral_1h_input_tokens)
            short = _positive(wire.cache_creation.ephemeral_5m_input_tokens)
            self._written_1h = long or self._written_1h
            self._written = max(self._written, long + short)
        if wire.output_tokens_details is not None:
            thought = _positive(wire.output_tokens_details.thinking_tokens)
            self._thought = thought or self._thought
        if not (self._input or self._output or self._read or self._written):
            return None
        return Usage(
            input_tokens=self._input,
            cache_read_tokens=self._read,
            cache_write_tokens=max(0, self._written - self._written_1h),
            cache_write_1h_tokens=self._written_1h,
            output_tokens=max(0, self._output - self._thought),
            reasoning_tokens=min(self._output, self._thought),
        )


def _positive(value: int | None) -> int:
    return max(0, value or 0)


def wire_usage(usage: Usage | None) -> dict[str, Any]:
    """A usage object for a client; zeros while nothing is known."""
    usage = usage or Usage()
    wire: dict[str, Any] = {
        "input_tokens": usage.input_tokens + usage.input_audio_tokens + usage.input_image_tokens,
        "output_tokens": usage.total_output_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens + usage.cache_write_1h_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
    }
    if usage.cache_write_1h_tokens:
        wire["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        }
    if usage.reasoning_tokens:
        wire["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return wire
