"""Which processes on a data directory are alive: each holds the lock of a file with its name."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from omniroute.storage import locks

_SUFFIX = ".lock"


class Holder:
    """This process, as others see it: alive until it is closed or dies, whatever kills it."""

    def __init__(self, data_dir: Path, home: str) -> None:
        self._directory = data_dir / "holders"
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._home = home
        self.name = f"{home}:{os.getpid()}-{secrets.token_hex(4)}"
        self._fd = os.open(self._path(self.name), os.O_RDWR | os.O_CREAT, 0o600)
        locks.try_lock(self._fd)

    def dead(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that lived on this data directory and do not live any more."""
        found: list[str] = []
        for name in names:
            if name == self.name or not name.startswith(f"{self._home}:"):
                continue
            try:
                fd = os.open(self._path(name), os.O_RDWR)
            except FileNotFoundError:
                found.append(name)
                continue
            if locks.try_lock(fd):
                found.append(name)
            os.close(fd)
        return found

    def forget(self, names: Iterable[str]) -> None:
        """Remove the files of dead processes."""
        for name in names:
            self._path(name).unlink(missing_ok=True)

    def close(self) -> None:
        """This process holds nothing any more."""
        self._path(self.name).unlink(missing_ok=True)
        os.close(self._fd)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name.rpartition(':')[2]}{_SUFFIX}"


def alive(data_dir: Path) -> set[str]:
    """The ids of all processes that work on a data directory."""
    return {path.stem.partition("-")[0] for path in _files(data_dir) if not _is_free(path)}


def left_behind(data_dir: Path) -> list[Path]:
    """The files of processes that died."""
    return [path for path in _files(data_dir) if _is_free(path)]


def _files(data_dir: Path) -> list[Path]:
    return sorted((data_dir / "holders").glob(f"*{_SUFFIX}"))


def _is_free(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:  # its process has just ended
        return False
    try:
        return locks.try_lock(fd)
    finally:
        os.close(fd)


def process_of(name: str) -> str:
    """The process id in a holder's name."""
    return name.rpartition(":")[2].partition("-")[0]
