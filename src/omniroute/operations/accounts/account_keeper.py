"""The background task that tests accounts as often as their `healthCheckInterval` says."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from omniroute.background import in_background, round_after_round
from omniroute.clock import from_iso, iso
from omniroute.engine import Engine
from omniroute.operations.accounts.account_checks import examined, keep
from omniroute.routing.snapshot import DEMO_ACCOUNT
from omniroute.storage.records.configuration import Connection

FIRST_LOOK_S = 10.0
LOOK_S = 60.0
MINUTE_MS = 60_000


class AccountKeeper:
    """Tests each account when it is due: once, however many processes share a database.

    Args:
        stagger_s: between the beginnings of two tests.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        engine: Engine,
        stagger_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._stagger_s = stagger_s
        self._sleep = sleep

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Test accounts until the process stops."""
        async with in_background(self._keep(), "account checks"):
            yield

    async def _keep(self) -> None:
        await self._sleep(FIRST_LOOK_S)
        await round_after_round(
            self._look, self._sleep, failed="account_checks_failed", trouble_s=LOOK_S
        )

    async def _look(self) -> float:
        await self.round()
        return LOOK_S

    async def round(self) -> int:
        """Test the accounts that are due, one after the other; how many there were."""
        count = 0
        for account in self.due():
            if count:
                await self._sleep(self._stagger_s)
            if await self._claimed(account):
                report = await examined(self._engine, account)
                await keep(self._engine, [(account.id, report)], in_background=True)
                count += 1
        return count

    def due(self) -> list[Connection]:
        """The active accounts that were not tested for as long as they say."""
        now_ms = self._engine.now_ms()
        rows = self._engine.snapshot.connections.values()
        return [
            row
            for row in rows
            if row.is_active
            and row.id != DEMO_ACCOUNT.id
            and row.health_check_interval
            and now_ms - _last_ms(row) >= row.health_check_interval * MINUTE_MS
        ]

    async def _claimed(self, account: Connection) -> bool:
        """Whether this process is the one that tests it this time."""
        now = iso(self._engine.now_ms())
        async with self._engine.database.work() as work:
            return await work.connections.claim_check(account.id, account.last_health_check_at, now)


def _last_ms(account: Connection) -> int:
    try:
        return from_iso(account.last_health_check_at or "")
    except (ValueError, OverflowError):
        return 0
