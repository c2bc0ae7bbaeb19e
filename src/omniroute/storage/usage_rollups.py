"""Sums over usage rows by hour: written with the rows they sum up, so the two never differ."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    case,
    delete,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.usage import UsageRow, UsageSpan, UsageSum
from omniroute.storage.statements import insert_into
from omniroute.storage.tables import usage_history as raw
from omniroute.storage.tables import usage_rollups as table

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000

_GRAIN = ("provider", "model", "connection_id", "api_key_id")
_COUNTS = (
    "requests",
    "attempts",
    "prompt_tokens",
    "completion_tokens",
    "cost_micro_usd",
    "unpriced",
)

_later = raw.alias("later")
_ended = ~(
    select(literal(1))
    .where(_later.c.request_id == raw.c.request_id, _later.c.attempt > raw.c.attempt)
    .exists()
)
_read = (
    raw.c.tokens_input
    + raw.c.tokens_cache_read
    + raw.c.tokens_cache_creation
    + func.coalesce(raw.c.tokens_cache_creation_1h, 0)
    + func.coalesce(raw.c.tokens_input_audio, 0)
    + func.coalesce(raw.c.tokens_input_image, 0)
)
_written = (
    raw.c.tokens_output
    + raw.c.tokens_reasoning
    + func.coalesce(raw.c.tokens_output_audio, 0)
    + func.coalesce(raw.c.tokens_output_image, 0)
)
_unpriced = raw.c.cost_micro_usd.is_(None) & (_read + _written > 0)
_RAW_COUNTS: dict[str, ColumnElement[Any]] = {
    "requests": func.sum(case((_ended, 1), else_=0)),
    "attempts": func.count(),
    "prompt_tokens": func.sum(_read),
    "completion_tokens": func.sum(_written),
    "cost_micro_usd": func.sum(func.coalesce(raw.c.cost_micro_usd, 0)),
    "unpriced": func.sum(case((_unpriced, 1), else_=0)),
}


class RollupRepository:
    """Sums by hour, provider, model, account and key."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, requests: Iterable[Sequence[UsageRow]]) -> None:
        """Count requests, each with all its attempts. They must not have been counted before."""
        sums: dict[tuple[Any, ...], dict[str, int]] = {}
        for attempts in requests:
            last = max((row.attempt for row in attempts), default=0)
            for row in attempts:
                _count(sums, row, ended=row.attempt == last)
        if not sums:
            return
        statement = insert_into(self._connection, table)
        fresh = statement.excluded
        changed: dict[str, Any] = {name: table.c[name] + fresh[name] for name in _COUNTS}
        newer = fresh.last_used_ms > table.c.last_used_ms
        changed["last_used_ms"] = case((newer, fresh.last_used_ms), else_=table.c.last_used_ms)
        primary = [column.name for column in table.primary_key]
        # In one order everywhere: two processes that lock the same rows must not wait crosswise.
        rows = [dict(zip(primary, key, strict=True)) | sums[key] for key in sorted(sums)]
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=primary, set_=changed), rows
        )

    async def sums(self, since_ms: int | None) -> tuple[UsageSum, ...]:
        """Sums since a time (inclusive), of everything where it is None.

        Hours come from the rollups; only the part of one hour is added up from the rows.
        """
        if since_ms is None:
            return await self._hours(0)
        whole = -(-since_ms // HOUR_MS) * HOUR_MS
        return (*await self._hours(whole), *await self.raw_sums(since_ms, whole))

    async def between(
        self, since_ms: int | None, until_ms: int, keys: Sequence[str] = ()
    ) -> tuple[UsageSum, ...]:
        """Sums of the hours that begin in a range; only of some keys where they are named."""
        return await self._hours(_hour_of(since_ms or 0), _within(until_ms, keys))

    async def days(
        self, since_ms: int | None, until_ms: int, keys: Sequence[str] = ()
    ) -> tuple[UsageSpan, ...]:
        """What was used on each day (UTC) of the same, oldest first; each begins at its start."""
        day = (table.c.hour_ms - table.c.hour_ms % DAY_MS).label("start_ms")
        names = [name for name in UsageSpan.__struct_fields__ if name != "start_ms"]
        rows = await self._connection.execute(
            select(day, *(func.sum(table.c[name]).label(name) for name in names))
            .where(table.c.hour_ms >= _hour_of(since_ms or 0), *_within(until_ms, keys))
            .group_by(day)
            .order_by(day)
        )
        return tuple(UsageSpan(**{k: int(v) for k, v in row.items()}) for row in rows.mappings())

    async def _hours(
        self, since_ms: int, also: Sequence[ColumnElement[bool]] = ()
    ) -> tuple[UsageSum, ...]:
        grain = [table.c[name] for name in _GRAIN]
        rows = await self._connection.execute(
            select(
                *grain,
                *(func.sum(table.c[name]).label(name) for name in _COUNTS),
                func.max(table.c.last_used_ms).label("last_used_ms"),
            )
            .where(table.c.hour_ms >= since_ms, *also)
            .group_by(*grain)
        )
        return tuple(_sum(row) for row in rows.mappings())

    async def raw_sums(self, since_ms: int, until_ms: int) -> tuple[UsageSum, ...]:
        """The same from the rows themselves, from `since_ms` on and before `until_ms`."""
        grain = [raw.c[name] for name in _GRAIN]
        rows = await self._connection.execute(
            select(
                *grain,
                *(count.label(name) for name, count in _RAW_COUNTS.items()),
                func.max(raw.c.timestamp).label("last_used_ms"),
            )
            .where(raw.c.timestamp >= since_ms, raw.c.timestamp < until_ms)
            .group_by(*grain)
        )
        return tuple(_sum(row) for row in rows.mappings())

    async def differing_hours(self, since_ms: int, until_ms: int | None) -> list[int]:
        """Hours in which the sums are not those of the rows, oldest first.

        Args:
            since_ms: from when on all rows are there.
            until_ms: up to when to look; to the end where it is None.
        """
        stored = await self._by_hour(
            select(table.c.hour_ms, *(table.c[name] for name in (*_GRAIN, *_COUNTS))).where(
                table.c.hour_ms >= since_ms
            )
        )
        summed = await self._by_hour(_sums_by_hour().where(raw.c.timestamp >= since_ms))
        differing = {key[0] for key, counts in stored.items() if summed.get(key) != counts}
        differing |= {key[0] for key in summed.keys() - stored.keys()}
        return sorted(hour for hour in differing if until_ms is None or hour < until_ms)

    async def rebuild(self, hour_ms: int) -> None:
        """Make the sums of an hour anew from its rows, which must all be there."""
        await self._connection.execute(delete(table).where(table.c.hour_ms == hour_ms))
        of_hour = (raw.c.timestamp >= hour_ms) & (raw.c.timestamp < hour_ms + HOUR_MS)
        names = ["hour_ms", *_GRAIN, *_COUNTS, "last_used_ms"]
        await self._connection.execute(
            insert(table).from_select(names, _sums_by_hour(last_used=True).where(of_hour))
        )

    async def _by_hour(self, query: Select[Any]) -> dict[tuple[Any, ...], tuple[int, ...]]:
        rows = await self._connection.execute(query)
        edge = 1 + len(_GRAIN)
        return {tuple(row[:edge]): tuple(int(count) for count in row[edge:]) for row in rows}

    async def minutes(self, since_ms: int) -> dict[int, UsageSpan]:
        """What was used since a time (inclusive), by the start of the minute."""
        start = (raw.c.timestamp - raw.c.timestamp % MINUTE_MS).label("start_ms")
        names = [name for name in UsageSpan.__struct_fields__ if name != "start_ms"]
        rows = await self._connection.execute(
            select(start, *(_RAW_COUNTS[name].label(name) for name in names))
            .where(raw.c.timestamp >= since_ms)
            .group_by(start)
        )
        found = (UsageSpan(**{k: int(v) for k, v in row.items()}) for row in rows.mappings())
        return {minute.start_ms: minute for minute in found}


def _hour_of(ms: int) -> int:
    return ms - ms % HOUR_MS


def _within(until_ms: int, keys: Sequence[str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [table.c.hour_ms <= until_ms]
    if keys:
        found.append(table.c.api_key_id.in_(keys))
    return found


def _sums_by_hour(*, last_used: bool = False) -> Select[Any]:
    hour = (raw.c.timestamp - raw.c.timestamp % HOUR_MS).label("hour_ms")
    key = func.coalesce(raw.c.api_key_id, "").label("api_key_id")
    grain = [key if name == "api_key_id" else raw.c[name] for name in _GRAIN]
    counts = [_RAW_COUNTS[name].label(name) for name in _COUNTS]
    last = [func.max(raw.c.timestamp).label("last_used_ms")] if last_used else []
    return select(hour, *grain, *counts, *last).group_by(hour, *grain)


def _count(sums: dict[tuple[Any, ...], dict[str, int]], row: UsageRow, *, ended: bool) -> None:
    hour_ms = row.timestamp_ms - row.timestamp_ms % HOUR_MS
    key = hour_ms, row.provider, row.model, row.connection_id, row.api_key_id or ""
    into = sums.setdefault(key, dict.fromkeys((*_COUNTS, "last_used_ms"), 0))
    read, written = row.prompt_tokens, row.completion_tokens
    into["requests"] += ended
    into["attempts"] += 1
    into["prompt_tokens"] += read
    into["completion_tokens"] += written
    into["cost_micro_usd"] += row.cost_micro_usd or 0
    into["unpriced"] += row.cost_micro_usd is None and read + written > 0
    into["last_used_ms"] = max(into["last_used_ms"], row.timestamp_ms)


def _sum(row: RowMapping) -> UsageSum:
    # Sums are Decimals on PostgreSQL.
    counts = {name: int(row[name]) for name in (*_COUNTS, "last_used_ms")}
    return UsageSum(
        provider=row["provider"],
        model=row["model"],
        connection_id=row["connection_id"],
        api_key_id=row["api_key_id"] or None,
        **counts,
    )
