"""Usage rows in SQL, and the sums over them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, RowMapping, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.usage import PromptCacheSum, UsageRow, UsageTotals
from omniroute.storage.statements import insert_new
from omniroute.storage.tables import usage_history as table

# Column names are the reference's, field names are the house's.
_COLUMNS = {
    "timestamp_ms": "timestamp",
    "input_tokens": "tokens_input",
    "cache_read_tokens": "tokens_cache_read",
    "cache_write_tokens": "tokens_cache_creation",
    "output_tokens": "tokens_output",
    "reasoning_tokens": "tokens_reasoning",
    "cache_write_1h_tokens": "tokens_cache_creation_1h",
    "input_audio_tokens": "tokens_input_audio",
    "input_image_tokens": "tokens_input_image",
    "output_audio_tokens": "tokens_output_audio",
    "output_image_tokens": "tokens_output_image",
}
_FIELDS = {column: field for field, column in _COLUMNS.items()}

_succeeded = func.count(case((table.c.success, table.c.request_id)).distinct())
_cached = table.c.tokens_cache_read
_cache_written = table.c.tokens_cache_creation + func.coalesce(table.c.tokens_cache_creation_1h, 0)
_TOTALS: tuple[ColumnElement[Any], ...] = (
    func.count(table.c.request_id.distinct()).label("requests"),
    (func.count(table.c.request_id.distinct()) - _succeeded).label("failures"),
    func.sum(table.c.tokens_input).label("input_tokens"),
    func.sum(table.c.tokens_output).label("output_tokens"),
    func.sum(table.c.cost_micro_usd).label("cost_micro_usd"),
    func.sum(table.c.latency_ms).label("latency_ms"),
)


def columns_of(row: UsageRow) -> dict[str, Any]:
    """A row as its table has it."""
    return {_COLUMNS.get(k, k): v for k, v in msgspec.structs.asdict(row).items()}


class UsageRepository:
    """One row per upstream attempt.

    Sums count requests, not attempts; a request failed when none of the attempts that are
    summed succeeded. An unknown price adds nothing to the cost.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[UsageRow]) -> None:
        """Insert the rows; those whose id is stored already are left as they are."""
        await insert_new(self._connection, table, [columns_of(row) for row in rows])

    async def totals(
        self,
        since_ms: int,
        api_key_id: str | None = None,
        combo: str | None = None,
        *,
        keyless: bool = False,
    ) -> UsageTotals:
        """Sums since a time (inclusive), of one key, of callers without one, or of one combo."""
        query = select(*_TOTALS).where(table.c.timestamp >= since_ms)
        if api_key_id is not None:
            query = query.where(table.c.api_key_id == api_key_id)
        if keyless:
            query = query.where(table.c.api_key_id.is_(None))
        if combo is not None:
            query = query.where(table.c.combo == combo)
        return _totals((await self._connection.execute(query)).mappings().one())

    async def by_provider(self, since_ms: int) -> dict[str, UsageTotals]:
        """Sums since a time (inclusive), for each provider that was tried."""
        rows = await self._connection.execute(
            select(table.c.provider, *_TOTALS)
            .where(table.c.timestamp >= since_ms)
            .group_by(table.c.provider)
            .order_by(table.c.provider)
        )
        return {row["provider"]: _totals(row) for row in rows.mappings()}

    async def recent(
        self, since_ms: int, limit: int, provider: str | None = None
    ) -> tuple[UsageRow, ...]:
        """The newest attempts since a time (inclusive), of one provider if given, oldest first."""
        newest = select(table).where(table.c.timestamp >= since_ms)
        if provider is not None:
            newest = newest.where(table.c.provider == provider)
        newest = newest.order_by(table.c.timestamp.desc(), table.c.id.desc()).limit(limit)
        rows = (await self._connection.execute(newest)).mappings().all()
        return tuple(
            UsageRow(**{_FIELDS.get(k, k): v for k, v in row.items()}) for row in reversed(rows)
        )

    async def prompt_cache(self, since_ms: int) -> tuple[PromptCacheSum, ...]:
        """What providers' own caches did since a time (inclusive), by model."""
        of_model = (table.c.provider, table.c.model)
        rows = await self._connection.execute(
            select(
                *of_model,
                func.count().label("attempts"),
                func.sum(case((_cached + _cache_written > 0, 1), else_=0)).label("cached_attempts"),
                func.sum(table.c.tokens_input + _cached + _cache_written).label("prompt_tokens"),
                func.sum(_cached).label("cached_tokens"),
                func.sum(_cache_written).label("written_tokens"),
            )
            .where(table.c.timestamp >= since_ms)
            .group_by(*of_model)
            .order_by(*of_model)
        )
        return tuple(
            PromptCacheSum(
                provider=row["provider"],
                model=row["model"],
                attempts=int(row["attempts"]),
                cached_attempts=int(row["cached_attempts"]),
                prompt_tokens=int(row["prompt_tokens"]),
                cached_tokens=int(row["cached_tokens"]),
                written_tokens=int(row["written_tokens"]),
            )
            for row in rows.mappings()
        )

    async def for_request(self, request_id: str) -> tuple[UsageRow, ...]:
        """The attempts of one request, in the order they were made."""
        rows = await self._connection.execute(
            select(table).where(table.c.request_id == request_id).order_by(table.c.attempt)
        )
        return tuple(
            UsageRow(**{_FIELDS.get(k, k): v for k, v in row.items()}) for row in rows.mappings()
        )


def _totals(row: RowMapping) -> UsageTotals:
    # A sum is null over no rows, and a Decimal on PostgreSQL.
    return UsageTotals(**{column.name: int(row[column.name] or 0) for column in _TOTALS})
