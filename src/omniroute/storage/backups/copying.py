"""Whole databases into SQLite files, while others read and write."""

import asyncio
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import column, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from omniroute.errors import StorageUnavailable
from omniroute.storage.backups.manifest import columns_of
from omniroute.storage.migrate import create_schema

log = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[str], None]
"""Told what is being done, a line at a time."""

BATCH = 500
_SPARE_BYTES = 16 * 1024 * 1024


async def copy_database(engine: AsyncEngine, target: Path, progress: Progress) -> None:
    """Copy a database as it is at one moment into a new file, without holding anybody up.

    A SQLite file is written anew, so that nothing that was deleted travels with it. A PostgreSQL
    database is read in one snapshot, into a file with the schema its own version has on SQLite.

    Raises:
        StorageUnavailable: the database cannot be read, or there is no room for the copy.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        if engine.dialect.name == "sqlite":
            await asyncio.to_thread(_write_anew, Path(str(engine.url.database)), target, progress)
        else:
            await _read_out(engine, target, progress)
    except (sqlite3.Error, DBAPIError, OSError) as error:
        log.warning("a copy of the database failed: %s", error)
        raise StorageUnavailable(
            "The database cannot be copied; the log names the cause. Check the space that is left"
            " on the disk, then run: omniroute doctor"
        ) from error


def require_room(directory: Path, wanted_bytes: int) -> None:
    """Refuse to begin what the disk has no room for.

    Raises:
        StorageUnavailable: says how much is missing.
    """
    free = shutil.disk_usage(directory).free
    if free < wanted_bytes + _SPARE_BYTES:
        raise StorageUnavailable(
            f"A copy of the database needs {_mib(wanted_bytes + _SPARE_BYTES)} and the disk has"
            f" {_mib(free)} left. Free some space, then try again."
        )


def _mib(size: int) -> str:
    return f"{size / 1024 / 1024:.0f} MiB"


def _write_anew(source: Path, target: Path, progress: Progress) -> None:
    size = source.stat().st_size
    require_room(target.parent, size)
    progress(f"copying {_mib(size)} of SQLite")
    with closing(sqlite3.connect(source, timeout=10, isolation_level=None)) as file:
        file.execute("VACUUM INTO ?", (str(target),))


async def _read_out(engine: AsyncEngine, target: Path, progress: Progress) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        stored = text("SELECT version_num FROM alembic_version")
        revision = str((await connection.execute(stored)).scalar_one())
        await asyncio.to_thread(create_schema, target, revision)
        file = sqlite3.connect(target, isolation_level=None, check_same_thread=False)
        with closing(file):
            file.execute("PRAGMA foreign_keys = OFF")  # rows come table by table
            file.execute("BEGIN")
            for name, columns in columns_of(file).items():
                rows = await _copy_table(connection, file, name, columns)
                progress(f"{name}: {rows} rows")
            await asyncio.to_thread(file.execute, "COMMIT")


async def _copy_table(
    connection: AsyncConnection, file: sqlite3.Connection, name: str, columns: Sequence[str]
) -> int:
    # Without types, so that every value arrives as it is stored.
    query = table(name, *(column(one) for one in columns)).select()
    listed = ", ".join(f'"{one}"' for one in columns)
    marks = ", ".join("?" * len(columns))
    insert = f'INSERT INTO "{name}" ({listed}) VALUES ({marks})'  # noqa: S608
    copied = 0

    def write(rows: Sequence[Any]) -> None:
        file.executemany(insert, [tuple(row) for row in rows])

    async with connection.stream(query) as stream:
        async for rows in stream.partitions(BATCH):
            await asyncio.to_thread(write, rows)
            copied += len(rows)
    return copied
