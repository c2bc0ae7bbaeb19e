"""How one combo did, in short: requests, fallbacks, cost, and attempts by provider. 03 §8.1."""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import Conflict
from omniroute.operations.combos.combo_metrics import newest_decisions
from omniroute.operations.combos.combo_named import combo_named
from omniroute.routing.trace import AttemptTrace, RouteTrace


class ComboQuery(Struct, frozen=True, rename="camel"):
    """Which combo.

    Attributes:
        combo_id: the combo's id or name.
    """

    combo_id: str


class ProviderShare(Struct, frozen=True, kw_only=True, rename="camel"):
    """Attempts at one provider. `success_rate` is 0-1, `avg_latency` milliseconds."""

    provider: str
    requests: int
    success_rate: float
    avg_latency: float


class ComboReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of a combo's requests of the last 7 days, the newest 1000 of them.

    `success_rate` is 0-1, and 1 where nobody asked; `avg_latency` is milliseconds, `cost_total`
    USD. `fallback_count` counts requests that the first target did not answer.
    """

    requests: int
    success_rate: float
    avg_latency: float
    cost_total: float
    fallback_count: int
    by_provider: tuple[ProviderShare, ...]


async def combo_report(engine: Engine, caller: Caller, query: ComboQuery) -> ComboReport:
    """How a combo did.

    Raises:
        NotFound: there is no such combo.
        Conflict: its metrics are switched off.
    """
    combo = combo_named(engine.snapshot, query.combo_id, "comboId")
    if not engine.snapshot.combo_configs[combo.name].track_metrics:
        raise Conflict(
            f"Combo '{combo.name}' keeps no metrics: switch 'trackMetrics' on in its config."
        )
    await engine.journal.flush()
    rows = await newest_decisions(engine, combo.name)
    return await asyncio.to_thread(_summed, [row.data for row in rows])


def _summed(texts: Sequence[str]) -> ComboReport:
    traces = [msgspec.json.decode(text, type=RouteTrace) for text in texts]
    by_provider: dict[str, list[AttemptTrace]] = {}
    for trace in traces:
        for attempt in trace.attempts:
            by_provider.setdefault(attempt.provider, []).append(attempt)
    good = sum(trace.outcome == "completed" for trace in traces)
    return ComboReport(
        requests=len(traces),
        success_rate=_share(good, len(traces)),
        avg_latency=_mean([trace.duration_ms for trace in traces]),
        cost_total=sum(trace.cost_micro_usd or 0 for trace in traces) / 1e6,
        fallback_count=sum(len(trace.attempts) > 1 for trace in traces),
        by_provider=tuple(
            ProviderShare(
                provider=provider,
                requests=len(attempts),
                success_rate=_share(sum(one.verdict is None for one in attempts), len(attempts)),
                avg_latency=_mean([one.duration_ms for one in attempts]),
            )
            for provider, attempts in sorted(by_provider.items())
        ),
    )


def _share(good: int, count: int) -> float:
    return round(good / count, 4) if count else 1.0


def _mean(values: Sequence[int]) -> float:
    return round(sum(values) / len(values), 1) if values else 0.0
