"""The durable tier of the response cache, each step a transaction of its own."""

from collections.abc import Callable

from omniroute.storage.database import Database
from omniroute.storage.records.live import CachedAnswer


class CacheTable:
    """Kept answers in a database. `now_ms` is epoch milliseconds."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    async def get(self, signature: str) -> CachedAnswer | None:
        """The answer, unless it has expired."""
        async with self._database.reading() as work:
            row = await work.response_cache.get(signature)
        return row if row is not None and row.expires_at_ms > self._now_ms() else None

    async def put(self, row: CachedAnswer) -> None:
        """Store an answer; what has expired goes."""
        async with self._database.work() as work:
            await work.response_cache.delete(expired_ms=self._now_ms())
            await work.response_cache.put(row)
