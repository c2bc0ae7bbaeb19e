"""Sessions, stickiness and turns that survive a restart, and when keys were used last."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from omniroute.clock import iso
from omniroute.pipeline.callers.key_uses import KeyUses
from omniroute.pipeline.callers.sessions import TTL_MS as SESSION_TTL_MS
from omniroute.pipeline.callers.sessions import Sessions
from omniroute.pipeline.keepers.keeper import Keeper
from omniroute.routing.turns.affinity import TTL_MS, Affinity
from omniroute.routing.turns.pins import TTL_MS as PIN_TTL_MS
from omniroute.routing.turns.pins import Pins
from omniroute.routing.turns.rotation import Rotation
from omniroute.storage.database import Database
from omniroute.storage.records.live import Binding, Pin
from omniroute.storage.states import StateKey

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

CLEAN_MS = 5 * 60_000
"""How often bindings that have run out are removed."""


class SessionKeeper(Keeper):
    """Stores the sessions of keys that may have only so many. `now_ms` is epoch milliseconds."""

    what = "the sessions of keys"

    def __init__(
        self,
        sessions: Sessions,
        database: Database,
        now_ms: Callable[[], int],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(database, sleep)
        self._sessions = sessions
        self._now_ms = now_ms

    async def load(self) -> None:
        """Take over sessions that are alive."""
        async with self._database.reading() as work:
            self._sessions.restore(await work.sessions.alive(self._now_ms() - SESSION_TTL_MS))

    async def flush(self) -> None:
        """Store when registered sessions were seen last."""
        changed = self._sessions.changed
        if not changed:
            return
        rows = dict(changed)
        async with self._database.work() as work:
            await work.sessions.save(rows.values())
        for at, row in rows.items():
            if changed.get(at) is row:
                del changed[at]


class AffinityKeeper(Keeper):
    """Stores which account a conversation stays with. `now_ms` is epoch milliseconds."""

    what = "the accounts of conversations"

    def __init__(
        self,
        affinity: Affinity,
        database: Database,
        now_ms: Callable[[], int],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(database, sleep)
        self._affinity = affinity
        self._now_ms = now_ms
        self._unstored: dict[tuple[str, str], Binding | None] = {}
        self._cleaned_ms = 0

    async def load(self, connections: Collection[str]) -> None:
        """Take over bindings that have not run out, to accounts that still exist."""
        async with self._database.reading() as work:
            stored = await work.affinity.seen_since(self._now_ms() - TTL_MS)
        self._affinity.restore(row for row in stored if row.connection in connections)

    async def flush(self) -> None:
        """Store what was bound, and forget what was loosened or has run out."""
        self._unstored.update(self._affinity.changes())
        now_ms = self._now_ms()
        cleaning = now_ms - self._cleaned_ms >= CLEAN_MS
        if not self._unstored and not cleaning:
            return
        async with self._database.work() as work:
            await work.affinity.save(row for row in self._unstored.values() if row is not None)
            await work.affinity.delete(at for at, row in self._unstored.items() if row is None)
            if cleaning:
                await work.affinity.drop_unseen(now_ms - TTL_MS)
        self._unstored.clear()
        self._cleaned_ms = now_ms if cleaning else self._cleaned_ms


class PinKeeper(Keeper):
    """Stores which model a conversation keeps. `now_ms` is epoch milliseconds."""

    what = "the models of conversations"

    def __init__(
        self,
        pins: Pins,
        database: Database,
        now_ms: Callable[[], int],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(database, sleep)
        self._pins = pins
        self._now_ms = now_ms
        self._unstored: dict[tuple[str, str], Pin] = {}

    async def load(self) -> None:
        """Take over pins that have not run out."""
        async with self._database.reading() as work:
            self._pins.restore(await work.pins.seen_since(self._now_ms() - PIN_TTL_MS))

    async def flush(self) -> None:
        """Store what was pinned, and forget what has run out."""
        self._unstored.update(self._pins.changes())
        if not self._unstored:
            return
        async with self._database.work() as work:
            await work.pins.save(self._unstored.values())
            await work.pins.drop_unseen(self._now_ms() - PIN_TTL_MS)
        self._unstored.clear()


class RotationKeeper(Keeper):
    """Stores whose turn it is, so that a restart does not begin every rotation anew."""

    what = "whose turn it is"

    def __init__(
        self, rotation: Rotation, database: Database, sleep: Sleep = asyncio.sleep
    ) -> None:
        super().__init__(database, sleep)
        self._rotation = rotation
        self._unstored: dict[StateKey, Any] = {}

    async def load(self, connections: Collection[str]) -> None:
        """Take over the turns of the last process, and the use of accounts that still exist."""
        async with self._database.reading() as work:
            self._rotation.restore(await work.rotations.all(), connections)

    async def flush(self) -> None:
        """Store turns that were taken."""
        self._unstored.update(self._rotation.changes())
        if not self._unstored:
            return
        kept = {place: state for place, state in self._unstored.items() if state is not None}
        async with self._database.work() as work:
            await work.rotations.save(kept)
            await work.rotations.delete(self._unstored.keys() - kept.keys())
        self._unstored.clear()


class KeyUseKeeper(Keeper):
    """Stores when keys were used last."""

    what = "the last use of keys"

    def __init__(self, uses: KeyUses, database: Database, sleep: Sleep = asyncio.sleep) -> None:
        super().__init__(database, sleep)
        self._uses = uses

    async def flush(self) -> None:
        """Store the uses that are due."""
        due = dict(self._uses.due)
        if not due:
            return
        async with self._database.work() as work:
            for key_id, used_ms in due.items():
                await work.keys.touch(key_id, iso(used_ms))
        for key_id in due:
            self._uses.due.pop(key_id, None)
