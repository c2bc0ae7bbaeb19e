"""What came of a combo's requests: from the stored decisions, so it survives restarts. 02 §7.6."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import NotFound
from omniroute.routing.trace import AttemptTrace, RouteTrace
from omniroute.storage.records.usage import TraceRow

WINDOW_MS = 7 * 86_400_000
MOST_REQUESTS = 1_000
"""The newest requests of a combo that are looked at."""

MARKS = "combo_metrics"


class TargetMetrics(Struct, kw_only=True, rename="camel"):
    """Attempts at one target. Rates are percent, latency is milliseconds."""

    requests: int = 0
    successes: int = 0
    failures: int = 0
    total_latency_ms: int = 0
    avg_latency_ms: int = 0
    success_rate: int = 0
    last_status: str | None = None
    last_used_at: str | None = None
    execution_key: str | None = None
    step_id: str | None = None
    model: str | None = None
    provider: str | None = None
    connection_id: str | None = None

    def count(self, attempt: AttemptTrace) -> None:
        """One more attempt; they come oldest first."""
        good = attempt.verdict is None
        self.requests += 1
        self.successes += good
        self.failures += not good
        self.total_latency_ms += attempt.duration_ms
        self.avg_latency_ms = round(self.total_latency_ms / self.requests)
        self.success_rate = round(100 * self.successes / self.requests)
        self.last_status = "ok" if good else "error"
        self.last_used_at = iso(attempt.started_at_ms)


class ComboMetricsView(Struct, frozen=True, kw_only=True, rename="camel"):
    """Requests of one combo, and attempts at its models and targets.

    A request that needed several attempts counts once; `total_attempts` counts them all.
    """

    total_requests: int
    total_successes: int
    total_failures: int
    total_fallbacks: int
    total_attempts: int
    total_latency_ms: int
    avg_latency_ms: int
    success_rate: int
    fallback_rate: int
    strategy: str
    last_used_at: str | None
    intent_counts: dict[str, int]
    by_model: dict[str, TargetMetrics]
    by_target: dict[str, TargetMetrics]


class OneCombosMetrics(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metrics of one combo; null with a message where nobody has asked it yet."""

    metrics: ComboMetricsView | None
    message: str = ""


class AllCombosMetrics(Struct, frozen=True, kw_only=True):
    """Metrics of every combo that was asked, by name."""

    metrics: dict[str, ComboMetricsView]


async def metrics_of_combo(engine: Engine, caller: Caller, combo: str) -> OneCombosMetrics:
    """What came of a combo's newest requests.

    Raises:
        NotFound: there is no such combo.
    """
    if combo not in engine.snapshot.combos:
        raise NotFound(f"There is no combo '{combo}'.")
    if not engine.snapshot.combo_configs[combo].track_metrics:
        return OneCombosMetrics(metrics=None, message=f"trackMetrics is off for '{combo}'.")
    found = (await _metrics(engine, [combo])).get(combo)
    message = "" if found is not None else f"Nobody has asked '{combo}' yet."
    return OneCombosMetrics(metrics=found, message=message)


async def metrics_of_all_combos(engine: Engine, caller: Caller) -> AllCombosMetrics:
    """What came of the newest requests of every combo."""
    configs = engine.snapshot.combo_configs
    names = [name for name, config in configs.items() if config.track_metrics]
    return AllCombosMetrics(metrics=await _metrics(engine, names))


async def _metrics(engine: Engine, names: Sequence[str]) -> dict[str, ComboMetricsView]:
    await engine.journal.flush()
    found: dict[str, ComboMetricsView] = {}
    for name in names:
        rows = await newest_decisions(engine, name)
        if rows:
            strategy = engine.snapshot.combos[name].strategy
            texts = [row.data for row in rows]
            found[name] = await asyncio.to_thread(_summed, texts, strategy)
    return found


async def newest_decisions(engine: Engine, combo: str) -> tuple[TraceRow, ...]:
    """The stored decisions that a combo's metrics are made of, oldest first."""
    async with engine.database.reading() as work:
        marks = await work.settings.namespace(MARKS)
        since = max(engine.now_ms() - WINDOW_MS, int(marks.get(combo, 0)))
        return await work.traces.of_combo(combo, since, MOST_REQUESTS)


async def reset_combo_metrics(engine: Engine, caller: Caller, combo: str | None) -> str:
    """Count from now on; what was stored before stays in the decisions.

    Raises:
        NotFound: there is no such combo.
    """
    if combo is not None and combo not in engine.snapshot.combos:
        raise NotFound(f"There is no combo '{combo}'.")
    names = [combo] if combo is not None else list(engine.snapshot.combos)
    async with engine.database.work() as work:
        for name in names:
            await work.settings.set(name, engine.now_ms() + 1, namespace=MARKS)
    return f"Metrics of {combo or 'all combos'} count from now on"


def _summed(texts: Sequence[str], strategy: str) -> ComboMetricsView:
    traces = [msgspec.json.decode(text, type=RouteTrace) for text in texts]
    by_model: dict[str, TargetMetrics] = {}
    by_target: dict[str, TargetMetrics] = {}
    intents: Counter[str] = Counter()
    attempts = 0
    for trace in traces:
        intent = trace.plan.survey.facts.asked.intent if trace.plan is not None else None
        if intent is not None:
            intents[intent] += 1
        for attempt in trace.attempts:
            attempts += 1
            model = f"{attempt.provider}/{attempt.model}"
            by_model.setdefault(model, TargetMetrics()).count(attempt)
            key, step = _target(trace, attempt)
            row = by_target.setdefault(
                key,
                TargetMetrics(
                    execution_key=key,
                    step_id=step,
                    model=model,
                    provider=attempt.provider,
                    connection_id=attempt.connection,
                ),
            )
            row.count(attempt)
    total = len(traces)
    good = sum(trace.outcome == "completed" for trace in traces)
    fell_back = sum(len(trace.attempts) > 1 for trace in traces)
    latency_ms = sum(trace.duration_ms for trace in traces)
    return ComboMetricsView(
        total_requests=total,
        total_successes=good,
        total_failures=total - good,
        total_fallbacks=fell_back,
        total_attempts=attempts,
        total_latency_ms=latency_ms,
        avg_latency_ms=round(latency_ms / total),
        success_rate=round(100 * good / total),
        fallback_rate=round(100 * fell_back / total),
        strategy=strategy,
        last_used_at=iso(traces[-1].started_at_ms),
        intent_counts=dict(intents),
        by_model=by_model,
        by_target=by_target,
    )


def _target(trace: RouteTrace, attempt: AttemptTrace) -> tuple[str, str | None]:
    """The path of steps that led to an attempt."""
    row = trace.planned(attempt)
    return (row.key, row.step) if row is not None else (f"{attempt.provider}/{attempt.model}", None)
