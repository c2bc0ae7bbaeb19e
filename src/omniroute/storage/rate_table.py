"""The counts of rate windows that processes share, each step a transaction of its own."""

from omniroute.storage.database import Database
from omniroute.storage.records.live import RateWindow


class RateTable:
    """Counts in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, window: RateWindow, limit: int, want: int) -> tuple[int, int]:
        """Take up to `want` requests of a window; how many that were, and how many are taken.

        Raises:
            StorageUnavailable: nobody knows, so nothing is given.
        """
        async with self._database.work() as work:
            return await work.rates.take(window, limit, want)

    async def give_back(self, window: RateWindow, requests: int) -> None:
        """Return requests that were taken and not used."""
        async with self._database.work() as work:
            await work.rates.give_back(window, requests)

    async def drop_over(self, now_s: int) -> None:
        """Forget windows that have ended."""
        async with self._database.work() as work:
            await work.rates.drop_over(now_s)
