"""What was used over time, what is left of accounts, how combos did. Source: 02 §28."""

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from omniroute.caller import Caller
from omniroute.clock import from_iso, iso
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.operations.routing.quotas import LiveQuota, shown_report
from omniroute.operations.usage.usage import UsageLine, usage_lines
from omniroute.routing.snapshot import DEMO_ACCOUNT
from omniroute.storage.records.usage import UsageSpan
from omniroute.storage.usage_rollups import HOUR_MS

Range: TypeAlias = Literal["1d", "7d", "30d", "90d", "365d", "all"]

DAY_MS = 24 * HOUR_MS
RANGES: Mapping[Range, int | None] = {
    "1d": DAY_MS,
    "7d": 7 * DAY_MS,
    "30d": 30 * DAY_MS,
    "90d": 90 * DAY_MS,
    "365d": 365 * DAY_MS,
    "all": None,
}
"""How far back each goes, milliseconds."""

MOST_POINTS = 10_000


class UsageTotal(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was used in all. Cost is USD."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


class UsageDay(UsageTotal, frozen=True, kw_only=True, rename="camel"):
    """What was used on one day (UTC)."""

    date: str


class Analytics(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was used in a range of whole hours: in all, by day, and under each name, the dearest
    first. `presets` are the totals of the ranges that were asked for beside."""

    start_date: str | None
    end_date: str
    summary: UsageTotal
    by_day: tuple[UsageDay, ...]
    by_provider: dict[str, UsageLine]
    by_model: dict[str, UsageLine]
    by_account: dict[str, UsageLine]
    by_api_key: dict[str, UsageLine]
    presets: dict[str, UsageTotal] | UnsetType = UNSET


class AnalyticsQuery(Struct, frozen=True, kw_only=True):
    """What is asked for. Dates are ISO-8601 and win over the range; keys are ids."""

    range: Range = "30d"
    start: str | None = None
    end: str | None = None
    keys: tuple[str, ...] = ()
    presets: tuple[Range, ...] = ()


class LimitLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an account's provider said last, and the limits of the gateway's own."""

    connection_id: str
    provider: str
    name: str
    is_active: bool
    max_concurrent: int | None
    rate_limit_protection: bool
    quota: LiveQuota | None
    asked_at: str | None
    problem: str | None


class Point(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was left of a window at a time, percent; null where it has no end."""

    at: str
    remaining_percentage: float | None


class WindowHistory(Struct, frozen=True, kw_only=True, rename="camel"):
    """How one window of an account's quota went, oldest first."""

    connection_id: str
    provider: str
    name: str | None
    window: str
    points: list[Point]


class ComboLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """How a combo did. The rate is percent, null where nobody asked; `status` is of its targets'
    providers: `healthy`, `degraded` where the breaker of some is open, `unhealthy` of all."""

    name: str
    strategy: str
    is_active: bool
    targets: int
    requests: int
    success_rate: float | None
    avg_latency_ms: int | None
    last_used_at: str | None
    status: Literal["healthy", "degraded", "unhealthy"]


async def analytics(engine: Engine, caller: Caller, query: AnalyticsQuery) -> Analytics:
    """What was used in a range.

    Raises:
        ValidationFailed: a date is none, or the range ends before it begins.
    """
    await engine.journal.flush()
    now_ms = engine.now_ms()
    start_ms, end_ms = _bounds(query, now_ms)
    async with engine.database.reading() as work:
        sums = await work.rollups.between(start_ms, end_ms, query.keys)
        days = await work.rollups.days(start_ms, end_ms, query.keys)
        presets = {}
        for name in query.presets:
            back_ms = RANGES[name]
            since = None if back_ms is None else now_ms - back_ms
            presets[name] = await work.rollups.days(since, now_ms, query.keys)
    lines = usage_lines(engine, sums)
    return Analytics(
        start_date=None if start_ms is None else iso(start_ms),
        end_date=iso(end_ms),
        summary=_total(days),
        by_day=tuple(map(_day, days)),
        by_provider=lines.by_provider,
        by_model=lines.by_model,
        by_account=lines.by_account,
        by_api_key=lines.by_api_key,
        presets={name: _total(rows) for name, rows in presets.items()} or UNSET,
    )


async def provider_limits(engine: Engine, caller: Caller) -> list[LimitLine]:
    """What is known of every account's limits; nobody is asked for it."""
    found = []
    for row in engine.snapshot.connections.values():
        if row.id == DEMO_ACCOUNT.id:
            continue
        standing = engine.live.quotas.standing(row.id)
        report = standing.report
        found.append(
            LimitLine(
                connection_id=row.id,
                provider=row.provider,
                name=row.name,
                is_active=row.is_active,
                max_concurrent=row.max_concurrent,
                rate_limit_protection=engine.policy.protected(row),
                quota=None if report is None else shown_report(report),
                asked_at=iso(standing.asked_at_ms) if standing.asked_at_ms else None,
                problem=standing.problem,
            )
        )
    return found


async def utilization(
    engine: Engine, caller: Caller, back: Range, provider: str | None
) -> list[WindowHistory]:
    """How the quotas of accounts went, as their providers told; the newest 10 000 reports."""
    back_ms, snapshot = RANGES[back], engine.snapshot
    since = 0 if back_ms is None else engine.now_ms() - back_ms
    wanted = None if provider is None else snapshot.provider_named(provider) or provider
    async with engine.database.reading() as work:
        rows = await work.quotas.since(since, wanted, MOST_POINTS)
    found: dict[tuple[str, str], WindowHistory] = {}
    for row in reversed(rows):
        account = snapshot.connections.get(row.connection_id)
        history = found.setdefault(
            (row.connection_id, row.window_key),
            WindowHistory(
                connection_id=row.connection_id,
                provider=row.provider,
                name=None if account is None else account.name,
                window=row.window_key,
                points=[],
            ),
        )
        history.points.append(
            Point(at=iso(row.created_at_ms), remaining_percentage=row.remaining_percentage)
        )
    return list(found.values())


async def combo_health(engine: Engine, caller: Caller, back: Range) -> list[ComboLine]:
    """How each combo did, and whether its targets' providers can be asked."""
    await engine.journal.flush()
    back_ms, view = RANGES[back], engine.health.view()
    since = 0 if back_ms is None else engine.now_ms() - back_ms
    async with engine.database.reading() as work:
        sums = await work.calls.by_combo(since)
    found = []
    for combo in sorted(engine.snapshot.combos.values(), key=lambda row: row.sort_order):
        named = [getattr(step, "model", "").partition("/")[0] for step in combo.steps]
        providers = {engine.snapshot.provider_named(one) for one in named if one} - {None}
        down = sum(view.breaker(str(one)) == "OPEN" for one in providers)
        status: Literal["healthy", "degraded", "unhealthy"] = "degraded" if down else "healthy"
        if providers and down == len(providers):
            status = "unhealthy"
        row = sums.get(combo.name)
        found.append(
            ComboLine(
                name=combo.name,
                strategy=combo.strategy,
                is_active=combo.is_active,
                targets=len(combo.steps),
                requests=row.requests if row else 0,
                success_rate=round(100 * row.successes / row.requests, 1) if row else None,
                avg_latency_ms=round(row.duration_ms / row.requests) if row else None,
                last_used_at=iso(row.last_ms) if row else None,
                status=status,
            )
        )
    return found


def _bounds(query: AnalyticsQuery, now_ms: int) -> tuple[int | None, int]:
    back_ms = RANGES[query.range]
    start_ms = None if back_ms is None else now_ms - back_ms
    if query.start:
        start_ms = _moment("startDate", query.start)
    end_ms = _moment("endDate", query.end) if query.end else now_ms
    if query.end and len(query.end) == len("2026-01-01"):
        end_ms += DAY_MS - 1  # a day is meant whole
    if start_ms is not None and end_ms < start_ms:
        raise ValidationFailed([("endDate", "is before startDate")])
    return start_ms, end_ms


def _moment(field: str, text: str) -> int:
    try:
        return from_iso(text)
    except (ValueError, OverflowError) as error:
        raise ValidationFailed([(field, "must be an ISO-8601 date")]) from error


def _total(rows: Iterable[UsageSpan]) -> UsageTotal:
    found = list(rows)
    return UsageTotal(
        requests=sum(row.requests for row in found),
        prompt_tokens=sum(row.prompt_tokens for row in found),
        completion_tokens=sum(row.completion_tokens for row in found),
        cost=sum(row.cost_micro_usd for row in found) / 1e6,
    )


def _day(row: UsageSpan) -> UsageDay:
    return UsageDay(date=iso(row.start_ms)[:10], **asdict(_total([row])))
