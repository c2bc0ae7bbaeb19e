"""The call log in SQL: one narrow row a request, to be looked through by what it was."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.usage import SEARCHES, CallFilter, CallRow, ComboCalls, SearchSum
from omniroute.storage.statements import insert_new
from omniroute.storage.tables import call_logs as table

ANY_COMBO = "*"
EVERYBODY = "*"
HOUR_MS = 3_600_000
Owner: TypeAlias = str | None
"""The id of an API key, `EVERYBODY`, or None for callers without a key."""

_KEPT = ("cache", "shared")

_SEARCHED = (
    table.c.id,
    table.c.path,
    table.c.requested_model,
    table.c.model,
    table.c.provider,
    table.c.account,
    table.c.api_key_name,
    table.c.combo_name,
    table.c.error,
)


class CallLogRepository:
    """One row per finished request."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[CallRow]) -> None:
        """Insert the rows; those whose request is there already are left as they are."""
        await insert_new(self._connection, table, [msgspec.structs.asdict(row) for row in rows])

    async def newest(self, wanted: CallFilter, limit: int) -> tuple[CallRow, ...]:
        """The latest calls of a kind, newest first."""
        query = select(table).where(*_conditions(wanted))
        query = query.order_by(table.c.timestamp_ms.desc(), table.c.id.desc()).limit(limit)
        rows = await self._connection.execute(query)
        return tuple(CallRow(**row) for row in rows.mappings())

    async def newest_ms(self) -> int | None:
        """When the latest call ended; None without any."""
        newest: int | None = await self._connection.scalar(select(func.max(table.c.timestamp_ms)))
        return newest

    async def after(self, request_id: str, limit: int) -> tuple[CallRow, ...]:
        """Calls by their ids, those that follow one; all of them come by, begun with ``""``."""
        query = select(table).where(table.c.id > request_id).order_by(table.c.id).limit(limit)
        rows = await self._connection.execute(query)
        return tuple(CallRow(**row) for row in rows.mappings())

    async def by_combo(self, since_ms: int) -> dict[str, ComboCalls]:
        """What came of the calls of each combo since a time, by its name."""
        rows = await self._connection.execute(
            select(
                table.c.combo_name,
                func.count().label("requests"),
                func.sum(case((table.c.success, 1), else_=0)).label("successes"),
                func.sum(table.c.duration_ms).label("duration_ms"),
                func.max(table.c.timestamp_ms).label("last_ms"),
            )
            .where(table.c.timestamp_ms >= since_ms, table.c.combo_name.is_not(None))
            .group_by(table.c.combo_name)
        )
        return {
            row["combo_name"]: ComboCalls(
                **{name: int(row[name]) for name in ComboCalls.__struct_fields__}
            )
            for row in rows.mappings()
        }

    async def searches(self, owner: Owner, today_ms: int) -> tuple[SearchSum, ...]:
        """What came of searches by provider: of everybody, or of one key (None: of none).

        Args:
            today_ms: when the day began.
        """
        query = select(
            table.c.provider,
            func.count().label("searches"),
            func.sum(case((table.c.timestamp_ms >= today_ms, 1), else_=0)).label("today"),
            func.sum(case((table.c.cache_source.in_(_KEPT), 1), else_=0)).label("cached"),
            func.sum(case((table.c.success, 0), else_=1)).label("errors"),
            func.coalesce(func.sum(table.c.cost_micro_usd), 0).label("cost_micro_usd"),
            func.sum(table.c.duration_ms).label("duration_ms"),
        ).where(*_searches_of(owner))
        rows = await self._connection.execute(query.group_by(table.c.provider))
        return tuple(
            SearchSum(
                provider=row["provider"],
                **{name: int(value) for name, value in row.items() if name != "provider"},
            )
            for row in rows.mappings()
        )

    async def searches_by_hour(
        self, owner: Owner, since_ms: int
    ) -> tuple[tuple[int, int, int], ...]:
        """Hours with searches since a time: when each began, how many there were, what they cost
        (micro-USD)."""
        hour = (table.c.timestamp_ms - table.c.timestamp_ms % HOUR_MS).label("hour")
        query = select(hour, func.count(), func.coalesce(func.sum(table.c.cost_micro_usd), 0))
        query = query.where(*_searches_of(owner), table.c.timestamp_ms >= since_ms)
        rows = await self._connection.execute(query.group_by(hour).order_by(hour))
        return tuple((int(at), int(count), int(cost)) for at, count, cost in rows)

    async def get(self, request_id: str) -> CallRow | None:
        """One call."""
        rows = await self._connection.execute(select(table).where(table.c.id == request_id))
        row = rows.mappings().first()
        return None if row is None else CallRow(**row)


def _searches_of(owner: Owner) -> list[ColumnElement[bool]]:
    own = [] if owner == EVERYBODY else [table.c.api_key_id.is_not_distinct_from(owner)]
    return [table.c.source_format == SEARCHES, *own]


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.success is not None:
        found.append(table.c.success == wanted.success)
    if wanted.status is not None:
        found.append(table.c.status == wanted.status)
    if wanted.model is not None:
        found.append(or_(table.c.model == wanted.model, table.c.requested_model == wanted.model))
    if wanted.provider is not None:
        found.append(table.c.provider == wanted.provider)
    if wanted.account is not None:
        found.append(
            or_(table.c.connection_id == wanted.account, table.c.account == wanted.account)
        )
    if wanted.api_key is not None:
        found.append(
            or_(table.c.api_key_id == wanted.api_key, table.c.api_key_name == wanted.api_key)
        )
    if wanted.combo == ANY_COMBO:
        found.append(table.c.combo_name.is_not(None))
    elif wanted.combo is not None:
        found.append(table.c.combo_name == wanted.combo)
    if wanted.search:
        found.append(
            or_(*(column.icontains(wanted.search, autoescape=True) for column in _SEARCHED))
        )
    return found
