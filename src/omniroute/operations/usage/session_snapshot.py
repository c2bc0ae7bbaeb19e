"""This session at a glance: what was asked, of whom, what it cost, what went wrong. 03 §8.2."""

from collections import Counter

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.operations.money.budget_guard import GuardAction, guard_standing
from omniroute.operations.money.cost_report import TokenSums
from omniroute.operations.usage.session_usage import since_of, visible_sums

MOST_NAMED = 5


class ModelCount(Struct, frozen=True):
    """How many requests a model answered."""

    model: str
    count: int


class ProviderCount(Struct, frozen=True):
    """How many requests a provider answered."""

    provider: str
    count: int


class ActiveGuard(Struct, frozen=True):
    """The caller's guard; `remaining` is USD. Not active once nothing remains."""

    active: bool
    remaining: float
    action: GuardAction


class SessionSnapshot(Struct, frozen=True, kw_only=True, rename="camel"):
    """What happened since `session_start` (ISO-8601); `duration` is text, `hours:minutes:seconds`.

    `errors` counts requests no target answered, `fallbacks` attempts beyond the first.
    """

    session_start: str
    duration: str
    request_count: int
    cost_total: float
    token_count: TokenSums
    top_models: tuple[ModelCount, ...]
    top_providers: tuple[ProviderCount, ...]
    errors: int
    fallbacks: int
    budget_guard: ActiveGuard | None


async def session_snapshot(engine: Engine, caller: Caller) -> SessionSnapshot:
    """This session. Operators see what everybody asked, others what they did themselves."""
    since_ms, now_ms = since_of(engine, "session"), engine.now_ms()
    sums = await visible_sums(engine, caller, since_ms)
    async with engine.database.reading() as work:
        whose = None if caller.is_operator else caller.key_id
        keyless = whose is None and not caller.is_operator
        totals = await work.usage.totals(since_ms, whose, keyless=keyless)
    models, providers = Counter[str](), Counter[str]()
    for row in sums:
        models[f"{row.provider}/{row.model}"] += row.requests
        providers[row.provider] += row.requests
    guard = await guard_standing(engine, caller)
    requests = sum(row.requests for row in sums)
    return SessionSnapshot(
        session_start=iso(since_ms),
        duration=_duration(now_ms - since_ms),
        request_count=requests,
        cost_total=sum(row.cost_micro_usd for row in sums) / 1e6,
        token_count=TokenSums(
            sum(row.prompt_tokens for row in sums), sum(row.completion_tokens for row in sums)
        ),
        top_models=tuple(ModelCount(*one) for one in models.most_common(MOST_NAMED)),
        top_providers=tuple(ProviderCount(*one) for one in providers.most_common(MOST_NAMED)),
        errors=totals.failures,
        fallbacks=sum(row.attempts for row in sums) - requests,
        budget_guard=None
        if guard is None
        else ActiveGuard(guard.status != "exceeded", guard.budget_remaining, guard.action),
    )


def _duration(ms: int) -> str:
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"
