"""Says what is left of the quotas of providers, which has the most, and what is free."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from omniroute.engine import Engine
from omniroute.errors import OmniRouteError
from omniroute.operations.combos.combo_listing import CombosQuery, list_combos
from omniroute.operations.routing.quotas import QuotaLine, QuotaQuery, quota_overview
from omniroute.skills.skill import Emit, Skill, SkillReply, SkillRequest
from omniroute_agents.words import named

QueryType: TypeAlias = Literal["ranking", "free_suggestion", "summary"]

QUERIES: dict[QueryType, str] = {
    "ranking": "ranking|most quota|best",
    "free_suggestion": "free|suggest",
}
FREE_NAMES = ("free", "gratis")
WARNING_PERCENT = 10.0

NOTHING_KNOWN = (
    "No provider has reported a quota. Quotas are known once an account of a provider that "
    "reports them was asked; see GET /api/usage/quota."
)


async def run(engine: Engine, request: SkillRequest, emit: Emit) -> SkillReply:
    """A ranking, a suggestion of what is free, or a summary, by the words of the question."""
    query = named(request.last_text, QUERIES, "summary")
    if query == "free_suggestion":
        text, facts = await _free(engine, request)
    else:
        lines = await _known(engine, request)
        text, facts = _ranking(lines) if query == "ranking" else _summary(lines)
    await emit(text)
    return SkillReply(text, {"queryType": query, **facts})


async def _known(engine: Engine, request: SkillRequest) -> Sequence[QuotaLine]:
    try:
        return (await quota_overview(engine, request.caller, QuotaQuery())).providers
    except OmniRouteError:  # what cannot be asked is not known; combos may still answer
        return ()


def _ranking(lines: Sequence[QuotaLine]) -> tuple[str, dict[str, Any]]:
    best: dict[str, QuotaLine] = {}
    for line in sorted(lines, key=_most_first):
        best.setdefault(line.provider, line)
    told = [f"{place}. {_told(line)}" for place, line in enumerate(best.values(), start=1)]
    text = "By what is left, the most first: " + "; ".join(told) + "." if told else NOTHING_KNOWN
    return text, {"providers": list(best)}


def _most_first(line: QuotaLine) -> tuple[bool, float, str]:
    return line.unlimited is not True, -line.percent_remaining, line.provider


def _told(line: QuotaLine) -> str:
    if line.unlimited is True:
        return f"{line.provider} (unlimited)"
    reset = f", resets {line.reset_at}" if line.reset_at else ""
    return f"{line.provider} ({line.percent_remaining:g} % left{reset})"


async def _free(engine: Engine, request: SkillRequest) -> tuple[str, dict[str, Any]]:
    combos = (await list_combos(engine, request.caller, CombosQuery())).combos
    free = [
        row.name
        for row in combos
        if row.enabled and any(word in row.name.lower() for word in FREE_NAMES)
    ]
    if free:
        text = f"These combos are meant to cost nothing: {', '.join(free)}. Use one as the model."
    else:
        text = (
            "No combo has 'free' or 'gratis' in its name. Create one with POST /api/combos from "
            "models that cost nothing."
        )
    return text, {"freeCombos": len(free)}


def _summary(lines: Sequence[QuotaLine]) -> tuple[str, dict[str, Any]]:
    providers = {line.provider for line in lines}
    low = [line for line in lines if line.percent_remaining <= WARNING_PERCENT]
    facts = {"providerCount": len(providers), "warnings": len(low)}
    if not lines:
        return NOTHING_KNOWN, facts
    counted = [line for line in lines if line.quota_total is not None]
    unlimited = sum(line.unlimited is True for line in lines)
    text = (
        f"Quotas of {len(lines)} accounts at {len(providers)} providers are known: "
        f"{unlimited} unlimited, {len(low)} with {WARNING_PERCENT:g} % or less left."
    )
    if counted:
        used = [f"{line.provider} {line.quota_used:g} of {line.quota_total:g}" for line in counted]
        text += f" Used: {', '.join(used)}."
    if low:
        text += f" Nearly used up: {', '.join(map(_told, low))}."
    return text, facts


SKILL = Skill(
    id="quota-management",
    name="Quota management",
    description=(
        "Says what is left of the quotas of providers, ranks them by it, and names combos that "
        "are free."
    ),
    tags=("quota", "limits", "providers"),
    examples=("Which provider has the most quota left?", "Suggest a free combo."),
    time_limit_s=10.0,
    run=run,
)
