"""How much thinking: efforts against token budgets, and fitting a budget into an output limit."""

from collections.abc import Mapping
from typing import Any

from omniroute.chat import Effort, ReasoningRequest

EFFORTS: Mapping[str, Effort] = {
    "none": "none", "minimal": "minimal", "low": "low", "medium": "medium", "high": "high",
    "xhigh": "xhigh", "max": "xhigh",
}  # fmt: skip

EFFORT_BUDGETS: Mapping[Effort, int] = {
    "none": 0, "minimal": 0, "low": 1024, "medium": 10_240, "high": 131_072, "xhigh": 131_072,
}  # fmt: skip

MIN_BUDGET = 1024
"""No provider accepts a smaller thinking budget."""

ASSUMED_OUTPUT_CAP = 128_000
"""Output limit of a thinking model nobody has told us the limit of."""


def effort_for(budget_tokens: int) -> Effort:
    """The effort that comes closest to a budget."""
    if budget_tokens <= 0:
        return "none"
    if budget_tokens <= 1024:
        return "low"
    if budget_tokens <= 10_240:
        return "medium"
    return "high" if budget_tokens < 131_072 else "xhigh"


def read_thinking(thinking: object, effort: object = None) -> ReasoningRequest | None:
    """An Anthropic-style `thinking` object, with the effort named beside it.

    None when neither says anything known; types are checked where the fields are read.
    """
    named = EFFORTS.get(effort) if isinstance(effort, str) else None
    fields: Mapping[str, Any] = thinking if isinstance(thinking, dict) else {}
    budget = fields.get("budget_tokens")
    budget = budget if isinstance(budget, int) and not isinstance(budget, bool) else None
    match fields.get("type"):
        case "disabled":
            return ReasoningRequest(effort="none")
        case "enabled" if budget is not None and budget <= 0:
            return ReasoningRequest(effort="none")
        case "enabled" if budget is None and named is None:
            return ReasoningRequest(effort="medium")
        case "enabled":
            return ReasoningRequest(effort=named, budget_tokens=budget)
        case "adaptive":
            return ReasoningRequest(effort=named, adaptive=True)
    return ReasoningRequest(effort=named) if named else None


def budget_of(request: ReasoningRequest) -> int:
    """Tokens of thinking a request asks for; 0 for none."""
    if request.budget_tokens is not None:
        return request.budget_tokens
    return EFFORT_BUDGETS[request.effort or "medium"]


def fit_budget(budget: int, max_tokens: int, cap: int | None) -> tuple[int, int]:
    """Make room for thinking beside `max_tokens` of answer under the model's output cap.

    Returns:
        The output limit to send and the budget inside it; a budget of 0 means: no thinking.
    """
    limit = ASSUMED_OUTPUT_CAP if cap is None else cap
    for room in (max(max_tokens, MIN_BUDGET), MIN_BUDGET):
        total = min(room + budget, limit)
        if total - room >= MIN_BUDGET:
            return total, total - room
    return min(max_tokens, limit), 0
