"""The background task that keeps prices current, where an operator wants that."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from omniroute.background import in_background, round_after_round
from omniroute.caller import SYSTEM
from omniroute.catalog.price_documents import SourceId
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError
from omniroute.operations.money.pricing_sync import SyncInput, sync_prices

log = structlog.get_logger(__name__)

LEASE_MS = 600_000
"""How long nobody else asks for a list while one does, or after one has failed or died."""

LONGEST_LOOK_S = 3_600.0
_SHORTEST_LOOK_S = 1.0
_TROUBLE_S = 60.0


class PriceKeeper:
    """Asks for each price list when it is due: once, however many processes share a database.

    Args:
        sleep: waits for seconds.
    """

    def __init__(
        self, engine: Engine, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._engine = engine
        self._sleep = sleep

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Keep prices current until the process stops; nothing runs where that is switched off."""
        if not self._engine.price_lists.enabled:
            yield
            return
        rounds = round_after_round(
            self.round, self._sleep, failed="price_sync_failed", trouble_s=_TROUBLE_S
        )
        async with in_background(rounds, "price sync"):
            yield

    async def round(self) -> float:
        """Ask for the lists that are due; how many seconds to wait before the next look."""
        engine = self._engine
        for source in engine.price_lists.sources:
            now_ms = engine.now_ms()
            async with engine.database.work() as work:
                mine = await work.synced_prices.claim(source, now_ms, now_ms + LEASE_MS)
            if mine:
                await self._sync(source)
        async with engine.database.reading() as work:
            states = await work.synced_prices.states()
        due_ms = min(states[source].next_ms for source in engine.price_lists.sources)
        wait_s = (due_ms - engine.now_ms()) / 1000
        return min(max(wait_s, _SHORTEST_LOOK_S), LONGEST_LOOK_S)

    async def _sync(self, source: SourceId) -> None:
        try:
            await sync_prices(self._engine, SYSTEM, SyncInput(sources=[source]))
        except OmniRouteError as error:
            # The old prices hold; the claim says when to try again.
            log.warning("price_sync_failed", source=source, error=str(error))
