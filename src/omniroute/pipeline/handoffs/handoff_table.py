"""Summaries that wait for another account, kept in a database; each step a transaction."""

from collections.abc import Callable

import msgspec

from omniroute.pipeline.handoffs.handoff import Handoff
from omniroute.pipeline.handoffs.relay import Key
from omniroute.storage.database import Database


class HandoffTable:
    """The store of a `ContextRelay`. `now_ms` is epoch milliseconds."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    async def all(self) -> dict[Key, Handoff]:
        """What has not expired and can still be read."""
        async with self._database.reading() as work:
            rows = await work.handoffs.alive(self._now_ms())
        found: dict[Key, Handoff] = {}
        for key, data in rows.items():
            try:
                found[key] = msgspec.json.decode(data, type=Handoff)
            except msgspec.MsgspecError:
                continue
        return found

    async def put(self, session: str, combo: str, handoff: Handoff) -> None:
        """Store one, over the one before; what has expired goes."""
        data = msgspec.json.encode(handoff).decode()
        async with self._database.work() as work:
            await work.handoffs.drop_expired(self._now_ms())
            await work.handoffs.put(session, combo, data, handoff.expires_at_ms)

    async def drop(self, session: str, combo: str) -> None:
        """Forget one."""
        async with self._database.work() as work:
            await work.handoffs.drop(session, combo)
