"""Pipelines of compression and what compression saved, in SQL."""

import logging
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec
from sqlalchemy import BigInteger, RowMapping, cast, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.compression import (
    MCP_DESCRIPTION,
    Assignment,
    CompressionCombo,
    CompressionRow,
    CompressionSum,
    CompressionTotals,
    StoredStep,
)
from omniroute.storage.statements import insert_new, upsert
from omniroute.storage.tables import compression_analytics as rows
from omniroute.storage.tables import compression_combo_assignments as assignments
from omniroute.storage.tables import compression_combos as combos

log = logging.getLogger(__name__)
ValueT = TypeVar("ValueT")

HOUR_MS = 3_600_000

By: TypeAlias = Literal["mode", "engine", "compression_combo_id", "provider", "receipt_source"]

_REQUESTS = rows.c.mode != MCP_DESCRIPTION


class CompressionComboRepository:
    """Pipelines, the default one first, then by name."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self) -> tuple[CompressionCombo, ...]:
        """All of them."""
        order = (combos.c.is_default.desc(), combos.c.name, combos.c.id)
        found = await self._connection.execute(select(combos).order_by(*order))
        return tuple(_combo(row) for row in found.mappings())

    async def get(self, id: str) -> CompressionCombo | None:  # noqa: A002
        """The one with this id."""
        found = await self._connection.execute(select(combos).where(combos.c.id == id))
        row = found.mappings().first()
        return None if row is None else _combo(row)

    async def add_missing(self, combo: CompressionCombo) -> None:
        """Insert it unless one has its id."""
        await insert_new(self._connection, combos, [msgspec.structs.asdict(combo)])

    async def save(self, combo: CompressionCombo) -> None:
        """Insert it, or overwrite the one with its id. A new default takes the place of the old."""
        if combo.is_default:
            await self._connection.execute(
                update(combos).where(combos.c.id != combo.id).values(is_default=False)
            )
        await upsert(self._connection, combos, msgspec.structs.asdict(combo))

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Remove one with its assignments; False when there was none."""
        removed = await self._connection.execute(delete(combos).where(combos.c.id == id))
        return removed.rowcount > 0

    async def assignments(self, id: str) -> tuple[Assignment, ...]:  # noqa: A002
        """The combos one is for, in the order they were named."""
        mine = assignments.c.compression_combo_id == id
        order = (assignments.c.created_at_ms, assignments.c.id)
        found = await self._connection.execute(select(assignments).where(mine).order_by(*order))
        return tuple(Assignment(**row) for row in found.mappings())

    async def assign(self, id: str, wanted: tuple[Assignment, ...]) -> None:  # noqa: A002
        """Have one be for these combos and no others; they are for nothing else any more."""
        named = [row.routing_combo_id for row in wanted]
        for gone in (
            assignments.c.compression_combo_id == id,
            assignments.c.routing_combo_id.in_(named),
        ):
            await self._connection.execute(delete(assignments).where(gone))
        if wanted:
            await self._connection.execute(
                insert(assignments), [msgspec.structs.asdict(row) for row in wanted]
            )


class CompressionAnalyticsRepository:
    """Sums over what was compressed. `since_ms` is epoch ms, inclusive."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: CompressionRow) -> None:
        """Append a row."""
        await self._connection.execute(insert(rows), msgspec.structs.asdict(row))

    async def totals(self, since_ms: int) -> CompressionTotals:
        """Over all requests."""
        receipt = rows.c.receipt_source.is_not(None)
        found = await self._connection.execute(
            select(
                func.count().label("requests"),
                func.count().filter(rows.c.tokens_saved > 0).label("compressed"),
                _sum(rows.c.original_tokens).label("original_tokens"),
                _sum(rows.c.tokens_saved).label("tokens_saved"),
                _sum(rows.c.duration_ms).label("duration_ms"),
                func.count().filter(rows.c.validation_fallback).label("validation_fallbacks"),
                func.count().filter(receipt).label("receipts"),
                _sum(rows.c.actual_prompt_tokens).label("prompt_tokens"),
                _sum(rows.c.actual_completion_tokens).label("completion_tokens"),
                _sum(rows.c.actual_total_tokens).label("total_tokens"),
                _sum(rows.c.actual_cache_read_tokens).label("cache_read_tokens"),
                _sum(rows.c.actual_cache_write_tokens).label("cache_write_tokens"),
                _sum(rows.c.estimated_saved_micro_usd).label("saved_micro_usd"),
            ).where(_REQUESTS, rows.c.timestamp_ms >= since_ms)
        )
        return CompressionTotals(**dict(found.mappings().one()))

    async def by(self, column: By, since_ms: int) -> tuple[CompressionSum, ...]:
        """Over requests by what they have in a column; those with nothing in it are left out."""
        name = rows.c[column]
        found = await self._connection.execute(
            select(name, func.count(), _sum(rows.c.original_tokens), _sum(rows.c.tokens_saved))
            .where(_REQUESTS, rows.c.timestamp_ms >= since_ms, name.is_not(None))
            .group_by(name)
            .order_by(name)
        )
        return tuple(_total(row) for row in found)

    async def by_hour(self, since_ms: int) -> tuple[CompressionSum, ...]:
        """Over requests by the hour, whose beginning in epoch ms is the name."""
        hour = (rows.c.timestamp_ms - rows.c.timestamp_ms % HOUR_MS).label("hour")
        found = await self._connection.execute(
            select(hour, func.count(), _sum(rows.c.original_tokens), _sum(rows.c.tokens_saved))
            .where(_REQUESTS, rows.c.timestamp_ms >= since_ms)
            .group_by(hour)
            .order_by(hour)
        )
        return tuple(_total(row) for row in found)

    async def descriptions(self, since_ms: int) -> tuple[int, int]:
        """Snapshots of what was listed over MCP, and the tokens all of them saved."""
        found = await self._connection.execute(
            select(func.count(), _sum(rows.c.mcp_description_tokens_saved)).where(
                ~_REQUESTS, rows.c.timestamp_ms >= since_ms
            )
        )
        snapshots, tokens = found.one()
        return snapshots, tokens


def _sum(column: Any) -> Any:
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


def _total(row: Any) -> CompressionSum:
    name, count, original, saved = row
    return CompressionSum(name=str(name), count=count, original_tokens=original, tokens_saved=saved)


def _combo(row: RowMapping) -> CompressionCombo:
    return CompressionCombo(
        **{
            **row,
            "pipeline": _stored(row["pipeline"], tuple[StoredStep, ...]),
            "language_packs": _stored(row["language_packs"], tuple[str, ...]),
        }
    )


def _stored(value: Any, kind: type[ValueT]) -> ValueT:
    """What a JSON column holds; nothing where it is damaged."""
    try:
        return msgspec.convert(value or [], kind)
    except msgspec.ValidationError:
        log.warning("a stored pipeline of compression is damaged and is read as empty")
        return kind()
