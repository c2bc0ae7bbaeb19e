"""Sessions that are alive: who asked how often, and through which account. 05 §6.1.

They live in memory. Those of keys with a limit are in the shared store as well, because a limit
holds for all processes and after a restart.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.errors import RateLimited
from omniroute.storage.records.live import SessionRow

TTL_MS = 30 * 60_000
MOST_SESSIONS = 100_000
LIMIT_CODE = "SESSION_LIMIT_EXCEEDED"


class SessionStore(Protocol):
    """The shared register of sessions."""

    async def register(self, row: SessionRow, limit: int, alive_from_ms: int) -> bool:
        """Add a session unless its key has `limit` others alive; False then. One atomic step."""


class Sessions:
    """The sessions this process has seen, longest unseen first.

    `changed` are the registered ones that storage has to hear of. `now_ms` is epoch milliseconds.
    """

    def __init__(self, now_ms: Callable[[], int], store: SessionStore | None = None) -> None:
        self._now_ms = now_ms
        self._store = store
        self._sessions: OrderedDict[tuple[str, str], SessionRow] = OrderedDict()
        self._registered: set[tuple[str, str]] = set()
        self.changed: dict[tuple[str, str], SessionRow] = {}

    async def enter(self, caller: Caller, session: str | None) -> None:
        """A request of a session came in.

        Raises:
            RateLimited: the session is new, and its key has as many as it may.
            StorageUnavailable: nobody knows how many there are.
        """
        if session is None:
            return
        now, at = self._now_ms(), (caller.owner, session)
        if caller.max_sessions and not (at in self._registered and self._living(at)):
            await self._register(caller, SessionRow(caller.owner, session, now, now))
        old = self._living(at) or SessionRow(caller.owner, session, now, now)
        self._put(replace(old, seen_ms=now, requests=old.requests + 1))

    def answered(self, caller: Caller, session: str | None, connection: str) -> None:
        """An account answered a session."""
        old = self._sessions.get((caller.owner, session)) if session is not None else None
        if old is not None and old.connection_id != connection:
            self._put(replace(old, connection_id=connection))

    def alive(self) -> list[SessionRow]:
        """Every session that was seen within half an hour, the newest use first."""
        return list(reversed(list(self._alive())))

    def restore(self, stored: Iterable[SessionRow]) -> None:
        """Take over what an earlier process knew, longest unseen first."""
        for row in stored:
            self._sessions.setdefault(row.place, row)
            self._registered.add(row.place)

    async def _register(self, caller: Caller, row: SessionRow) -> None:
        edge = self._now_ms() - TTL_MS
        if self._store is not None:
            let_in = await self._store.register(row, caller.max_sessions, edge)
        else:
            others = [one for one in self._alive() if one.owner == row.owner]
            known = any(one.id == row.id for one in others)
            let_in = known or len(others) < caller.max_sessions
        if not let_in:
            raise RateLimited(
                f"This API key may have {caller.max_sessions} sessions at a time, and has. Go on "
                "in one of them; one ends when nothing was asked in it for 30 minutes.",
                code=LIMIT_CODE,
                extras={"limit": caller.max_sessions},
            )
        self._registered.add(row.place)
        self._put(self._living(row.place) or row)

    def _living(self, at: tuple[str, str]) -> SessionRow | None:
        row = self._sessions.get(at)
        return row if row is not None and row.seen_ms >= self._now_ms() - TTL_MS else None

    def _alive(self) -> Iterator[SessionRow]:
        edge = self._now_ms() - TTL_MS
        return (row for row in self._sessions.values() if row.seen_ms >= edge)

    def _put(self, row: SessionRow) -> None:
        at = row.place
        self._sessions[at] = row
        self._sessions.move_to_end(at)
        if at in self._registered:
            self.changed[at] = row
        edge = self._now_ms() - TTL_MS
        while self._sessions:
            oldest, first = next(iter(self._sessions.items()))
            if first.seen_ms >= edge and len(self._sessions) <= MOST_SESSIONS:
                break
            del self._sessions[oldest]
            self._registered.discard(oldest)
