"""What compression saved, as it was measured (02 §11.2, 03 §8.4). What was not measured is 0."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.pipeline.compression.descriptions import DescriptionCounts
from omniroute.storage.database import Work
from omniroute.storage.records.compression import (
    MCP_DESCRIPTION,
    CompressionRow,
    CompressionSum,
    CompressionTotals,
)

HOUR_MS = 3_600_000
HOURS = 24

Since: TypeAlias = Literal["24h", "7d", "30d", "all"]
_SPANS_MS: Mapping[Since, int] = {
    "24h": 24 * HOUR_MS,
    "7d": 7 * 24 * HOUR_MS,
    "30d": 30 * 24 * HOUR_MS,
}


class Saved(Struct, frozen=True, kw_only=True, rename="camel"):
    """Requests that have something in common, and the tokens they saved, by estimate."""

    count: int
    tokens_saved: int
    avg_savings_pct: float


class SavedByCombo(Struct, frozen=True, kw_only=True, rename="camel"):
    """Requests that went through one pipeline, and the tokens they saved, by estimate."""

    count: int
    tokens_saved: int


class SavedByHour(Struct, frozen=True, kw_only=True, rename="camel"):
    """Requests of the hour that began then (ISO-8601), and the tokens they saved."""

    hour: str
    count: int
    tokens_saved: int


class RealUsage(Struct, frozen=True, kw_only=True, rename="camel"):
    """What providers billed for compressed requests; by who told. USD are an estimate."""

    requests_with_receipts: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    estimated_usd_saved: float
    by_source: dict[str, int]


class DescriptionSnapshots(Struct, frozen=True, kw_only=True, rename="camel"):
    """What listing descriptions short over MCP saved, by the snapshots in the database."""

    snapshots: int
    estimated_tokens_saved: int


class Analytics(Struct, frozen=True, kw_only=True, rename="camel"):
    """What compression saved in a period; `last24h` has every hour, the oldest first."""

    total_requests: int
    total_tokens_saved: int
    avg_savings_pct: float
    avg_duration_ms: float
    by_mode: dict[str, Saved]
    by_engine: dict[str, Saved]
    by_compression_combo: dict[str, SavedByCombo]
    by_provider: dict[str, Saved]
    last_24h: list[SavedByHour] = msgspec.field(name="last24h")
    validation_fallbacks: int
    real_usage: RealUsage
    mcp_description_compression: DescriptionSnapshots


class Sums(Struct, frozen=True, kw_only=True):
    """Everything the database sums up over a period."""

    totals: CompressionTotals
    modes: tuple[CompressionSum, ...]
    engines: tuple[CompressionSum, ...]
    combos: tuple[CompressionSum, ...]
    providers: tuple[CompressionSum, ...]
    sources: tuple[CompressionSum, ...]
    snapshots: int
    description_tokens: int


async def compression_analytics(engine: Engine, caller: Caller, since: Since) -> Analytics:
    """What compression saved in a period."""
    now_ms = engine.now_ms()
    first_ms = now_ms - now_ms % HOUR_MS - (HOURS - 1) * HOUR_MS
    async with engine.database.reading() as work:
        sums = await sums_since(work, since_ms(since, now_ms))
        hours = {int(one.name): one for one in await work.compression.by_hour(first_ms)}
    totals = sums.totals
    return Analytics(
        total_requests=totals.requests,
        total_tokens_saved=totals.tokens_saved,
        avg_savings_pct=percent(totals.tokens_saved, totals.original_tokens),
        avg_duration_ms=round(totals.duration_ms / totals.requests, 2) if totals.requests else 0,
        by_mode=saved(sums.modes),
        by_engine=saved(sums.engines),
        by_compression_combo=saved_by_combo(sums.combos),
        by_provider=saved(sums.providers),
        last_24h=[_hour(at, hours.get(at)) for at in range(first_ms, now_ms + 1, HOUR_MS)],
        validation_fallbacks=totals.validation_fallbacks,
        real_usage=real_usage(sums),
        mcp_description_compression=DescriptionSnapshots(
            snapshots=sums.snapshots, estimated_tokens_saved=sums.description_tokens
        ),
    )


def since_ms(since: Since, now_ms: int) -> int:
    """When a period began, epoch ms; 0 for all there is."""
    return now_ms - _SPANS_MS[since] if since in _SPANS_MS else 0


async def sums_since(work: Work, since_ms: int) -> Sums:
    """Everything the database sums up from a time on."""
    table = work.compression
    snapshots, tokens = await table.descriptions(since_ms)
    return Sums(
        totals=await table.totals(since_ms),
        modes=await table.by("mode", since_ms),
        engines=await table.by("engine", since_ms),
        combos=await table.by("compression_combo_id", since_ms),
        providers=await table.by("provider", since_ms),
        sources=await table.by("receipt_source", since_ms),
        snapshots=snapshots,
        description_tokens=tokens,
    )


async def keep_descriptions(engine: Engine) -> DescriptionCounts:
    """Write down what listing descriptions short has saved since that was written last; what it
    saved since the process began."""
    known = engine.descriptions
    counts, before = known.counts, known.stored
    fresh = counts.since(before)
    if not fresh.chars_saved:
        return counts
    tokens = counts.estimated_tokens_saved - before.estimated_tokens_saved
    known.stored = counts  # before anything is awaited: whoever asks meanwhile writes no second row
    row = CompressionRow(
        timestamp_ms=engine.now_ms(),
        mode=MCP_DESCRIPTION,
        engine=MCP_DESCRIPTION,
        original_tokens=-(-fresh.chars_before // 4),
        compressed_tokens=-(-fresh.chars_before // 4) - tokens,
        tokens_saved=tokens,
        mcp_description_tokens_saved=tokens,
    )
    try:
        async with engine.database.work() as work:
            await work.compression.add(row)
    except BaseException:
        known.stored = before
        raise
    return counts


def percent(part: int, whole: int) -> float:
    """A share of 100, two digits; 0 of nothing."""
    return round(100 * part / whole, 2) if whole else 0.0


def saved(sums: Sequence[CompressionSum]) -> dict[str, Saved]:
    """Sums by name."""
    return {
        one.name: Saved(
            count=one.count,
            tokens_saved=one.tokens_saved,
            avg_savings_pct=percent(one.tokens_saved, one.original_tokens),
        )
        for one in sums
    }


def saved_by_combo(sums: Sequence[CompressionSum]) -> dict[str, SavedByCombo]:
    """Sums by pipeline."""
    return {one.name: SavedByCombo(count=one.count, tokens_saved=one.tokens_saved) for one in sums}


def real_usage(sums: Sums) -> RealUsage:
    """What providers billed."""
    totals = sums.totals
    return RealUsage(
        requests_with_receipts=totals.receipts,
        prompt_tokens=totals.prompt_tokens,
        completion_tokens=totals.completion_tokens,
        total_tokens=totals.total_tokens,
        cache_read_tokens=totals.cache_read_tokens,
        cache_write_tokens=totals.cache_write_tokens,
        estimated_usd_saved=totals.saved_micro_usd / 1_000_000,
        by_source={one.name: one.count for one in sums.sources},
    )


def _hour(at_ms: int, found: CompressionSum | None) -> SavedByHour:
    return SavedByHour(
        hour=iso(at_ms),
        count=found.count if found else 0,
        tokens_saved=found.tokens_saved if found else 0,
    )
