"""Backups of one database: making them, and putting one in the place of what is there."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute import __version__
from omniroute.clock import iso
from omniroute.errors import OmniRouteError
from omniroute.storage.backups import manifest
from omniroute.storage.backups.checking import (
    SMALLEST_BYTES,
    Layout,
    bring_up,
    require_database,
    require_name,
)
from omniroute.storage.backups.copying import Progress, copy_database, require_room
from omniroute.storage.backups.files import BackupFile, BackupFolder, Reason, durable
from omniroute.storage.backups.manifest import Counts, Keyring, Manifest
from omniroute.storage.database import Database, Work

log = logging.getLogger(__name__)

_HOUR_MS = 3_600_000


Translate: TypeAlias = Callable[[Path, Path], Awaitable[list[str]]]


class Limits(Struct, frozen=True, kw_only=True):
    """How many backups are kept, for how many days (0: any), and whether any are made unasked."""

    max_files: int = 20
    retention_days: int = 0
    automatic: bool = True


class Replaced(Struct, frozen=True, kw_only=True):
    """What a database holds after a file took its place, and what did not come along."""

    counts: Counts
    warnings: tuple[str, ...]
    before: str | None = None


def silent(_: str) -> None:
    """Progress nobody wants to hear of."""


@dataclass(frozen=True, slots=True)
class Backups:
    """The backups of a data directory.

    `now_ms` is epoch milliseconds. `translate` makes a new file of ours out of one of the
    reference product, and says in sentences what it left out.
    """

    folder: BackupFolder
    keyring: Keyring
    now_ms: Callable[[], int]
    translate: Translate
    limits: Limits = field(default_factory=Limits)

    async def create(
        self, database: Database, reason: Reason, progress: Progress = silent
    ) -> BackupFile:
        """Back the database up as it is now; old backups beyond the limits go.

        Raises:
            StorageUnavailable: the database cannot be copied.
        """
        async with self.folder.locked():
            return await self._create(database, reason, progress)

    async def write_copy(
        self, database: Database, target: Path, reason: Reason, progress: Progress = silent
    ) -> Manifest:
        """Copy the database into a new file that says what it is.

        Raises:
            StorageUnavailable: the database cannot be copied.
        """
        await copy_database(database.reader, target, progress)
        return await asyncio.to_thread(self._label, target, reason, database.kind)

    async def before_migration(self, database: Database) -> None:
        """Back the database up in its old schema.

        Raises:
            StorageUnavailable: it cannot be copied, so it must not be migrated either.
        """
        await self.create(database, "pre-migration")

    async def before_change(self, database: Database) -> None:
        """Make the backup a change of configuration should have before it: one an hour.

        Never stops the change: what goes wrong is logged.
        """
        if database.kind != "sqlite" or not self.limits.automatic:
            return
        try:
            latest = await asyncio.to_thread(self.folder.latest)
            if not await self._is_due(database, latest):
                return
            async with self.folder.locked():
                if latest == await asyncio.to_thread(self.folder.latest):  # nobody was quicker
                    await self._create(database, "pre-write", silent)
        except (OmniRouteError, OSError):
            log.exception("the backup before a change could not be made; the change goes on")

    async def replace(
        self,
        database: Database,
        source: Path,
        reason: Reason,
        verify: Callable[[Work], Awaitable[None]],
        progress: Progress = silent,
    ) -> Replaced:
        """Put a file's rows in the place of all rows, in one transaction.

        The file is checked and migrated as a copy of its own. A backup is made before. Whatever
        fails, and wherever the process dies, the database is as it was.

        Args:
            verify: reads the new rows before they count; what it raises takes them back.

        Raises:
            InvalidRequest: the file cannot be used.
            StorageUnavailable: the database cannot be copied or written.
        """
        require_name(source.name)
        async with self.folder.locked():
            with self.folder.draft() as place:
                draft = place / "load.sqlite"
                progress("checking the file")
                lost = await self._prepare(source, draft, progress)
                progress(f"backing up what is there ({reason})")
                before = await self._create(database, reason, progress)
                progress("loading")
                async with database.work() as work:
                    await work.whole.load(draft, progress)
                    await verify(work)
                counts, warnings = await asyncio.to_thread(self._found, draft)
        return Replaced(counts=counts, warnings=(*lost, *warnings), before=before.id)

    def _found(self, path: Path) -> tuple[Counts, list[str]]:
        """What a loaded file held, and what of it does not work here."""
        label = manifest.read(path)
        with closing(manifest.opened(path)) as file:
            counts = manifest.count(file)
            sealed = manifest.sealed_under(file)
        secret = self.keyring.api_key_secret if label is None else label.api_key_secret
        return counts, self.keyring.warnings(counts, sealed, secret)

    async def _prepare(self, source: Path, draft: Path, progress: Progress) -> list[str]:
        """A checked, migrated copy of a file; what could not be taken over."""
        if await asyncio.to_thread(self._copied, source, draft) == "ours":
            await asyncio.to_thread(bring_up, draft, progress)
            return []
        progress("translating the reference product's tables")
        translated = draft.with_name("translated.sqlite")
        lost = await self.translate(draft, translated)
        await asyncio.to_thread(translated.replace, draft)
        return lost

    def _copied(self, source: Path, draft: Path) -> Layout:
        require_room(draft.parent, source.stat().st_size)
        shutil.copyfile(source, draft)
        return require_database(draft)

    async def _create(self, database: Database, reason: Reason, progress: Progress) -> BackupFile:
        with self.folder.draft() as place:
            draft = place / "copy.sqlite"
            await self.write_copy(database, draft, reason, progress)
            found = await asyncio.to_thread(self._installed, draft, reason)
        progress(f"wrote {found.id}")
        return found

    def _installed(self, draft: Path, reason: Reason) -> BackupFile:
        durable(draft)
        path = self.folder.free_name(reason, self.now_ms())
        draft.replace(path)
        durable(path)
        self.folder.prune(self.limits.max_files, self.limits.retention_days, self.now_ms())
        return next(one for one in self.folder.all() if one.path == path)

    async def _is_due(self, database: Database, latest: BackupFile | None) -> bool:
        if latest is not None and self.now_ms() - latest.created_at_ms < _HOUR_MS:
            return False
        async with database.reading() as work:
            if not await work.settings.version():
                return False  # nobody has configured anything yet
            size = await work.whole.used_bytes()
        # Half of what it was is no state to push a good backup out with.
        return size >= SMALLEST_BYTES and (latest is None or size >= latest.size / 2)

    def _label(self, path: Path, reason: Reason, kind: Literal["sqlite", "postgresql"]) -> Manifest:
        with closing(manifest.opened(path)) as file:
            label = Manifest(
                version=__version__,
                created_at=iso(self.now_ms()),
                reason=reason,
                database=kind,
                counts=manifest.count(file),
                storage_keys=manifest.sealed_under(file),
                api_key_secret=self.keyring.api_key_secret,
            )
        manifest.write(path, label)
        return label
