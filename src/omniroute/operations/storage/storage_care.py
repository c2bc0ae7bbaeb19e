"""How the database is: where it lies, how large and how sound it is. Source: 02 §10.10, §28."""

import asyncio
from typing import Literal

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.operations.access.audit import note
from omniroute.operations.storage.retention import database_settings


class StorageHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """The store in figures. `db_path` is null where the database is no file."""

    driver: Literal["sqlite", "postgresql"]
    db_path: str | None
    size_bytes: int
    free_bytes: int
    last_backup_at: str | None
    backup_count: int
    backup_bytes: int
    backup_max_files: int
    backup_retention_days: int
    retention: dict[str, int]
    max_rows: dict[str, int]
    auto_cleanup_enabled: bool
    journal_waiting: int


class DatabaseHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the database is sound; `problems` are sentences."""

    status: Literal["healthy", "damaged"]
    driver: Literal["sqlite", "postgresql"]
    revision: str
    problems: tuple[str, ...]


class Vacuumed(Struct, frozen=True, kw_only=True, rename="camel"):
    """How large the database was and is."""

    success: bool
    size_bytes_before: int
    size_bytes: int


class Statistics(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many rows each table has; the database's own statistics are fresh, too."""

    success: bool
    size_bytes: int
    free_bytes: int
    tables: dict[str, int]


async def storage_health(engine: Engine, caller: Caller) -> StorageHealth:
    """The store in figures."""
    async with engine.database.reading() as work:
        used, free = await work.whole.used_bytes(), await work.whole.free_bytes()
    settings = await database_settings(engine, caller)
    backups = await asyncio.to_thread(engine.backups.folder.all)
    path = engine.database.sqlite_path
    return StorageHealth(
        driver=engine.database.kind,
        db_path=None if path is None else str(path),
        size_bytes=used + free,
        free_bytes=free,
        last_backup_at=iso(backups[0].created_at_ms) if backups else None,
        backup_count=len(backups),
        backup_bytes=sum(one.size for one in backups),
        backup_max_files=engine.backups.limits.max_files,
        backup_retention_days=engine.backups.limits.retention_days,
        retention=settings.retention,
        max_rows=settings.max_rows,
        auto_cleanup_enabled=settings.auto_cleanup_enabled,
        journal_waiting=engine.journal.waiting,
    )


async def database_health(engine: Engine, caller: Caller) -> DatabaseHealth:
    """Check the database through; on a large SQLite file that takes seconds, beside requests."""
    async with engine.database.reading() as work:
        problems = await work.whole.problems()
        revision = await work.whole.revision()
    return DatabaseHealth(
        status="damaged" if problems else "healthy",
        driver=engine.database.kind,
        revision=revision,
        problems=tuple(problems),
    )


async def vacuum(engine: Engine, caller: Caller) -> Vacuumed:
    """Give the room of removed rows back to the disk. Writers wait while it runs.

    Raises:
        StorageUnavailable: somebody else writes, or the disk has no room to do it.
    """
    before = await _size(engine)
    await engine.database.vacuum()
    await note(engine, caller, "database.vacuumed")
    return Vacuumed(success=True, size_bytes_before=before, size_bytes=await _size(engine))


async def refresh_statistics(engine: Engine, caller: Caller) -> Statistics:
    """Count the rows, and have the database renew what it plans queries by."""
    async with engine.database.work() as work:
        await work.whole.analyze()
    async with engine.database.reading() as work:
        tables = await work.whole.row_counts()
        used, free = await work.whole.used_bytes(), await work.whole.free_bytes()
    return Statistics(success=True, size_bytes=used + free, free_bytes=free, tables=tables)


async def _size(engine: Engine) -> int:
    async with engine.database.reading() as work:
        return await work.whole.used_bytes() + await work.whole.free_bytes()
