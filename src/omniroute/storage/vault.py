"""The shared store of limits over SQL: leases of this process, and those that dead ones left."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from omniroute.errors import OmniRouteError
from omniroute.storage.database import Database
from omniroute.storage.holders import Holder, process_of
from omniroute.storage.records.money import WindowKey, WindowStanding

log = logging.getLogger(__name__)

LOOK_S = 5.0
"""How often leases of dead processes are looked for, and idle ones given back."""

UNSEEN_MS = 24 * 3_600_000
"""Leases of other machines are theirs for a day: what they spent is only known when they return."""


class SqlVault:
    """Leases in SQL, for the process `holder`.

    Args:
        recover: has what dead processes left in their journals charged; the ids of processes
            whose journals somebody else is still reading.
    """

    def __init__(
        self,
        database: Database,
        holder: Holder,
        recover: Callable[[], Awaitable[set[str]]],
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._holder = holder
        self._recover = recover
        self._now_ms = now_ms

    @property
    def holder(self) -> str:
        """The name of this process's leases."""
        return self._holder.name

    async def lease(
        self, key: WindowKey, end_ms: int | None, limit: int, want: int
    ) -> WindowStanding:
        """Add up to `want` micro-USD to this process's lease, as far as the limit lets it."""
        async with self._database.work() as work:
            found = await work.leases.lease(self.holder, key, end_ms, limit, want, self._now_ms())
        if found.granted < want and found.others and await self.reclaim():
            return await self._again(found, key, end_ms, limit, want)
        return found

    async def give_back(self, key: WindowKey, micro_usd: int) -> None:
        """Return a part of this process's lease."""
        async with self._database.work() as work:
            await work.leases.give_back(self.holder, key, micro_usd)

    async def reclaim(self) -> bool:
        """Free what dead processes of this data directory have leased; whether there was any.

        Their costs are charged first, or money would be free that is spent.
        """
        async with self._database.reading() as work:
            dead = self._holder.dead(await work.leases.holders())
        if not dead:
            return False
        unread = await self._recover()
        dead = [name for name in dead if process_of(name) not in unread]
        async with self._database.work() as work:
            await work.leases.drop(dead)
        self._holder.forget(dead)
        return bool(dead)

    @asynccontextmanager
    async def kept(self, give_back: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
        """Look after leases in the background while entered."""

        async def look() -> None:
            while True:
                await asyncio.sleep(LOOK_S)
                try:
                    await give_back()
                    await self.reclaim()
                    async with self._database.work() as work:
                        await work.leases.seen(self.holder, self._now_ms())
                        await work.leases.drop_unseen(self._now_ms() - UNSEEN_MS)
                except OmniRouteError as error:
                    log.warning("leases cannot be looked after right now: %s", error)

        task = asyncio.create_task(look(), name="lease keeper")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _again(
        self, first: WindowStanding, key: WindowKey, end_ms: int | None, limit: int, want: int
    ) -> WindowStanding:
        async with self._database.work() as work:
            rest = await work.leases.lease(
                self.holder, key, end_ms, limit, want - first.granted, self._now_ms()
            )
        return WindowStanding(
            spent=rest.spent,
            granted=first.granted + rest.granted,
            mine=rest.mine,
            others=rest.others,
        )
