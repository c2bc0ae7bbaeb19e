"""The journal's files: one per process, locked while it lives, one checked JSON line a record."""

import os
import secrets
import zlib
from collections.abc import Generator
from pathlib import Path

import msgspec
from msgspec import Struct

from omniroute.storage import locks
from omniroute.storage.records.usage import FinishedRequest

_SUFFIX = ".jsonl"


class _Line(Struct, frozen=True):
    """`crc` is CRC-32 of `record` as written, so a half-written line shows itself."""

    crc: int
    record: msgspec.Raw


class Batch(Struct, frozen=True):
    """Records read in one go, the lines that were none, and the offset behind them all."""

    records: tuple[FinishedRequest, ...]
    damaged: tuple[bytes, ...]
    end: int

    @property
    def lines(self) -> int:
        return len(self.records) + len(self.damaged)


def encode_line(finished: FinishedRequest) -> bytes:
    """One journal line."""
    record = msgspec.json.encode(finished)
    return b'{"crc":%d,"record":%b}\n' % (zlib.crc32(record), record)


class Segment:
    """One open journal file. Nobody else reads or writes it while this object holds it.

    `size` counts the bytes of whole lines, `done` the bytes that are safe in SQL, `waiting` the
    lines appended here that are not.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.size = os.fstat(fd).st_size
        self.done = 0
        self.waiting = 0
        self._fd = fd

    @classmethod
    def create(cls, directory: Path) -> "Segment":
        """A fresh file of this process."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = directory / f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
            # A process that recovers may take and remove the file before we hold its lock.
            segment = cls._take(path, os.O_CREAT | os.O_EXCL)
            if segment is not None:
                return segment

    @classmethod
    def leftovers(cls, directory: Path) -> Generator["Segment"]:
        """The files of dead processes, taken over one at a time."""
        for path in sorted(directory.glob(f"*{_SUFFIX}")):
            try:
                segment = cls._take(path, 0)
            except FileNotFoundError:  # somebody else has just recovered it
                continue
            if segment is not None:
                yield segment

    @classmethod
    def _take(cls, path: Path, flags: int) -> "Segment | None":
        fd = os.open(path, os.O_RDWR | os.O_APPEND | flags, 0o600)
        if locks.try_lock(fd) and path.exists():
            return cls(path, fd)
        os.close(fd)
        return None

    def append(self, line: bytes) -> None:
        """Hand the line to the system in one write: from here on `kill -9` cannot lose it.

        Raises:
            OSError: the disk took nothing, or only a part, which is cut off again.
        """
        written = os.write(self._fd, line)
        if written < len(line):
            os.ftruncate(self._fd, self.size)
            raise OSError("the disk took only a part of a journal line")
        self.size += written
        self.waiting += 1

    def read(self, limit: int) -> Batch:
        """The next lines that are not done, at most `limit`."""
        records: list[FinishedRequest] = []
        damaged: list[bytes] = []
        end, size = self.done, self.size
        with self.path.open("rb") as file:
            file.seek(end)
            while end < size and len(records) + len(damaged) < limit:
                line = file.readline()
                if not line:  # somebody else cut the file; there is nothing to wait for
                    end = size
                    break
                end += len(line)
                try:
                    records.append(_decode_line(line))
                except ValueError:
                    damaged.append(line)
        return Batch(tuple(records), tuple(damaged), end)

    @property
    def finished(self) -> bool:
        """Nothing in the file is left to do."""
        return self.done >= self.size

    def settle(self, batch: Batch) -> None:
        """Note that a batch is safe in SQL."""
        self.done = batch.end
        self.waiting = 0 if self.finished else self.waiting - batch.lines

    def clear(self) -> None:
        """Forget everything in the file; all of it is done."""
        os.ftruncate(self._fd, 0)
        self.size = self.done = 0

    def close(self) -> None:
        """Let go of the file, and delete it where nothing in it is left to do."""
        if self.finished:
            self.clear()  # whoever takes the file over between the next steps finds nothing
        os.close(self._fd)
        if self.finished:
            self.path.unlink(missing_ok=True)


def _decode_line(line: bytes) -> FinishedRequest:
    checked = msgspec.json.decode(line, type=_Line)
    if zlib.crc32(checked.record) != checked.crc:
        raise ValueError("checksum")
    return msgspec.json.decode(checked.record, type=FinishedRequest)
