"""What was spent in a period, by provider and by model, and what may still be spent. 03 §8.1."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.usage.session_usage import ReportPeriod, since_of, visible_sums
from omniroute.pipeline.money.budgets import budgets_for
from omniroute.pipeline.money.purse import Purse
from omniroute.storage.records.usage import UsageSum


class CostQuery(Struct, frozen=True):
    """Which period.

    Attributes:
        period: `session` is since the gateway started, a day at most; the others end now.
    """

    period: ReportPeriod = "session"


class TokenSums(Struct, frozen=True):
    """Tokens read and written."""

    prompt: int
    completion: int


class ProviderCost(Struct, frozen=True):
    """What one provider cost, USD."""

    name: str
    cost: float
    requests: int


class ModelCost(Struct, frozen=True):
    """What one model cost, USD."""

    model: str
    cost: float
    requests: int


class RemainingBudget(Struct, frozen=True):
    """The caller's tightest limit and what is left of it, USD; null without any."""

    limit: float | None
    remaining: float | None


class CostReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a period cost, USD, the dearest first. `unpriced` attempts are not in it: nobody states
    a price of their model."""

    period: ReportPeriod
    total_cost: float
    request_count: int
    token_count: TokenSums
    by_provider: tuple[ProviderCost, ...]
    by_model: tuple[ModelCost, ...]
    budget: RemainingBudget
    unpriced: int


async def cost_report(engine: Engine, caller: Caller, query: CostQuery) -> CostReport:
    """What was spent. Operators see what everybody spent, others what they did themselves."""
    sums = await visible_sums(engine, caller, since_of(engine, query.period))
    return CostReport(
        period=query.period,
        total_cost=sum(row.cost_micro_usd for row in sums) / 1e6,
        request_count=sum(row.requests for row in sums),
        token_count=TokenSums(
            sum(row.prompt_tokens for row in sums), sum(row.completion_tokens for row in sums)
        ),
        by_provider=tuple(ProviderCost(*line) for line in _dearest(sums, lambda row: row.provider)),
        by_model=tuple(
            ModelCost(*line) for line in _dearest(sums, lambda row: f"{row.provider}/{row.model}")
        ),
        budget=await _budget(engine, caller),
        unpriced=sum(row.unpriced for row in sums),
    )


def _dearest(
    sums: Iterable[UsageSum], name: Callable[[UsageSum], str]
) -> list[tuple[str, float, int]]:
    """Name, USD and requests under each name."""
    rows: dict[str, list[UsageSum]] = defaultdict(list)
    for row in sums:
        rows[name(row)].append(row)
    lines = [
        (key, sum(one.cost_micro_usd for one in found) / 1e6, sum(one.requests for one in found))
        for key, found in rows.items()
    ]
    return sorted(lines, key=lambda line: (-line[1], -line[2], line[0]))


async def _budget(engine: Engine, caller: Caller) -> RemainingBudget:
    purses: list[Purse] = []
    for budget in budgets_for(caller, caller.session_id, engine.snapshot.budgets):
        purses += await engine.ledger.looked_up(budget)
    tightest = min(purses, key=lambda purse: purse.unspent, default=None)
    if tightest is None:
        return RemainingBudget(None, None)
    return RemainingBudget(tightest.window.limit / 1e6, max(0, tightest.unspent) / 1e6)
