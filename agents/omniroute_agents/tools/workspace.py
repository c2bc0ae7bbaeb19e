"""The directory each API key has for files of its skills, and no way out of it. Source: 02 §24.6.

Every step of a path is opened below the one before without following links, so that neither `..`
nor a link that appears in between leads elsewhere.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from omniroute.skills.tool import ToolFailed

MOST_BYTES = 50 * 1024 * 1024
"""What a workspace holds in all."""

FORBIDDEN = frozenset({".env", ".git", ".ssh", ".omniroute", ".codex", "secrets"})
_LONGEST, _DEEPEST, _BLOCK = 255, 32, 4_096
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# A pipe must not hold the opener up until somebody writes.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK


class Workspaces:
    """Workspaces below `root`, made when they are first used; a file has at most
    `max_file_bytes`."""

    def __init__(self, root: Path, max_file_bytes: int) -> None:
        self._root = root
        self.max_file_bytes = max_file_bytes

    def of(self, owner: str) -> Path:
        """Where the files of an owner lie."""
        digest = hashlib.sha256((owner or "anonymous").encode("utf-8", "replace"))
        return self._root / digest.hexdigest()[:24]

    def read(self, owner: str, path: str) -> bytes:
        """A whole file.

        Raises:
            ToolFailed: there is none, it is too large, or the path leads elsewhere.
        """
        with _opened(self.of(owner), path, os.O_RDONLY) as file:
            size = os.fstat(file).st_size
            if size > self.max_file_bytes:
                raise ToolFailed(f"The file has {size} bytes; {self.max_file_bytes} can be read.")
            return _read(file, self.max_file_bytes)

    def write(self, owner: str, path: str, content: bytes, *, append: bool, overwrite: bool) -> int:
        """Write a file, with the directories above it; its size afterwards.

        Raises:
            ToolFailed: it exists and may not be overwritten, there is no room for it, or the path
                leads elsewhere.
        """
        place = self.of(owner)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _used(place) + len(content) > MOST_BYTES:
            raise ToolFailed(f"The workspace is full: it holds {MOST_BYTES} bytes in all.")
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else 0)
        if not append and not overwrite:
            flags |= os.O_EXCL
        with _opened(place, path, flags) as file:
            after = len(content) + (os.fstat(file).st_size if append else 0)
            if after > self.max_file_bytes:
                raise ToolFailed(f"A file may have {self.max_file_bytes} bytes, not {after}.")
            if not append:
                os.ftruncate(file, 0)
            with os.fdopen(os.dup(file), "wb") as out:
                out.write(content)
        return after


def segments(path: str) -> list[str]:
    """The steps of a path inside a workspace.

    Raises:
        ToolFailed: it does not stay inside, or goes where no tool goes.
    """
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    if path.startswith(("/", "\\")) or path[1:2] == ":":
        raise ToolFailed("The path must be relative to the workspace.")
    if not parts or ".." in parts:
        raise ToolFailed("The path must lead to a file inside the workspace.")
    if len(parts) > _DEEPEST or any(len(part.encode()) > _LONGEST for part in parts):
        raise ToolFailed("The path is too long.")
    if any(not part.isprintable() for part in parts):
        raise ToolFailed("The path has characters that are not allowed in names.")
    forbidden = next((part for part in parts if part.lower() in FORBIDDEN), None)
    if forbidden is not None:
        raise ToolFailed(f"'{forbidden}' is not for tools; use another name.")
    return parts


@contextmanager
def _opened(place: Path, path: str, flags: int) -> Iterator[int]:
    """A file of a workspace, opened step by step."""
    with ExitStack() as stack:
        try:
            file = _walked(stack, place, segments(path), flags)
        except FileNotFoundError as error:
            raise ToolFailed("There is no such file in the workspace.") from error
        except FileExistsError as error:
            raise ToolFailed("The file exists; overwrite it or use another name.") from error
        except OSError as error:
            raise ToolFailed("The path leads to no file inside the workspace.") from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ToolFailed("The path does not lead to a regular file.")
        yield file


def _walked(stack: ExitStack, place: Path, steps: list[str], flags: int) -> int:
    *above, name = steps
    directory = os.open(place, _DIRECTORY)
    stack.callback(os.close, directory)
    for part in above:
        if flags & os.O_CREAT:
            with suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=directory)
        directory = os.open(part, _DIRECTORY, dir_fd=directory)
        stack.callback(os.close, directory)
    file = os.open(name, flags | _FILE, 0o600, dir_fd=directory)
    stack.callback(os.close, file)
    return file


def _read(file: int, most: int) -> bytes:
    with os.fdopen(os.dup(file), "rb") as source:
        return source.read(most)


def _used(place: Path) -> int:
    """The bytes of all files of a workspace; a small one and a directory count as a block."""
    return sum(
        max((Path(above) / name).lstat().st_size, _BLOCK)
        for above, directories, names in os.walk(place)
        for name in (*directories, *names)
    )
