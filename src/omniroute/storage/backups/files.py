"""The folder of backups: names of files, which of them go when there are too many, drafts."""

import os
import re
import secrets
import shutil
from asyncio import to_thread
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute.errors import InvalidRequest, NotFound
from omniroute.storage import locks

Reason: TypeAlias = Literal[
    "manual", "pre-write", "pre-import", "pre-restore", "pre-migration", "auto"
]

SIDE_FILES = ("-wal", "-shm", "-journal")
_NAME = re.compile(
    r"db_(?P<day>\d{4}-\d\d-\d\d)T(?P<h>\d\d)-(?P<m>\d\d)-(?P<s>\d\d)-(?P<ms>\d{3})Z"
    r"_(?P<reason>[a-z-]+)\.sqlite"
)
_DRAFTS = ".draft-"
_DAY_MS = 86_400_000


class BackupFile(Struct, frozen=True, kw_only=True):
    """One backup. `created_at_ms` is what its name says, else when the file was written."""

    path: Path
    reason: str
    created_at_ms: int
    size: int

    @property
    def id(self) -> str:
        """The name it is asked for by."""
        return self.path.name


class Pruned(Struct, frozen=True):
    """What was removed: backups, and files with those that SQLite keeps beside them."""

    backups: int
    files: int
    kept: int


class BackupFolder:
    """`db_backups` in the data directory; private, as the database itself."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "db_backups"

    def all(self) -> list[BackupFile]:
        """Every backup, newest first."""
        found = []
        for path in self.path.glob("db_*.sqlite"):
            try:
                found.append(_described(path))
            except FileNotFoundError:  # somebody else has just removed it
                continue
        return sorted(found, key=lambda one: (one.created_at_ms, one.id), reverse=True)

    def latest(self) -> BackupFile | None:
        """The newest backup."""
        return next(iter(self.all()), None)

    def named(self, id_: str) -> Path:
        """The file of a backup.

        Raises:
            InvalidRequest: the id is not the name of a backup.
            NotFound: there is no such backup.
        """
        clean = id_.startswith("db_") and id_.endswith(".sqlite")
        if not clean or any(mark in id_ for mark in "/\\\0:") or len(id_) > 200:
            raise InvalidRequest(
                "A backup is named db_<time>_<reason>.sqlite, as GET /api/db-backups lists it.",
                param="backupId",
            )
        path = self.path / id_
        if not path.is_file():
            raise NotFound(f"There is no backup '{id_}'. GET /api/db-backups lists them.")
        if path.resolve().parent != self.path.resolve():
            raise InvalidRequest("That file lies outside the backups.", param="backupId")
        return path

    def free_name(self, reason: Reason, now_ms: int) -> Path:
        """Where a new backup goes. Ask while the folder is locked."""
        while True:
            when = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
            stamp = when.partition("+")[0].replace(":", "-").replace(".", "-")
            path = self.path / f"db_{stamp}Z_{reason}.sqlite"
            if not path.exists():
                return path
            now_ms += 1

    def prune(self, keep: int, days: int, now_ms: int) -> Pruned:
        """Remove backups beyond a number, and those older than so many days (0: of any age).

        Of too many, those that were made by themselves go before those somebody asked for. The
        newest one always stays.
        """
        every = self.all()
        gone = {one.id for one in every[1:] if days and one.created_at_ms < now_ms - days * _DAY_MS}
        left = [one for one in every[1:] if one.id not in gone]
        # Oldest first, and what somebody asked for last.
        left.sort(key=lambda one: (one.reason == "manual", one.created_at_ms))
        surplus = 1 + len(left) - keep
        gone |= {one.id for one in left[: max(0, surplus)]}
        files = sum(self._remove(one.path) for one in every if one.id in gone)
        return Pruned(backups=len(gone), files=files, kept=len(every) - len(gone))

    @asynccontextmanager
    async def locked(self) -> AsyncGenerator[None]:
        """Be the only one, in any process, who adds, removes or loads backups."""
        with ExitStack() as stack:
            await to_thread(stack.enter_context, locks.held(self.path / ".lock"))
            self._clear_drafts()
            yield

    @contextmanager
    def draft(self) -> Generator[Path]:
        """A directory for work in progress, removed in the end; by others if we are killed."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path / f"{_DRAFTS}{os.getpid()}-{secrets.token_hex(4)}"
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def dead_drafts(self) -> list[Path]:
        """Work that killed processes have left."""
        return [path for path in self.path.glob(f"{_DRAFTS}*") if not _is_alive(path)]

    def _clear_drafts(self) -> None:
        for path in self.dead_drafts():
            shutil.rmtree(path, ignore_errors=True)

    def _remove(self, path: Path) -> int:
        family = [path, *(path.with_name(path.name + side) for side in SIDE_FILES)]
        there = [one for one in family if one.exists()]
        for one in there:
            one.unlink(missing_ok=True)
        return len(there)


def _described(path: Path) -> BackupFile:
    facts = path.stat()
    named = _NAME.fullmatch(path.name)
    at_ms = int(facts.st_mtime * 1000)
    if named is not None:
        text = f"{named['day']}T{named['h']}:{named['m']}:{named['s']}.{named['ms']}+00:00"
        with suppress(ValueError):
            at_ms = int(datetime.fromisoformat(text).timestamp() * 1000)
    reason = named["reason"] if named is not None else "manual"
    return BackupFile(path=path, reason=reason, created_at_ms=at_ms, size=facts.st_size)


def _is_alive(draft: Path) -> bool:
    try:
        os.kill(int(draft.name.removeprefix(_DRAFTS).partition("-")[0]), 0)
    except (OSError, ValueError):
        return False
    return True


def durable(path: Path) -> None:
    """Have a file and its name survive a power cut."""
    for place in (path, path.parent):
        try:
            fd = os.open(place, os.O_RDONLY)
        except OSError:  # a directory cannot be opened everywhere
            continue
        with suppress(OSError):
            os.fsync(fd)
        os.close(fd)
