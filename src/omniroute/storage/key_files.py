"""The storage keys of a data directory: which one seals, which older ones still open."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from omniroute.errors import StorageUnavailable
from omniroute.storage import locks
from omniroute.storage.backups.files import durable
from omniroute.storage.secret_box import Keys, SecretBox, derive_key, key_id
from omniroute.storage.secret_files import (
    LOCK,
    fresh,
    read,
    read_or_create,
    variable,
    write_private,
)

VARIABLE = "STORAGE_ENCRYPTION_KEY"
PREVIOUS_VARIABLE = "STORAGE_ENCRYPTION_KEY_PREVIOUS"
_CURRENT = "storage-key"
_PREVIOUS = "storage-key.previous"
_RETIRED = "storage-key.retired-"

_Stamp: TypeAlias = tuple[tuple[str, int, int], ...]


class KeyFiles:
    """The keys in `secrets/` of a data directory and in the environment.

    `storage-key` seals and opens. `storage-key.previous` is there while a rotation goes on,
    `storage-key.retired-<id>` as long as an operator keeps it; both only open. Where the
    environment gives the key, that one seals, and `storage-key` is not looked at.
    """

    def __init__(self, data_dir: Path, environ: Mapping[str, str]) -> None:
        self.folder = data_dir / "secrets"
        self._given = variable(environ, VARIABLE)
        self._given_previous = variable(environ, PREVIOUS_VARIABLE)
        self._seen: _Stamp = ()

    @property
    def is_given(self) -> bool:
        """Whether the environment gives the key that seals."""
        return self._given is not None

    def box(self) -> SecretBox:
        """A box that follows the files. Takes some 50 ms for each key that is a passphrase.

        Raises:
            StorageUnavailable: the files cannot be read or created.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._given is None:
                read_or_create(self.folder / _CURRENT)
            self._seen = self._stamp()
            keys = self._read()
        except OSError as error:
            raise StorageUnavailable(
                "The storage key in the data directory cannot be read or created; check that the"
                " directory is writable and has space left."
            ) from error
        return SecretBox(keys.current, keys.older, self.changed)

    def changed(self) -> Keys | None:
        """The keys there are now; None where nothing has changed since the last look.

        A directory that cannot be read right now changes nothing: the keys at hand stay good.
        """
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return None
            keys = self._read()
        except (OSError, StorageUnavailable):
            return None
        self._seen = stamp
        return keys

    @property
    def is_rotating(self) -> bool:
        """Whether a rotation has begun and not ended."""
        return (self.folder / _PREVIOUS).exists()

    def begin(self, *, keep_old: bool) -> None:
        """Put a new key in place and keep the old one to open with.

        The old key is safe under its second name before its first one goes to the new key; a
        rotation that has begun already goes on with the key it made.
        """
        with locks.held(self.folder / LOCK):
            current, previous = self.folder / _CURRENT, self.folder / _PREVIOUS
            old = read(previous) if previous.exists() else read(current)
            if keep_old:
                write_private(self.folder / f"{_RETIRED}{id_of(old)}", old)
            if not previous.exists():
                write_private(previous, old)
            if read(current) == old:
                write_private(current, fresh())

    def end(self, in_use: Collection[str]) -> None:
        """The values are sealed anew: remove the old key.

        Args:
            in_use: ids of keys that still have values, which do not open; their keys are kept.
        """
        with locks.held(self.folder / LOCK):
            previous = self.folder / _PREVIOUS
            if not previous.exists():
                return
            old = read(previous)
            if id_of(old) in in_use and old != (self._given or read(self.folder / _CURRENT)):
                write_private(self.folder / f"{_RETIRED}{id_of(old)}", old)
            previous.unlink()
            durable(self.folder)

    def retired(self) -> dict[str, str]:
        """The ids of the keys that are kept to open with, by the names of their files."""
        return {path.name: id_of(read(path)) for path in self._retired()}

    def _read(self) -> Keys:
        current = self._given or read(self.folder / _CURRENT)
        older = [] if self._given_previous is None else [self._given_previous]
        for path in (self.folder / _PREVIOUS, *self._retired()):
            with suppress(FileNotFoundError):  # most of the time; or it has just been removed
                older.append(read(path))
        return Keys(_derived(current), tuple(_derived(one) for one in older))

    def _retired(self) -> list[Path]:
        return [
            path
            for path in sorted(self.folder.glob(f"{_RETIRED}*"))
            if not path.name.endswith(".new")
        ]

    def _stamp(self) -> _Stamp:
        found = []
        for path in self.folder.glob(f"{_CURRENT}*"):
            with suppress(FileNotFoundError):  # another process has just removed it
                stat = path.stat()
                found.append((path.name, stat.st_ino, stat.st_mtime_ns))
        return tuple(sorted(found))


def id_of(text: str) -> str:
    """The id of a key that is a text."""
    return key_id(_derived(text))


@lru_cache(maxsize=16)
def _derived(text: str) -> bytes:
    return derive_key(text)
