"""Secrets as private files, each written whole or not at all; the environment wins over them."""

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from omniroute.errors import InvalidRequest, StorageUnavailable
from omniroute.storage import locks
from omniroute.storage.backups.files import durable

LOCK = "lock"
"""The file whose holder may write into the directory of secrets."""


def variable(environ: Mapping[str, str], name: str, shortest: int = 1) -> str | None:
    """A secret of the environment.

    Raises:
        InvalidRequest: it is set but blank, or has less than `shortest` characters.
    """
    value = environ.get(name)
    if value is not None and not value.strip():
        raise InvalidRequest(
            f"{name} is set but blank. Give it a value, or unset it to use the generated one.",
            param=name,
        )
    if value is not None and len(value) < shortest:
        raise InvalidRequest(
            f"{name} is too short to sign with: it needs {shortest} characters. Unset it to use"
            " the generated one.",
            param=name,
        )
    return value


def fresh() -> str:
    """A new secret: 64 hex digits."""
    return secrets.token_hex(32)


def read_or_create(path: Path, make: Callable[[], str] = fresh) -> str:
    """The file's text; what `make` makes where there is no file."""
    if not path.exists():
        with locks.held(path.with_name(LOCK)):
            if not path.exists():
                write_private(path, make())
    return read(path)


def read(path: Path) -> str:
    """The file's text.

    Raises:
        StorageUnavailable: there is nothing in it.
    """
    text = path.read_text(encoding="ascii").strip()
    if not text:
        raise StorageUnavailable(
            f"The secret file {path.name!r} in the data directory is empty. Restore it from a"
            " backup; delete it only if what it protects may be lost."
        )
    return text


def write_private(path: Path, text: str) -> None:
    """Put the file in place whole or not at all: a crash never leaves half a secret. Whoever
    calls holds the lock of the directory."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)  # left by a process that died here
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(fd)
    draft.replace(path)
    durable(path)
