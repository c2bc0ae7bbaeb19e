"""What browser sessions are signed with. Another one ends all of them, in every process here."""

from collections.abc import Mapping
from pathlib import Path

from omniroute.errors import Conflict, StorageUnavailable
from omniroute.storage import locks
from omniroute.storage.secret_files import (
    LOCK,
    fresh,
    read,
    read_or_create,
    variable,
    write_private,
)

_VARIABLE = "JWT_SECRET"
_SHORTEST = 32


class SessionSecret:
    """The secret in the environment, or the one in `secrets/session-secret` of a data directory.

    Raises:
        InvalidRequest: the variable is set but blank, or too short to sign with.
        StorageUnavailable: the file cannot be read or created.
    """

    def __init__(self, data_dir: Path, environ: Mapping[str, str]) -> None:
        self._path = data_dir / "secrets" / "session-secret"
        self._given = variable(environ, _VARIABLE, _SHORTEST)
        self._seen: tuple[int, int] = (0, 0)
        self._text = self._given or ""
        if self._given is not None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            read_or_create(self._path)
            self.current()
        except OSError as error:
            raise StorageUnavailable(
                "The session secret in the data directory cannot be read or created; check that"
                " the directory is writable and has space left."
            ) from error

    @property
    def is_given(self) -> bool:
        """Whether the environment gives it."""
        return self._given is not None

    def current(self) -> str:
        """The secret of this moment: another process may have made a new one."""
        if self._given is not None:
            return self._given
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_mtime_ns)
            if seen != self._seen:
                self._text, self._seen = read(self._path), seen
        except (OSError, StorageUnavailable):
            if not self._text:
                raise
        return self._text

    def rotate(self) -> None:
        """Make a new one; sessions that were signed with the old one are over.

        Raises:
            Conflict: the environment gives it.
            StorageUnavailable: the file cannot be written.
        """
        if self._given is not None:
            raise Conflict(
                f"The session secret comes from {_VARIABLE}. Give that variable another value and"
                " restart the gateway; all browser sessions end then."
            )
        try:
            with locks.held(self._path.with_name(LOCK)):
                write_private(self._path, fresh())
        except OSError as error:
            raise StorageUnavailable(
                "The session secret cannot be written; check that the data directory is writable"
                " and has space left."
            ) from error
