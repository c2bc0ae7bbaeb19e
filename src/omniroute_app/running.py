"""How a second process finds the gateway that already runs on a data directory."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct


class Running(Struct, frozen=True):
    """The note a running gateway leaves."""

    pid: int
    url: str


def _path(data_dir: Path) -> Path:
    return data_dir / "runtime" / "gateway.json"


@contextmanager
def announced(data_dir: Path, url: str) -> Generator[None]:
    """Leave the note while the gateway runs."""
    path = _path(data_dir)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(Running(os.getpid(), url)))
    draft.replace(path)
    try:
        yield
    finally:
        found = _read(path)
        if found is not None and found.pid == os.getpid():
            path.unlink(missing_ok=True)


def running_gateway(data_dir: Path) -> str | None:
    """The address of the gateway on this data directory; None when none is alive."""
    found = _read(_path(data_dir))
    if found is None:
        return None
    try:
        os.kill(found.pid, 0)
    except OSError:
        return None
    return found.url


def note_left_behind(data_dir: Path) -> list[Path]:
    """The note of a gateway that died, if there is one."""
    path = _path(data_dir)
    return [path] if path.exists() and running_gateway(data_dir) is None else []


def _read(path: Path) -> Running | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None
