"""Sampling, limits, formats and thinking as Gemini's `generationConfig` says them."""

from collections.abc import Mapping
from typing import Any

from omniroute.chat import ChatRequest, Effort, ReasoningRequest
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.gemini.schema import gemini_schema
from omniroute.dialects.gemini.wire import Wire

EFFORT_BUDGETS: Mapping[Effort, int] = {
    "none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 32_768, "xhigh": 32_768,
}  # fmt: skip

# Source: ai.google.dev/gemini-api/docs/thinking, thinking budgets by model.
_BUDGET_CAP, _FLASH_BUDGET_CAP = 32_768, 24_576

_LEVELS: Mapping[Effort, str] = {
    "none": "low", "minimal": "low", "low": "low", "medium": "high", "high": "high",
    "xhigh": "high",
}  # fmt: skip

_DYNAMIC = -1


def generation_config(request: ChatRequest, target: TargetFacts, own: object) -> Wire:
    """Everything that was said on how to answer; `own` is what only this dialect knows."""
    limit = request.max_output_tokens
    if limit is not None and target.max_output_tokens is not None:
        limit = min(limit, target.max_output_tokens)
    values: Wire = {
        "maxOutputTokens": None if limit is None else max(1, limit),
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "stopSequences": list(request.stop) or None,
        "seed": request.seed,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
        "candidateCount": request.n if request.n > 1 else None,
        "thinkingConfig": _thinking(request.reasoning, target) if request.reasoning else None,
    }
    said = {name: value for name, value in values.items() if value is not None}
    kept: Mapping[str, Any] = own if isinstance(own, dict) else {}
    return {**kept, **said, **_format(request)}


def _format(request: ChatRequest) -> Wire:
    wanted = request.response_format
    if wanted is None or wanted.kind == "text":
        return {}
    schema = gemini_schema(wanted.schema)
    found: Wire = {"responseMimeType": "application/json"}
    return found | ({"responseSchema": schema} if schema is not None else {})


def _thinking(wanted: ReasoningRequest, target: TargetFacts) -> Wire:
    cap = _FLASH_BUDGET_CAP if "flash" in target.model else _BUDGET_CAP
    if wanted.effort is not None:
        if target.thinking_levels:
            shown = wanted.effort != "none"
            return {"thinkingLevel": _LEVELS[wanted.effort], "includeThoughts": shown}
        budget = min(cap, EFFORT_BUDGETS[wanted.effort])
    elif wanted.budget_tokens is not None:
        budget = min(cap, wanted.budget_tokens)
    else:
        budget = _DYNAMIC
    if target.thinking_levels and budget > 0:
        level = "low" if budget <= EFFORT_BUDGETS["low"] else "high"
        return {"thinkingLevel": level, "includeThoughts": True}
    if target.thinking_levels:
        return {"includeThoughts": budget != 0}
    return {"thinkingBudget": budget, "includeThoughts": budget != 0}
