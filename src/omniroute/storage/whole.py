"""The database as a whole: its size, and all of its rows at once."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, TypeDecorator, delete, func, select, text, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.secret_box import NO_SECRETS, SEALED
from omniroute.storage.tables import metadata

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

    async def problems(self) -> list[str]:
        """What is wrong inside, in sentences; reads everything there is on SQLite."""
        return [*await self.damage(), *told(await self.orphans())]

    async def damage(self) -> list[str]:
        """What is wrong with the pages and indexes of a SQLite file, in sentences."""
        if self._connection.dialect.name == "postgresql":
            return []  # the server checks its own pages
        found = await self._connection.exec_driver_sql("PRAGMA integrity_check(10)")
        return [f"SQLite says: {row[0]}." for row in found if row[0] != "ok"]

    async def orphans(self) -> dict[tuple[str, str], int]:
        """How many rows of a table point to rows of another that do not exist."""
        if self._connection.dialect.name == "postgresql":
            return {}  # the server lets nobody write such rows
        checked = await self._connection.exec_driver_sql("PRAGMA foreign_key_check")
        dangling: list[Any] = list(checked)
        return dict(sorted(Counter((row[0], row[2]) for row in dangling).items()))

    async def delete_orphans(self) -> int:
        """Remove rows that point to rows that do not exist; how many."""
        gone = 0
        for table in reversed(metadata.sorted_tables):
            for key in table.foreign_keys:
                known = select(key.column)
                stray = key.parent.is_not(None) & key.parent.not_in(known)
                gone += (await self._connection.execute(delete(table).where(stray))).rowcount
        return gone

    async def sealed_under(self) -> tuple[str, ...]:
        """The ids of all keys under which something is sealed."""
        found: set[str] = set()
        for table in metadata.sorted_tables:
            if table.name in NO_SECRETS:
                continue
            for column in table.c:
                if isinstance(column.type, TypeDecorator):
                    plain = type_coerce(column, Text)
                    rows = await self._connection.execute(
                        select(plain).where(plain.contains("enc:v2:"))
                    )
                    found.update(*(SEALED.findall(value) for value in rows.scalars()))
        return tuple(sorted(found))

    async def revision(self) -> str:
        """The newest migration the database has seen."""
        stored = text("SELECT version_num FROM alembic_version")
        return str((await self._connection.execute(stored)).scalar_one())

    async def analyze(self) -> None:
        """Renew the statistics queries are planned by."""
        await self._connection.execute(text("ANALYZE"))

    async def row_counts(self) -> dict[str, int]:
        """How many rows each table has."""
        found = {}
        for name, table in sorted(metadata.tables.items()):
            count = select(func.count()).select_from(table)
            found[name] = int((await self._connection.execute(count)).scalar_one())
        return found

    async def load(self, source: Path, progress: "Progress") -> None:
        """Replace every row with those of a checked SQLite file (see `backups.loading`)."""
        from omniroute.storage.backups.loading import load_file

        await load_file(self._connection, source, progress)

    async def _pragma(self, name: str) -> int:
        return int((await self._connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one())


def told(orphans: Mapping[tuple[str, str], int]) -> list[str]:
    """A sentence for each kind of row that points to nothing."""
    return [
        f"{count} rows of {table} point to {parent} that do not exist."
        for (table, parent), count in orphans.items()
    ]
