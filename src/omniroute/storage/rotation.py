"""Rotation of the storage key: every sealed value under a new key, while the gateway serves."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

from msgspec import Struct

from omniroute.background import in_background
from omniroute.errors import Conflict, OmniRouteError, StorageUnavailable
from omniroute.storage import locks
from omniroute.storage.database import Database
from omniroute.storage.key_files import KeyFiles
from omniroute.storage.sealed import BATCH, PLACES, Place
from omniroute.storage.secret_box import SecretBox

log = logging.getLogger(__name__)

_LOCK = "rotation.lock"
_MOST_PASSES = 20
"""Each pass finds what was sealed under the old key while the one before it ran."""

Progress: TypeAlias = Callable[[str], None]


class Rotated(Struct, frozen=True, kw_only=True):
    """What a rotation did. `left` are values under older keys that do not open, by key id."""

    key: str
    resealed: int
    left: dict[str, int]


class Rotation:
    """Rotates the storage key of a database; at most one rotation at a time on a data directory.

    Safe to kill at any moment: the old key opens, from its file, until a look at the whole
    database finds no value under it.
    """

    def __init__(self, database: Database, files: KeyFiles, box: SecretBox) -> None:
        self._database = database
        self.files = files
        self.box = box
        self._turn = asyncio.Lock()

    async def rotate(self, *, keep_old: bool, progress: Progress) -> Rotated:
        """Make a new key, or go on with one that was made; seal everything under it; remove the
        old one. Where the environment gives the key, everything is sealed under that.

        Args:
            keep_old: keep the old key to open old backups with.

        Raises:
            Conflict: another process rotates the key right now.
            StorageUnavailable: the database or the key files cannot be written; run it again.
        """
        async with self._alone():
            if not self.files.is_given:
                await self._written(lambda: self.files.begin(keep_old=keep_old))
            return await self._finish(progress)

    async def resume(self) -> Rotated | None:
        """Finish a rotation that was interrupted; None where there is none."""
        if not self.files.is_rotating:
            return None
        async with self._alone():
            return await self._finish(lambda _: None)

    @asynccontextmanager
    async def resuming(self) -> AsyncGenerator[None]:
        """Finish what was interrupted in the background while the context is open."""
        async with in_background(self._resume(), "rotation"):
            yield

    async def _resume(self) -> None:
        try:
            done = await self.resume()
        except Conflict:  # another process is at it
            return
        except OmniRouteError as error:
            log.warning("the rotation of the storage key is not finished: %s", error)
            return
        if done is not None:
            log.info("an interrupted rotation of the storage key is finished")

    async def _finish(self, progress: Progress) -> Rotated:
        self.box.renew()
        done = 0
        for _ in range(_MOST_PASSES):
            resealed = await self._pass(progress)
            done += resealed
            left = await self._left()
            if not left or not resealed:
                break
        await asyncio.to_thread(self._settle_on_disk)
        await self._written(lambda: self.files.end(left))
        self.box.renew()
        return Rotated(key=self.box.key_id, resealed=done, left=left)

    async def _pass(self, progress: Progress) -> int:
        """Seal anew what is under older keys; how many rows were rewritten."""
        done = 0
        for place in PLACES:
            done += await self._place(place)
            progress(f"{place.column.table.name}.{place.column.name}: {done} rows so far")
        return done

    async def _place(self, place: Place) -> int:
        done, after = 0, None
        while True:
            async with self._database.reading() as work:
                rows = await work.sealed.batch(place, after)
            old = [row for row in rows if row.ids() != {self.box.key_id}]
            if old:
                async with self._database.work() as work:
                    done += await work.sealed.reseal(place, old)
            if len(rows) < BATCH:
                return done
            after = rows[-1].key

    async def _left(self) -> dict[str, int]:
        """How many values older keys still seal, once nobody can seal with them any more."""
        async with self._database.work() as work:
            await work.sealed.alone()
            found = await work.sealed.count()
        return {id_: count for id_, count in found.items() if id_ != self.box.key_id}

    def _settle_on_disk(self) -> None:
        """SQLite writes its log to disk when it pleases. What is in it must not be lost to a power
        cut once the old key is gone."""
        path = self._database.sqlite_path
        if path is None:
            return
        # Never the database file itself: to close it would free the locks this process has on it.
        with suppress(FileNotFoundError):
            fd = os.open(path.with_name(f"{path.name}-wal"), os.O_RDWR)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    async def _written(self, change: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(change)
        except OSError as error:
            raise _unwritable() from error

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        async with self._turn:
            try:
                fd = os.open(self.files.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise _unwritable() from error
            try:
                if not locks.try_lock(fd):
                    raise Conflict(
                        "Another process rotates the storage key right now. Look again in a moment:"
                        " omniroute secrets status"
                    )
                yield
            finally:
                os.close(fd)


def _unwritable() -> StorageUnavailable:
    return StorageUnavailable(
        "The storage key cannot be written; check that the data directory is writable and has space"
        " left, then rotate again. Everything opens as before."
    )
