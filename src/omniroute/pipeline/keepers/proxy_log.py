"""What came of requests through proxies, on its way to SQL: in batches, behind the requests."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice

from omniroute.pipeline.keepers.keeper import Keeper
from omniroute.storage.database import Database
from omniroute.storage.records.proxies import ProxyLogRow
from omniroute.upstream.proxies import ProxyUse

BATCH = 500
MOST_WAITING = 10_000


class ProxyUses:
    """What is not in SQL yet. Where that does not keep up, the oldest notes are lost: they serve
    statistics, and nobody's request must wait for those.

    Args:
        new_id: makes ids no two rows share.
    """

    def __init__(self, now_ms: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._now_ms = now_ms
        self._new_id = new_id
        self.waiting: deque[ProxyLogRow] = deque(maxlen=MOST_WAITING)

    def note(self, use: ProxyUse) -> None:
        """A request went through a proxy, or did not get through."""
        via = use.via
        self.waiting.append(
            ProxyLogRow(
                id=self._new_id(),
                timestamp_ms=self._now_ms(),
                status=use.outcome,
                proxy_id=via.proxy_id,
                proxy_type=via.proxy.type,
                proxy_host=via.proxy.host,
                proxy_port=via.proxy.port,
                level=via.level,
                level_id=via.level_id,
                provider=via.provider,
                target_url=use.origin,
                latency_ms=use.latency_ms,
                error=use.error,
                connection_id=via.connection_id,
                combo_id=via.combo_id,
                account=via.account,
            )
        )


class ProxyLogKeeper(Keeper):
    """Writes the notes."""

    what = "the proxy log"

    def __init__(
        self,
        uses: ProxyUses,
        database: Database,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(database, sleep)
        self._uses = uses

    async def flush(self) -> None:
        """See `Keeper.flush`."""
        waiting = self._uses.waiting
        while rows := tuple(islice(waiting, BATCH)):
            async with self._database.work() as work:
                await work.proxy_logs.add(rows)
            written = {row.id for row in rows}
            while waiting and waiting[0].id in written:  # some may have been lost meanwhile
                waiting.popleft()
