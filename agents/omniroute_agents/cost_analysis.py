"""Says what was spent, on whom, and where money could be saved."""

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.operations.inputs import convert_input
from omniroute.operations.usage.analytics import Analytics, AnalyticsQuery, analytics
from omniroute.operations.usage.usage import UsageLine
from omniroute.skills.skill import Emit, Skill, SkillReply, SkillRequest
from omniroute_agents.words import named

Span: TypeAlias = Literal["1d", "7d", "30d", "90d", "ytd", "365d", "all"]

SPANS: dict[Span, str] = {
    "1d": "today|24 ?h",
    "7d": "week|7 ?d",
    "90d": "quarter|90 ?d",
    "ytd": "year|ytd",
}
MOST_LINES = 10
NOTABLE_FALLBACKS = 0.1


class Options(Struct, frozen=True):
    """The metadata this skill reads."""

    range: Span


async def run(engine: Engine, request: SkillRequest, emit: Emit) -> SkillReply:
    """Spend in a range; a key that does not manage the gateway sees its own."""
    given = request.options.get("range")
    asked = {"range": given or named(request.last_text, SPANS, "30d")}
    span = convert_input(Options, asked).range
    used = await analytics(engine, request.caller, _query(engine, request.caller, span))
    savings = list(_savings(used))
    text = _told(span, used, savings)
    await emit(text)
    return SkillReply(text, _metadata(span, used, savings))


def _query(engine: Engine, caller: Caller, span: Span) -> AnalyticsQuery:
    keys = () if caller.key_id is None or caller.is_operator else (caller.key_id,)
    if span == "ytd":
        return AnalyticsQuery(start=f"{iso(engine.now_ms())[:4]}-01-01", keys=keys)
    return AnalyticsQuery(range=span, keys=keys)


def _savings(used: Analytics) -> Iterable[str]:
    """What a look at the numbers suggests; nothing where nothing was spent."""
    provider, model = (_dearest(lines) for lines in (used.by_provider, used.by_model))
    if provider is not None:
        name, line = provider
        share = line.cost / used.summary.cost
        yield f"{name} is the costliest provider: ${line.cost:.4f}, {share:.0%} of all spend."
    if model is not None:
        name, line = model
        yield f"{name} is the costliest model: ${line.cost:.4f} for {line.requests} requests."
    rate = _fallback_rate(used.by_provider.values())
    if rate > NOTABLE_FALLBACKS:
        yield f"{rate:.0%} of all attempts were made because an earlier one failed."


def _dearest(lines: dict[str, UsageLine]) -> tuple[str, UsageLine] | None:
    first = next(iter(lines.items()), None)
    return first if first is not None and first[1].cost > 0 else None


def _fallback_rate(lines: Iterable[UsageLine]) -> float:
    """The share (0-1) of attempts beyond the one in which their request ended."""
    counted = list(lines)
    attempts = sum(line.attempts for line in counted)
    return 1 - sum(line.requests for line in counted) / attempts if attempts else 0.0


def _told(span: Span, used: Analytics, savings: list[str]) -> str:
    summary = used.summary
    if not summary.requests:
        return f"Nothing was asked in the range {span}, so nothing was spent."
    tokens = summary.prompt_tokens + summary.completion_tokens
    unpriced = sum(line.unpriced for line in used.by_provider.values())
    lines = [
        (
            f"${summary.cost:.4f} were spent in the range {span}, on {summary.requests} requests "
            f"with {tokens} tokens."
        ),
        *savings,
    ]
    if unpriced:
        lines.append(f"{unpriced} attempts are not in it: nobody states a price of their model.")
    return " ".join(lines)


def _metadata(span: Span, used: Analytics, savings: list[str]) -> dict[str, Any]:
    return {
        "range": span,
        "totalCost": used.summary.cost,
        "totalRequests": used.summary.requests,
        "providerCosts": _lines(used.by_provider),
        "modelCosts": _lines(used.by_model),
        "savings": savings,
    }


def _lines(lines: dict[str, UsageLine]) -> list[dict[str, Any]]:
    """The dearest lines; they come in that order."""
    return [
        {
            "id": name,
            "requests": line.requests,
            "cost": line.cost,
            "tokens": line.prompt_tokens + line.completion_tokens,
        }
        for name, line in list(lines.items())[:MOST_LINES]
    ]


SKILL = Skill(
    id="cost-analysis",
    name="Cost analysis",
    description="Says what was spent by provider and model, and where money could be saved.",
    tags=("cost", "usage", "savings"),
    examples=("What did we spend this week?", "Which model is the most expensive this year?"),
    time_limit_s=15.0,
    run=run,
)
