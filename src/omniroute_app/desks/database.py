"""The database of a data directory without a gateway around it: backup, restore, migration."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from omniroute.caller import Caller
from omniroute.clock import iso, now_ms
from omniroute.engine import Configuration
from omniroute.errors import Conflict, NotFound, StorageUnavailable
from omniroute.storage.backups.files import SIDE_FILES
from omniroute.storage.backups.store import Backups
from omniroute.storage.database import Database
from omniroute.storage.holders import alive
from omniroute.storage.journal import Journal, sql_sink
from omniroute.storage.key_files import KeyFiles
from omniroute.storage.migrate import HEAD
from omniroute.storage.secrets import Secrets
from omniroute_app.cli.db import Printing
from omniroute_app.running import running_gateway
from omniroute_app.settings import Settings, with_env_file
from omniroute_app.wiring import database_url, open_backups

ITSELF = Caller(door="cli", is_operator=True)


async def backup(settings: Settings, to: Path | None, printing: Printing) -> None:
    """Make a backup, in the schema the database has.

    Raises:
        NotFound: there is no database yet.
        Conflict: the file to write exists.
        StorageUnavailable: the database cannot be copied.
    """
    _require_database(settings)
    _require_free(to)
    async with opened(settings, migrated=False) as (database, backups):
        made = await backups.create(database, "manual", printing.progress)
    if to is not None:
        await asyncio.to_thread(_copy_private, made.path, to)
    found = {"created": True, "filename": made.id, "path": str(made.path), "size": made.size}
    told = f"Backed up to {made.path} ({made.size / 1024 / 1024:.1f} MiB)."
    printing.result(found, told if to is None else f"{told} A copy is at {to}.")


async def restore(settings: Settings, source: str, printing: Printing) -> None:
    """Replace everything with a backup or a file.

    Raises:
        Conflict: a process works on the data directory.
        NotFound: there is no such backup or file.
        InvalidRequest: the file cannot be used; everything is as it was.
        StorageUnavailable: the database cannot be written; everything is as it was.
    """
    require_nobody(settings, "be restored")
    aside = await _moved_aside(settings, printing)
    async with opened(settings) as (database, backups):
        path = _source(backups, source)
        await Journal(settings.data_dir / "journal").recover(sql_sink(database))
        configuration = Configuration(database)
        async with configuration.replaced(ITSELF, "backup.restored", path.name) as verify:
            done = await backups.replace(database, path, "pre-restore", verify, printing.progress)
    found = {
        "restored": True,
        "source": str(path),
        "connectionCount": done.counts.connection_count,
        "nodeCount": done.counts.node_count,
        "comboCount": done.counts.combo_count,
        "apiKeyCount": done.counts.api_key_count,
        "safetyBackup": done.before,
        "damagedDatabase": aside and str(aside),
        "warnings": done.warnings,
    }
    told = (
        f"Restored {path.name}: {done.counts.connection_count} accounts,"
        f" {done.counts.node_count} custom upstreams, {done.counts.combo_count} combos,"
        f" {done.counts.api_key_count} API keys. What was there before is in {done.before}."
    )
    kept = [f"The damaged database is kept as {aside}."] if aside is not None else []
    printing.result(found, "\n".join([told, *kept, *done.warnings]))


async def migrate(settings: Settings, printing: Printing) -> None:
    """Bring the database to this version.

    Raises:
        Conflict: a process works on the data directory.
        NotFound: there is no database yet.
        StorageUnavailable: it cannot be brought there; everything is as it was.
    """
    require_nobody(settings, "be migrated")
    _require_database(settings)
    async with opened(settings, migrated=False) as (database, _):
        old = await database.state()
    printing.progress(f"from {old} to {HEAD}")
    async with opened(settings) as (database, backups):
        latest = backups.folder.latest()
    made = latest.id if old != HEAD and latest is not None else None
    found = {"from": old, "to": HEAD, "migrated": old != HEAD, "safetyBackup": made}
    same = "The database is of this version already."
    printing.result(found, same if old == HEAD else f"Migrated. Before that: {made}.")


@asynccontextmanager
async def opened(
    settings: Settings, *, migrated: bool = True
) -> AsyncGenerator[tuple[Database, Backups]]:
    """The database and its backups.

    Args:
        migrated: bring the schema to this version; else it is left as it is.
    """
    async with AsyncExitStack() as stack:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        environ = with_env_file(os.environ, settings.data_dir)
        keys = Secrets.load_or_create(settings.data_dir, environ)
        box = KeyFiles(settings.data_dir, environ).box()
        backups = open_backups(settings, box, keys.api_key_secret)
        url = database_url(settings)
        if migrated:
            before = backups.before_migration
            database = await Database.open(url, settings.data_dir, box, before)
        else:
            database = Database.connect(url, box)
        stack.push_async_callback(database.close)
        yield database, backups


def sqlite_file(settings: Settings) -> Path | None:
    """Where the database is, if it is a file."""
    scheme, _, path = database_url(settings).partition(":///")
    return Path(path) if scheme.startswith("sqlite") else None


def require_nobody(settings: Settings, what: str) -> None:
    """Refuse while a process works on the data directory.

    Raises:
        Conflict: names it.
    """
    url = running_gateway(settings.data_dir)
    others = alive(settings.data_dir)
    if url is None and not others:
        return
    who = f"The gateway at {url}" if url else f"A process ({', '.join(sorted(others))})"
    raise Conflict(
        f"{who} works on {settings.data_dir}, so the database cannot {what} from outside. Stop it"
        " first, or use POST /api/db-backups of the running gateway, which stops nothing."
    )


def _require_database(settings: Settings) -> None:
    path = sqlite_file(settings)
    if path is not None and (not path.exists() or not path.stat().st_size):
        raise NotFound(f"There is no database at {path} yet. `omniroute` makes one.")


def _require_free(target: Path | None) -> None:
    if target is not None and target.exists():
        raise Conflict(f"'{target}' exists already. Choose another name.")


def _source(backups: Backups, source: str) -> Path:
    if source == "latest":
        latest = backups.folder.latest()
        if latest is None:
            raise NotFound(f"There is no backup in {backups.folder.path}.")
        return latest.path
    path = Path(source).expanduser()
    if path.is_file():
        return path
    return backups.folder.named(source)


def _copy_private(source: Path, target: Path) -> None:
    with (
        source.open("rb") as old,
        open(target, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as new,
    ):
        shutil.copyfileobj(old, new)


async def _moved_aside(settings: Settings, printing: Printing) -> Path | None:
    """Where a damaged SQLite database has been put; None where there is none."""
    path = sqlite_file(settings)
    if path is None or not path.exists():
        return None
    try:
        async with opened(settings, migrated=False) as (database, _):
            await database.state()
            async with database.reading() as work:
                sound = not await work.whole.problems()
    except StorageUnavailable:
        sound = False
    if sound:
        return None
    stamp = iso(now_ms()).replace(":", "-").replace(".", "-")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    printing.progress(f"the database is damaged; it is kept as {aside.name}")
    for side in ("", *SIDE_FILES):
        part = path.with_name(path.name + side)
        if part.exists():
            part.rename(aside.with_name(aside.name + side))
    return aside
