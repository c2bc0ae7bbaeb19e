"""File locks between processes of one machine. The system frees them when a process dies."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    # A locked byte cannot be read by others there, so the lock sits far behind the data.
    _LOCKED_BYTE = 1 << 40

    def try_lock(fd: int) -> bool:
        """Take the exclusive lock of an open file. False when another holder has it."""
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _wait_for_lock(fd: int) -> None:
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(fd, msvcrt.LK_LOCK, 1)  # gives up after ten seconds
            except OSError:
                continue
            return
else:
    import fcntl

    def try_lock(fd: int) -> bool:
        """Take the exclusive lock of an open file. False when another holder has it."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait_for_lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX)


@contextmanager
def held(path: Path) -> Generator[None]:
    """Hold the lock file at `path`, waiting for it as long as it takes.

    The file stays: removing it would let two processes lock two files of one name.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait_for_lock(fd)
        yield
    finally:
        os.close(fd)
