"""Thinking towards an Anthropic upstream: what was asked, fitted to what the upstream allows."""

from collections.abc import Mapping, Sequence
from typing import Any

from omniroute.chat import ChatRequest, Dialect, ReasoningRequest
from omniroute.dialects.anthropic.requests_in import reasoning_of
from omniroute.dialects.anthropic.wire import DEFAULT_MAX_TOKENS
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.fields import own_fields
from omniroute.dialects.reasoning import MIN_BUDGET, budget_of, effort_for, fit_budget

Wire = dict[str, Any]

_THINKING_BLOCKS = ("thinking", "redacted_thinking")
# With thinking on, the upstream refuses any other value.
_LOWEST_TOP_P = 0.95


def limits(request: ChatRequest, target: TargetFacts, turns: Sequence[Wire]) -> Wire:
    """`max_tokens`, `thinking`, `output_config` and the sampling fields that go with them.

    A caller's own limit is never raised, except by the thinking that has to fit beside it.
    """
    wanted = DEFAULT_MAX_TOKENS if request.max_output_tokens is None else request.max_output_tokens
    cap = target.max_output_tokens
    limit = max(1, wanted if cap is None else min(wanted, cap))
    wire: Wire = {"max_tokens": limit}
    if request.reasoning is not None:
        wire |= _thinking(request, request.reasoning, target, limit)
    thinks = wire.get("thinking", {}).get("type") in ("enabled", "adaptive")
    if thinks and _forbidden(request, turns, wire["thinking"]):
        del wire["thinking"]
        wire["max_tokens"], thinks = limit, False
    return wire if target.fixed_sampling else wire | _sampling(request, thinks=thinks)


def _thinking(
    request: ChatRequest, asked: ReasoningRequest, target: TargetFacts, limit: int
) -> Wire:
    own = own_fields(request.extras, Dialect.ANTHROPIC)
    thinking, config = own.get("thinking"), own.get("output_config")
    if reasoning_of(thinking, config) == asked:
        # As the client wrote it, its budget inside its limit.
        wire: Wire = {"thinking": thinking} if thinking else {}
        if config:
            wire["output_config"] = config
        if asked.budget_tokens is None or asked.budget_tokens < limit:
            return wire
        return wire | _enabled(asked.budget_tokens, MIN_BUDGET, target.max_output_tokens or limit)
    if asked.adaptive or target.adaptive_thinking:
        return _adaptive(asked)
    budget = budget_of(asked)
    if budget <= 0:
        return {"thinking": {"type": "disabled"}}
    return _enabled(budget, limit, target.max_output_tokens)


def _adaptive(asked: ReasoningRequest) -> Wire:
    """For models that decide themselves. They think when told so; some cannot be told not to."""
    effort = asked.effort
    if effort is None and asked.budget_tokens is not None:
        effort = effort_for(asked.budget_tokens)
    if effort in ("none", "minimal"):
        return {}
    wire: Wire = {"thinking": {"type": "adaptive"}}
    return wire | ({"output_config": {"effort": effort}} if effort else {})


def _enabled(budget: int, limit: int, cap: int | None) -> Wire:
    max_tokens, fitted = fit_budget(budget, limit, cap)
    if not fitted:
        return {"max_tokens": max_tokens, "thinking": {"type": "disabled"}}
    return {
        "max_tokens": max_tokens,
        "thinking": {"type": "enabled", "budget_tokens": fitted},
    }


def _forbidden(request: ChatRequest, turns: Sequence[Wire], thinking: Mapping[str, Any]) -> bool:
    """Whether the upstream would refuse thinking here."""
    choice = request.tool_choice
    if choice is not None and choice.mode in ("required", "tool"):
        return True
    if turns[-1]["role"] != "user":
        return True  # a prefilled answer cannot be thought about
    if thinking["type"] == "adaptive" or len(turns) < 2:
        return False
    # A turn that called tools has to begin with the thinking that led to them.
    answers = any(block["type"] == "tool_result" for block in turns[-1]["content"])
    return answers and turns[-2]["content"][0]["type"] not in _THINKING_BLOCKS


def _sampling(request: ChatRequest, *, thinks: bool) -> Wire:
    values: Wire = {"top_p": request.top_p}
    if not thinks:
        values["top_k"] = request.top_k
        if request.temperature is not None:
            values["temperature"] = min(1.0, request.temperature)
    elif request.top_p is not None and request.top_p < _LOWEST_TOP_P:
        values.clear()
    return {name: value for name, value in values.items() if value is not None}
