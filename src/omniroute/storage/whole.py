"""The database as a whole: its size, and all of its rows at once."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

if TYPE_CHECKING:
    from omniroute.storage.backups.copying import Progress


class WholeDatabase:
    """What concerns no single table."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def used_bytes(self) -> int:
        """How much room the rows take; on SQLite without the free pages of the file."""
        if self._connection.dialect.name == "postgresql":
            query = "SELECT pg_database_size(current_database())"
            return int((await self._connection.execute(text(query))).scalar_one())
        pages = await self._pragma("page_count") - await self._pragma("freelist_count")
        return pages * await self._pragma("page_size")

    async def free_bytes(self) -> int:
        """How much room a vacuum would give back; 0 where the database does that by itself."""
        if self._connection.dialect.name == "postgresql":
            return 0
        return await self._pragma("freelist_count") * await self._pragma("page_size")

    async def load(self, source: Path, progress: "Progress") -> None:
        """Replace every row with those of a checked SQLite file (see `backups.loading`)."""
        from omniroute.storage.backups.loading import load_file

        await load_file(self._connection, source, progress)

    async def _pragma(self, name: str) -> int:
        return int((await self._connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one())
