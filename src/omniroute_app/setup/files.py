"""Writing clients' files: whole or not at all, with a backup beside them, and back again."""

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from omniroute.errors import Conflict, InvalidRequest

SUFFIX = ".before-omniroute"


class Written(Struct, frozen=True):
    """What was done to a file: the hash of what was written, and where its former text is; no
    backup says that there was no file."""

    digest: str
    backup: str | None


class Notes:
    """What was done to which file, kept in the data directory until it is undone."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "cli" / "setup.json"

    def of(self, path: Path) -> Written | None:
        """What was done to a file; None where nothing was, or all of it is undone."""
        return self._all().get(str(path))

    def keep(self, path: Path, written: Written | None) -> None:
        """Note what was done to a file, or that it is undone."""
        known = self._all()
        if written is None:
            known.pop(str(path), None)
        else:
            known[str(path)] = written
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(self._path, msgspec.json.format(msgspec.json.encode(known)) + b"\n", 0o600)

    def _all(self) -> dict[str, Written]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Written])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise InvalidRequest(f"The notes in {self._path} cannot be read.") from error


def read(path: Path) -> bytes | None:
    """What a file holds; None where there is none.

    Raises:
        InvalidRequest: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.") from error


def text_of(path: Path, content: bytes | None) -> str:
    """The text of a file; blank where there is none.

    Raises:
        InvalidRequest: it is no text.
    """
    try:
        return (content or b"").decode()
    except UnicodeDecodeError as error:
        line = (content or b"").count(b"\n", 0, error.start) + 1
        raise InvalidRequest(f"{path}: line {line} is not valid UTF-8.") from error


def write(path: Path, old: bytes | None, new: bytes, notes: Notes) -> Path | None:
    """Put new content in the place of the old, keeping that beside it; where the backup is.

    Raises:
        Conflict: somebody changed the file meanwhile.
        InvalidRequest: it cannot be written.
    """
    real = path.resolve()  # a link into a folder of dotfiles stays a link
    if read(real) != old:
        raise Conflict(f"{path} was changed meanwhile; look at it and try again.")
    known = notes.of(path)
    try:
        backup: Path | None = None
        if known is not None and old is not None and _digest(old) == known.digest:
            backup = (
                None if known.backup is None else Path(known.backup)
            )  # of before the first time
        elif old is not None:
            backup = _free(real)
            replace(backup, old, real.stat().st_mode & 0o777)
        real.parent.mkdir(parents=True, exist_ok=True)
        mode = real.stat().st_mode & 0o777 if old is not None else 0o600
        notes.keep(path, Written(_digest(new), None if backup is None else str(backup)))
        replace(real, new, mode)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}.") from error
    return backup


def undo(path: Path, notes: Notes, *, force: bool) -> bool:
    """Put back what was there before; False where nothing was done.

    Raises:
        Conflict: the file was changed since, and nobody said that it does not matter.
        InvalidRequest: the backup is gone, or the file cannot be written.
    """
    done = notes.of(path)
    if done is None:
        return False
    real, content = path.resolve(), read(path)
    if not force and (content is None or _digest(content) != done.digest):
        raise Conflict(f"{path} was changed since. Take our part out by hand, or say --force.")
    try:
        if done.backup is None:
            real.unlink(missing_ok=True)
        else:
            backup = Path(done.backup)
            former = read(backup)
            if former is None:
                raise InvalidRequest(f"The backup {backup} is gone; {path} stays as it is.")
            replace(real, former, backup.stat().st_mode & 0o777)
            backup.unlink()
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}.") from error
    notes.keep(path, None)
    return True


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _free(path: Path) -> Path:
    names = (f"{path.name}{SUFFIX}{'' if not number else f'.{number}'}" for number in range(1_000))
    return next(free for name in names if not (free := path.with_name(name)).exists())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
