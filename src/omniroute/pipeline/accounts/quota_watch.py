"""Keeps quotas up to date in the background, and watches the accounts that ask for it."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from omniroute.background import in_background
from omniroute.pipeline.accounts.quota_desk import QuotaDesk
from omniroute.routing.quotas.monitor import Monitor, judged
from omniroute.routing.quotas.remaining import FRESH_MS
from omniroute.routing.quotas.rules import QuotaRules
from omniroute.storage.records.configuration import Connection

log = logging.getLogger(__name__)

TICK_S = 15.0
"""The shortest poll. What is asked every five minutes is asked at the tick before it is too old."""


class QuotaWatch:
    """Asks about the accounts somebody needs to know of.

    Args:
        rules: what holds for an account.
        last_used_ms: when a request last went to an account, epoch ms; None for never.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        desk: QuotaDesk,
        rules: Callable[[str], QuotaRules],
        last_used_ms: Callable[[str], int | None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._desk = desk
        self._rules = rules
        self._last_used_ms = last_used_ms
        self._sleep = sleep
        self._monitors: dict[str, Monitor] = {}

    @property
    def monitors(self) -> Mapping[str, Monitor]:
        """The watched accounts, by id."""
        watched = (row.id for row in self._active() if self._rules(row.id).monitored)
        return MappingProxyType({one: self._monitors.get(one, Monitor()) for one in watched})

    async def tick(self) -> None:
        """Ask about what is due, and judge the watched accounts."""
        await self._desk.refresh([row.id for row in self._active() if self._due(row.id)])
        quotas, now_ms = self._desk.quotas, self._desk.now_ms()
        judged_now: dict[str, Monitor] = {}
        for name, old in self.monitors.items():
            used = max((row.used for row in quotas.reported(name).values()), default=None)
            standing = quotas.standing(name)
            new = judged(old, standing, used, self._last_used_ms(name), now_ms)
            if new.alerted_at_ms != old.alerted_at_ms:
                _alert(name, new)
            judged_now[name] = new
        self._monitors = judged_now

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Tick in the background for as long as the context lasts."""
        async with in_background(self._keep(), "quotas"):
            yield

    async def _keep(self) -> None:
        while True:
            await self._sleep(TICK_S)
            try:
                await self.tick()
            except Exception:
                log.exception("what is left of accounts could not be brought up to date")

    def _active(self) -> list[Connection]:
        return [row for row in self._desk.snapshot().connections.values() if row.is_active]

    def _due(self, connection: str) -> bool:
        age_ms = FRESH_MS - int(TICK_S * 1000)
        if self._rules(connection).monitored:
            age_ms = min(age_ms, self._monitors.get(connection, Monitor()).poll_ms)
        return self._desk.quotas.refresh_due(connection, age_ms)


def _alert(connection: str, monitor: Monitor) -> None:
    share = "all" if monitor.used is None else f"{100 * monitor.used:.0f} %"
    log.warning("account %s has used %s of its quota (%s)", connection, share, monitor.status)
