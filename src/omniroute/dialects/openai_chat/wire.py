"""Wire shapes and vocabularies of OpenAI Chat Completions, as far as the gateway reads them."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from omniroute.chat import FinishReason, Usage
from omniroute.dialects.reported_cost import CostFields, reported_micro_usd

# What upstreams really send in `finish_reason`; anything unknown is a natural end.
FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}

MESSAGE_EXTRAS = ("audio", "annotations")
"""Parts of a message that no other dialect has."""

REPLY_EXTRAS = ("citations", "search_results")
"""Fields beside `choices` that a client of search models expects."""

MAX_NAME_CHARS = 64
"""OpenAI refuses longer function names."""


class PromptDetails(Struct, gc=False):
    """Parts of `prompt_tokens`; cache writes have an official name and an older extension."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class CompletionDetails(Struct, gc=False):
    """Parts of `completion_tokens`."""

    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class WireUsage(CostFields):
    """Token counts; the top-level cache counters are DeepSeek's and Moonshot's."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None


class WireFunction(Struct, gc=False):
    """Name and arguments of a call, or a fragment of them."""

    name: str | None = None
    arguments: Any = None


class WireToolCall(Struct):
    """A tool call, or a fragment of one."""

    index: int | None = None
    id: str | None = None
    function: WireFunction | None = None


class WireMessage(Struct):
    """A reply message, or a delta of one. The reasoning fields are four names for one thing."""

    content: str | list[Any] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    reasoning_text: str | None = None
    reasoning_details: list[Any] | None = None
    tool_calls: list[WireToolCall] | None = None
    function_call: WireFunction | None = None
    images: list[Any] | None = None
    audio: Any = None
    annotations: Any = None


class WireChoice(Struct):
    """One answer; `delta` in a stream, `message` in a whole reply."""

    index: int | None = None
    delta: WireMessage | None = None
    message: WireMessage | None = None
    finish_reason: str | None = None


class GroqExtension(Struct):
    """Where Groq puts usage in its streams."""

    usage: WireUsage | None = None


class WireReply(Struct):
    """A whole reply or one chunk of a stream."""

    id: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[WireChoice] | None = None
    usage: WireUsage | None = None
    error: Any = None
    citations: Any = None
    search_results: Any = None
    x_groq: GroqExtension | None = None


def read_usage(wire: WireUsage | None) -> Usage | None:
    """Disjoint buckets of a usage object. All zero means the upstream did not count: None."""
    if wire is None:
        return None
    prompt = max(0, wire.prompt_tokens or 0)
    completion = max(0, wire.completion_tokens or 0)
    details = wire.prompt_tokens_details or PromptDetails()
    cached = details.cached_tokens or wire.prompt_cache_hit_tokens or wire.cached_tokens or 0
    cached = min(prompt, max(0, cached))
    created = details.cache_write_tokens or details.cache_creation_tokens or 0
    created = min(prompt - cached, max(0, created))
    heard = min(prompt - cached - created, max(0, details.audio_tokens or 0))
    seen = min(prompt - cached - created - heard, max(0, details.image_tokens or 0))
    parts = wire.completion_tokens_details or CompletionDetails()
    reasoning = max(0, parts.reasoning_tokens or 0)
    if not prompt and not completion and not reasoning:
        return None
    # xAI counts reasoning beside the completion instead of inside; its total gives it away.
    beside = reasoning > 0 and wire.total_tokens == prompt + completion + reasoning
    reasoning = reasoning if beside else min(completion, reasoning)
    written = completion if beside else completion - reasoning
    spoken = min(written, max(0, parts.audio_tokens or 0))
    drawn = min(written - spoken, max(0, parts.image_tokens or 0))
    return Usage(
        input_tokens=prompt - cached - created - heard - seen,
        cache_read_tokens=cached,
        cache_write_tokens=created,
        output_tokens=written - spoken - drawn,
        reasoning_tokens=reasoning,
        input_audio_tokens=heard,
        input_image_tokens=seen,
        output_audio_tokens=spoken,
        output_image_tokens=drawn,
        reported_micro_usd=reported_micro_usd(wire),
    )


def wire_usage(usage: Usage) -> dict[str, Any]:
    """A usage object for a client."""
    prompt, completion = usage.total_input_tokens, usage.total_output_tokens
    details = {"cached_tokens": usage.cache_read_tokens}
    created = usage.cache_write_tokens + usage.cache_write_1h_tokens
    if created:
        details["cache_creation_tokens"] = created
    if usage.input_audio_tokens:
        details["audio_tokens"] = usage.input_audio_tokens
    written = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.output_audio_tokens:
        written["audio_tokens"] = usage.output_audio_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": details,
        "completion_tokens_details": written,
    }


def content_text(content: str | list[Any] | None) -> tuple[str, str]:
    """Reasoning and visible text of a content. Mistral sends both as a list of parts."""
    if content is None or isinstance(content, str):
        return "", content or ""
    reasoning, visible = [], []
    for part in content:
        match part:
            case {"type": "text", "text": str(text)}:
                visible.append(text)
            case {"type": "thinking", "thinking": str(text)}:
                reasoning.append(text)
            case {"type": "thinking", "thinking": [*pieces]}:
                reasoning.append(content_text(pieces)[1])
    return "".join(reasoning), "".join(visible)


def reasoning_text(message: WireMessage) -> str:
    """The thinking in a message; the first name that holds some wins, for they repeat it."""
    if message.reasoning_content:
        return message.reasoning_content
    if isinstance(message.reasoning, str) and message.reasoning:
        return message.reasoning
    if message.reasoning_text:
        return message.reasoning_text
    return "".join(
        item["text"]
        for item in message.reasoning_details or ()
        if isinstance(item, dict) and isinstance(item.get("text"), str)
    )
