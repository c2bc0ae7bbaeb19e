"""Which sessions are alive, and whose."""

from collections import Counter

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.storage.records.live import SessionRow

MOST_SHOWN = 8


class SessionView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A session. Times are epoch milliseconds; `age_ms` is since its first request."""

    session_id: str
    created_at: int
    last_active: int
    request_count: int
    connection_id: str | None
    age_ms: int


class SessionList(Struct, frozen=True, kw_only=True, rename="camel"):
    """Sessions that were used within half an hour, the newest use first."""

    count: int
    sessions: list[SessionView]
    by_api_key: dict[str, int]


class SessionSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many sessions are alive and how many stay with an account.

    Only operators learn whose they are, and which ask most.
    """

    active_count: int
    sticky_bound_count: int
    by_api_key: dict[str, int]
    top: list[SessionView]


async def list_sessions(engine: Engine, caller: Caller) -> SessionList:
    """Every session this process knows."""
    alive = engine.sessions.alive()
    return SessionList(
        count=len(alive),
        sessions=[_view(row, engine.now_ms()) for row in alive],
        by_api_key=_by_key(alive),
    )


def session_summary(engine: Engine, caller: Caller) -> SessionSummary:
    """The same in short."""
    alive = engine.sessions.alive()
    busiest = sorted(alive, key=lambda row: -row.requests)[:MOST_SHOWN]
    shown = caller.is_operator
    return SessionSummary(
        active_count=len(alive),
        sticky_bound_count=len(engine.live.affinity),
        by_api_key=_by_key(alive) if shown else {},
        top=[_view(row, engine.now_ms()) for row in busiest] if shown else [],
    )


def _by_key(rows: list[SessionRow]) -> dict[str, int]:
    anonymous = Caller(door="http").owner
    return dict(Counter(row.owner for row in rows if row.owner != anonymous))


def _view(row: SessionRow, now_ms: int) -> SessionView:
    return SessionView(
        session_id=row.id,
        created_at=row.created_ms,
        last_active=row.seen_ms,
        request_count=row.requests,
        connection_id=row.connection_id,
        age_ms=now_ms - row.created_ms,
    )
