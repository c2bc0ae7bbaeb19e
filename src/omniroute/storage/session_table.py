"""The register of sessions that processes share, each step a transaction of its own."""

from omniroute.storage.database import Database
from omniroute.storage.records.live import SessionRow


class SessionTable:
    """Registered sessions in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, row: SessionRow, limit: int, alive_from_ms: int) -> bool:
        """Add a session unless its key has `limit` others alive; False then.

        Raises:
            StorageUnavailable: nobody knows how many there are.
        """
        async with self._database.work() as work:
            return await work.sessions.register(row, limit, alive_from_ms)
