"""Backups of the database: list, make, restore, thin out, export and import. Source: 02 §15."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import BackupDamaged, InvalidRequest
from omniroute.operations.access.audit import note
from omniroute.storage.backups import manifest
from omniroute.storage.backups.checking import require_name, require_size
from omniroute.storage.backups.files import BackupFile, Reason
from omniroute.storage.backups.manifest import Keyring
from omniroute.storage.backups.store import Replaced
from omniroute.storage.database import Work


class BackupView(Struct, frozen=True, kw_only=True, rename="camel"):
    """One backup. `secrets_readable` says whether this installation can open the credentials in
    it; what is null, the file does not say."""

    id: str
    filename: str
    created_at: str
    size: int
    reason: str
    version: str | None = None
    connection_count: int | None = None
    holds_secrets: bool | None = None
    secrets_readable: bool | None = None


class Created(Struct, frozen=True, kw_only=True):
    """A backup was made."""

    created: bool
    filename: str
    size: int


class RestoreInput(Struct, frozen=True, rename="camel"):
    """Which backup."""

    backup_id: Annotated[str, Meta(min_length=1, max_length=255)]


class Restored(Struct, frozen=True, kw_only=True, rename="camel"):
    """What there is after a restore. `safety_backup` takes it back."""

    restored: bool
    backup_id: str
    connection_count: int
    node_count: int
    combo_count: int
    api_key_count: int
    safety_backup: str | None
    warnings: tuple[str, ...]


class Imported(Struct, frozen=True, kw_only=True, rename="camel"):
    """What there is after an import. `safety_backup` takes it back."""

    imported: bool
    filename: str
    connection_count: int
    node_count: int
    combo_count: int
    api_key_count: int
    safety_backup: str | None
    warnings: tuple[str, ...]


class CleanInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many backups stay, and for how many days (0: of any age). Default: as configured."""

    keep_latest: Annotated[int, Meta(ge=1, le=200)] | None = None
    retention_days: Annotated[int, Meta(ge=0, le=3_650)] | None = None


class Cleaned(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was removed. A family is a backup with the files SQLite keeps beside it."""

    cleaned: bool
    keep_latest: int
    retention_days: int
    deleted_backup_families: int
    deleted_files: int
    kept_backup_families: int


async def list_backups(engine: Engine, caller: Caller) -> list[BackupView]:
    """Every backup, newest first."""
    backups = engine.backups
    return await asyncio.to_thread(
        lambda: [view(one, backups.keyring) for one in backups.folder.all()]
    )


def view(found: BackupFile, keyring: Keyring) -> BackupView:
    """A backup with what it says about itself."""
    label = manifest.read(found.path)
    shown = BackupView(
        id=found.id,
        filename=found.id,
        created_at=iso(found.created_at_ms),
        size=found.size,
        reason=found.reason,
    )
    if label is None:
        return shown
    return replace(
        shown,
        version=label.version,
        connection_count=label.counts.connection_count,
        holds_secrets=bool(label.storage_keys),
        secrets_readable=keyring.opens(label.storage_keys),
    )


async def create_backup(engine: Engine, caller: Caller) -> Created:
    """Back the database up as it is now; requests go on meanwhile.

    Raises:
        StorageUnavailable: the database cannot be copied, or the disk has no room.
    """
    await engine.journal.flush()  # what has been answered is in the backup
    found = await engine.backups.create(engine.database, "manual")
    await note(engine, caller, "backup.created", found.id)
    return Created(created=True, filename=found.id, size=found.size)


async def restore_backup(engine: Engine, caller: Caller, wanted: RestoreInput) -> Restored:
    """Go back to a backup. Requests go on; a `pre-restore` backup is made first.

    Raises:
        InvalidRequest: the id is not the name of a backup.
        NotFound: there is no such backup.
        BackupDamaged: its file cannot be used; everything is as it was.
        StorageUnavailable: the database cannot be written; everything is as it was.
    """
    path = await asyncio.to_thread(engine.backups.folder.named, wanted.backup_id)
    try:
        async with engine.configuration.replaced(caller, "backup.restored", path.name) as verify:
            done = await _replace(engine, path, "pre-restore", verify)
    except InvalidRequest as error:
        raise BackupDamaged(f"The backup cannot be restored. {error}") from error
    return Restored(
        restored=True,
        backup_id=wanted.backup_id,
        connection_count=done.counts.connection_count,
        node_count=done.counts.node_count,
        combo_count=done.counts.combo_count,
        api_key_count=done.counts.api_key_count,
        safety_backup=done.before,
        warnings=done.warnings,
    )


async def clean_backups(engine: Engine, caller: Caller, wanted: CleanInput) -> Cleaned:
    """Remove old backups; the newest one always stays."""
    backups = engine.backups
    keep, days = backups.limits.max_files, backups.limits.retention_days
    keep = keep if wanted.keep_latest is None else wanted.keep_latest
    days = days if wanted.retention_days is None else wanted.retention_days
    async with backups.folder.locked():
        gone = await asyncio.to_thread(backups.folder.prune, keep, days, engine.now_ms())
    await note(engine, caller, "backup.deleted", backups=gone.backups)
    return Cleaned(
        cleaned=True,
        keep_latest=keep,
        retention_days=days,
        deleted_backup_families=gone.backups,
        deleted_files=gone.files,
        kept_backup_families=gone.kept,
    )


@asynccontextmanager
async def exported(engine: Engine, caller: Caller) -> AsyncGenerator[Path]:
    """The whole database as a SQLite file that exists while the context does.

    Raises:
        StorageUnavailable: the database cannot be copied.
    """
    await engine.journal.flush()
    with engine.backups.folder.draft() as place:
        path = place / "export.sqlite"
        await engine.backups.write_copy(engine.database, path, "manual")
        await note(engine, caller, "backup.exported")
        yield path


async def import_file(engine: Engine, caller: Caller, file: Path, filename: str) -> Imported:
    """Replace everything with what a file holds: ours, or the reference product's.

    Args:
        file: what was sent, under any name that ends in `.sqlite`.
        filename: what its sender calls it.

    Raises:
        InvalidRequest: the file cannot be used; everything is as it was.
        StorageUnavailable: the database cannot be written; everything is as it was.
    """
    require_name(filename)
    require_size((await asyncio.to_thread(file.stat)).st_size)
    async with engine.configuration.replaced(caller, "backup.imported", filename) as verify:
        done = await _replace(engine, file, "pre-import", verify)
    return Imported(
        imported=True,
        filename=filename,
        connection_count=done.counts.connection_count,
        node_count=done.counts.node_count,
        combo_count=done.counts.combo_count,
        api_key_count=done.counts.api_key_count,
        safety_backup=done.before,
        warnings=done.warnings,
    )


async def _replace(
    engine: Engine, file: Path, reason: Reason, verify: Callable[[Work], Awaitable[None]]
) -> Replaced:
    answers = engine.chat.answers
    await engine.journal.flush()
    await answers.cache.settled()
    done = await engine.backups.replace(engine.database, file, reason, verify)
    answers.cache.clear()
    answers.idempotency.clear()
    async with engine.database.reading() as work:
        answers.cache.know(await work.response_cache.names(engine.now_ms()))
    return done
