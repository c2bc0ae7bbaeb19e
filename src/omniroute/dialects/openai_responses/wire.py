"""Vocabularies and shapes of the Responses dialect that both directions use."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from omniroute.chat import ChatRequest, Dialect, Reasoning, Tool, Usage
from omniroute.dialects.carried import is_tagged, tagged, untagged
from omniroute.dialects.reported_cost import CostFields, reported_micro_usd

Wire: TypeAlias = dict[str, Any]

MAX_NAME_CHARS = 64
ASKED = "_asked"
"""Where the request's own words are kept, for replies echo them."""

INPUT = "input"
"""The one argument of a free-form tool, for targets whose tools take objects."""

FREE_FORM: Wire = {
    "type": "object",
    "properties": {INPUT: {"type": "string"}},
    "required": [INPUT],
}

FREE_FORM_TYPES = ("custom", "command")

MEMORY = ("previous_response_id", "conversation", "store", "background")
"""Options on what is kept between requests: the gateway remembers, upstreams need not."""

SEALED_REASONING = "reasoning.encrypted_content"
"""What to `include` so that thinking can be returned to an upstream that keeps nothing."""

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}

# What a reply says of a request that did not say it.
_DEFAULTS: Wire = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}

_REDACTED = "!"  # no signature begins like this


class InputDetails(Struct):
    """Parts of `input_tokens`."""

    cached_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class OutputDetails(Struct):
    """Parts of `output_tokens`."""

    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class WireUsage(CostFields):
    """Token counts; cached and reasoning tokens are inside the totals."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


def read_usage(wire: WireUsage | None) -> Usage | None:
    """Disjoint buckets; None when nothing was counted."""
    if wire is None or not (wire.input_tokens or wire.output_tokens):
        return None
    read, written = max(0, wire.input_tokens or 0), max(0, wire.output_tokens or 0)
    inside = wire.input_tokens_details or InputDetails()
    made = wire.output_tokens_details or OutputDetails()
    cached = min(read, max(0, inside.cached_tokens or 0))
    heard = min(read - cached, max(0, inside.audio_tokens or 0))
    seen = min(read - cached - heard, max(0, inside.image_tokens or 0))
    thought = min(written, max(0, made.reasoning_tokens or 0))
    spoken = min(written - thought, max(0, made.audio_tokens or 0))
    drawn = min(written - thought - spoken, max(0, made.image_tokens or 0))
    return Usage(
        input_tokens=read - cached - heard - seen,
        cache_read_tokens=cached,
        output_tokens=written - thought - spoken - drawn,
        reasoning_tokens=thought,
        input_audio_tokens=heard,
        input_image_tokens=seen,
        output_audio_tokens=spoken,
        output_image_tokens=drawn,
        reported_micro_usd=reported_micro_usd(wire),
    )


def wire_usage(usage: Usage | None) -> Wire | None:
    """A usage object for a client."""
    if usage is None:
        return None
    read, written = usage.total_input_tokens, usage.total_output_tokens
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": read + written,
    }


def response_object(
    response_id: str, model: str, created_s: int, request: ChatRequest, **fields: Any
) -> Wire:
    """A response with every member typed clients read; the request's words are echoed."""
    asked = asked_fields(request)
    reasoning = asked.get("reasoning") or {}
    text = asked.get("text") or {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_s,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        **{
            name: default if asked.get(name) is None else asked[name]
            for name, default in _DEFAULTS.items()
        },
        "reasoning": {"effort": None, "summary": None, **reasoning},
        "text": {"format": {"type": "text"}, **text},
        "usage": None,
        **fields,
    }


def asked_fields(request: ChatRequest) -> Mapping[str, Any]:
    """What the client wrote beside its input; nothing for a request of another dialect."""
    extras = request.extras
    if extras is None or extras.dialect is not Dialect.OPENAI_RESPONSES:
        return {}
    asked = extras.fields.get(ASKED)
    return asked if isinstance(asked, dict) else {}


def free_form_names(request: ChatRequest) -> frozenset[str]:
    """Tools of the client that take text instead of an object."""
    return frozenset(
        tool.name for tool in request.tools if isinstance(tool, Tool) and is_free_form(tool)
    )


def is_free_form(tool: Tool) -> bool:
    """Whether a tool was declared as one that takes text."""
    extras = tool.extras
    own = extras is not None and extras.dialect is Dialect.OPENAI_RESPONSES
    return own and extras is not None and extras.fields.get("type") in FREE_FORM_TYPES


def free_text(arguments: str) -> str:
    """The text inside the arguments of a free-form tool; the arguments themselves without one."""
    try:
        value = msgspec.json.decode(arguments)
    except (ValueError, RecursionError):
        return arguments
    text = value.get(INPUT) if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def free_arguments(text: str) -> str:
    """The arguments that stand for the text of a free-form tool."""
    return msgspec.json.encode({INPUT: text}).decode()


def sealed(thought: Reasoning) -> str | None:
    """`encrypted_content` for a client: state of whatever provider."""
    carrier = Dialect.OPENAI_RESPONSES
    if thought.redacted is not None:
        return tagged(_REDACTED + thought.redacted, thought.origin or Dialect.ANTHROPIC, carrier)
    if thought.signature is None:
        return None
    return tagged(thought.signature, thought.origin, carrier)


def unsealed(value: str, text: str, item_id: str | None) -> Reasoning:
    """`encrypted_content` as a client returned it."""
    if not is_tagged(value):
        return Reasoning(text, value, origin=Dialect.OPENAI_RESPONSES, id=item_id)
    opaque, origin = untagged(value, Dialect.OPENAI_RESPONSES)
    if opaque.startswith(_REDACTED):
        return Reasoning(redacted=opaque.removeprefix(_REDACTED), origin=origin)
    return Reasoning(text, opaque, origin=origin)
