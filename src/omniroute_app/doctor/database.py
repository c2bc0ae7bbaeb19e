"""The database: its version, its pages, its rows, and whether sums and leases are right."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from sqlalchemy import text

from omniroute.clock import iso, now_ms
from omniroute.errors import OmniRouteError
from omniroute.storage.database import Database
from omniroute.storage.holders import Holder
from omniroute.storage.journal import Journal, sql_sink
from omniroute.storage.migrate import HEAD
from omniroute.storage.secrets import Secrets
from omniroute.storage.usage_rollups import HOUR_MS
from omniroute.storage.vault import SqlVault
from omniroute.storage.whole import told
from omniroute_app.desks.database import opened, sqlite_file
from omniroute_app.doctor.finding import (
    REPAIR,
    Finding,
    Patient,
    broken,
    fine,
    repaired,
    warning,
)

_MIB = 1024 * 1024
_LARGE_WAL = 64 * _MIB
_RESTORE = "Run: omniroute db restore latest"
_FUTURE_MS = 300_000


async def database(patient: Patient) -> AsyncGenerator[Finding]:
    """Everything that needs the database open."""
    path = sqlite_file(patient.settings)
    if path is not None and (not path.exists() or not path.stat().st_size):
        yield fine("database", "There is no database yet; the first start makes it.")
        return
    written_ahead = [] if path is None else await asyncio.to_thread(list, _wal(patient, path))
    try:
        async with opened(patient.settings, migrated=False) as (store, backups):
            revision = await store.state()
            if revision != HEAD:
                yield warning(
                    "schema",
                    f"The database is of version {revision}, this program of {HEAD}.",
                    "Run: omniroute db migrate (a start does it, too)",
                )
                return
            yield fine("schema", f"The database is of this version ({HEAD}).")
            for finding in written_ahead:
                yield finding
            sound = True
            async for finding in _inside(patient, store):
                sound = sound and finding.level != "error"
                yield finding
            if not sound:
                return
            for check in (_journal, _leases, _rollups, _times):
                async for finding in check(patient, store):
                    yield finding
            async with store.reading() as work:
                sealed = await work.whole.sealed_under()
            if backups.keyring.opens(sealed):
                yield fine("credentials", "All stored credentials can be opened.")
            else:
                yield broken(
                    "credentials",
                    "Some stored credentials are sealed under a key that is not here.",
                    "Bring back `secrets/storage-key`, or set STORAGE_ENCRYPTION_KEY (and"
                    " STORAGE_ENCRYPTION_KEY_PREVIOUS for older ones).",
                )
    except OmniRouteError as error:
        yield broken("database", str(error), _RESTORE)


async def _inside(patient: Patient, store: Database) -> AsyncGenerator[Finding]:
    """Pages, indexes, and rows that point to nothing."""
    async with store.reading() as work:
        damage, orphans = await work.whole.damage(), await work.whole.orphans()
    if damage:
        yield broken("integrity", " ".join(damage), _RESTORE)
        return
    if orphans and patient.repair:
        async with store.work() as work:
            gone = await work.whole.delete_orphans()
        yield repaired("integrity", f"{gone} rows pointed to nothing and are removed.")
    elif orphans:
        yield broken("integrity", " ".join(told(orphans)), f"Run: {REPAIR}")
    else:
        yield fine("integrity", "The database is sound inside.")


def _wal(patient: Patient, path: Path) -> Iterator[Finding]:
    """The file SQLite writes first: a process that stops in order leaves none. Look before the
    database is opened, which takes it up."""
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if patient.running is None and size:
        yield repaired(
            "wal",
            f"A process that died had left {size // 1024} KiB in {wal.name}. Nothing is lost: they"
            " are in the database now.",
        )
    elif size > _LARGE_WAL:
        yield warning("wal", f"{wal.name} has {size // _MIB} MiB.", "Restart the gateway.")


async def _journal(patient: Patient, store: Database) -> AsyncGenerator[Finding]:
    """Finished requests that are not in the database yet."""
    folder = patient.settings.data_dir / "journal"
    rejected = folder / "rejected.log"
    if rejected.exists() and rejected.stat().st_size:
        yield warning(
            "journal",
            f"Some records could not be stored; they are in {rejected}.",
            "Look at them, then remove the file.",
        )
    if patient.running is not None:
        return
    waiting = [path for path in folder.glob("*.jsonl") if path.stat().st_size]
    if not waiting:
        yield fine("journal", "Every finished request is in the database.")
    elif patient.repair:
        count = await Journal(folder).recover(sql_sink(store))
        yield repaired("journal", f"{count} finished requests were brought into the database.")
    else:
        yield warning(
            "journal",
            f"{len(waiting)} files hold finished requests that are not in the database.",
            f"Run: {REPAIR} (a start does it, too)",
        )


async def _leases(patient: Patient, store: Database) -> AsyncGenerator[Finding]:
    """Money that dead processes have set aside."""
    keys = Secrets.load_or_create(patient.settings.data_dir, patient.environ)
    holder = Holder(patient.settings.data_dir, keys.machine_id)
    try:
        async with store.reading() as work:
            dead = holder.dead(await work.leases.holders())
        if not dead:
            yield fine("leases", "No dead process has money set aside.")
        elif patient.repair:
            journal = Journal(patient.settings.data_dir / "journal")

            async def recover() -> set[str]:
                await journal.recover(sql_sink(store))
                return journal.processes()

            await SqlVault(store, holder, recover, now_ms).reclaim()
            yield repaired("leases", f"{len(dead)} dead processes had money set aside; it is free.")
        else:
            yield warning(
                "leases",
                f"{len(dead)} dead processes have money of budgets set aside.",
                f"Run: {REPAIR} (a running gateway does it, too)",
            )
    finally:
        holder.close()


async def _rollups(patient: Patient, store: Database) -> AsyncGenerator[Finding]:
    """Are the sums over usage the sums of what is there?"""
    # While somebody writes, the newest hours may differ between two looks.
    until_ms = None if patient.running is None else patient.now_ms - 2 * HOUR_MS
    async with store.reading() as work:
        since_ms = await work.retention.usage_since_ms()
        hours = await work.rollups.differing_hours(since_ms, until_ms)
    if not hours:
        yield fine("sums", "The sums over usage are right.")
    elif patient.repair:
        async with store.work() as work:
            for hour_ms in hours:
                await work.rollups.rebuild(hour_ms)
        yield repaired("sums", f"The sums of {len(hours)} hours were wrong and are made anew.")
    else:
        yield broken(
            "sums",
            f"The sums over usage are wrong in {len(hours)} hours, the first at {iso(hours[0])}.",
            f"Run: {REPAIR}",
        )


async def _times(patient: Patient, store: Database) -> AsyncGenerator[Finding]:
    """Does the database come from the future, or its server live in another time?"""
    async with store.reading() as work:
        newest = await work.calls.newest_ms()
    if newest is not None and newest > patient.now_ms + _FUTURE_MS:
        yield warning(
            "clock",
            f"There are records of {iso(newest)}, which is yet to come.",
            "One of the clocks was wrong. Let NTP set it (timedatectl set-ntp true).",
        )
    if store.kind == "postgresql":
        async with store.reader.connect() as connection:
            query = text("SELECT extract(epoch FROM clock_timestamp()) * 1000")
            server_ms = int((await connection.execute(query)).scalar_one())
        if abs(server_ms - now_ms()) > _FUTURE_MS:
            yield warning(
                "clock",
                f"The database server's clock says {iso(server_ms)}.",
                "Let NTP set both clocks.",
            )
