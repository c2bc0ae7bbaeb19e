"""The optional env file of the data directory: read at start, repaired line by line, backed up."""

import logging
import os
import re
import stat
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from omniroute.errors import InvalidRequest, StorageUnavailable
from omniroute.storage import locks

log = logging.getLogger(__name__)

NAME = ".env"
MOST_BYTES = 1024 * 1024
KEPT_BACKUPS = 20
_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=(?P<raw>.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ufeff]")
_QUOTES = "'\""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NOT_FROM_HERE = frozenset({"DATA_DIR"})
"""Where the file lies cannot be said in it."""


def read_value(raw: str) -> str:
    """What stands after `=`: in quotes as it is, else trimmed and up to a comment."""
    text = raw.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in _QUOTES:
        return text[1:-1]
    return re.split(r"\s#", text, maxsplit=1)[0].strip()


def cleaned(raw: str) -> str:
    """The value without what does not belong to it: control characters, quotes, blanks."""
    text = _CONTROL.sub("", read_value(_CONTROL.sub("", raw)))
    while (bare := text.strip().strip(_QUOTES)) != text:
        text = bare
    return text


def is_sound(raw: str) -> bool:
    """Whether every program would read a value as it is meant."""
    tidy = raw == raw.strip() and _CONTROL.search(raw) is None
    return tidy and read_value(raw) == cleaned(raw)


def parsed(text: str) -> dict[str, str]:
    """The variables of a file; of several lines with a name the last counts."""
    return {name: read_value(raw) for name, raw in _entries(text)}


def repaired(text: str, wanted: Iterable[str], known: Mapping[str, str]) -> tuple[str, list[str]]:
    """A file with these variables in order, and which of them were not.

    A value is cleaned where it stands; one that is missing or blank is taken from `known`. All
    other lines stay as they are.
    """
    found = dict(_entries(text))
    fixed: dict[str, str] = {}
    for name in dict.fromkeys(wanted):
        raw = found.get(name)
        value = cleaned(raw) if raw is not None else ""
        if raw is not None and value and is_sound(raw):
            continue
        value = value or cleaned(known.get(name, ""))
        if value:
            fixed[name] = f"{name}={_written(value)}"
    lines = []
    for line in text.split("\n"):
        match = _LINE.fullmatch(line)
        replaced = match is not None and match["name"] in fixed
        if not replaced:
            lines.append(line)
        elif match is not None and fixed[match["name"]] not in lines:
            lines.append(fixed[match["name"]])
    added = [line for name, line in fixed.items() if name not in found]
    if added:
        while lines and not lines[-1].strip():
            lines.pop()
        lines += [*added, ""]
    return "\n".join(lines), list(fixed)


def _written(value: str) -> str:
    return f'"{value}"' if re.search(r"\s|#", value) else value


def _entries(text: str) -> list[tuple[str, str]]:
    found = []
    for line in text.removeprefix("\ufeff").split("\n"):
        match = _LINE.fullmatch(line)
        if match is not None:
            found.append((match["name"], match["raw"].removesuffix("\r")))
    return found


class EnvFile:
    """The file of a data directory.

    Args:
        real: the variables the process was started with; they win over the file's.
    """

    def __init__(self, data_dir: Path, real: Mapping[str, str]) -> None:
        self._folder = data_dir
        self.real = real

    def merged(self) -> dict[str, str]:
        """The file's variables under the real ones.

        Raises:
            InvalidRequest: the file cannot be used.
        """
        text = self.read()
        own = parsed(text) if text is not None else {}
        return {**{name: own[name] for name in own if name not in _NOT_FROM_HERE}, **self.real}

    def read(self) -> str | None:
        """The text; None where there is no file. Warns when others can read it.

        Raises:
            InvalidRequest: it is no text file, or too large.
        """
        path = self._folder / NAME
        try:
            about = path.stat()
            if not stat.S_ISREG(about.st_mode) or about.st_size > MOST_BYTES:
                raise InvalidRequest(
                    f"{NAME} in the data directory is no text file of at most 1 MiB."
                )
            if os.name == "posix" and about.st_mode & _OTHERS:
                log.warning("%s in the data directory can be read by others; chmod it to 600", NAME)
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"{NAME} in the data directory is not UTF-8.") from error
        except OSError as error:
            raise InvalidRequest(f"{NAME} in the data directory cannot be read.") from error

    def backed_up(self) -> dict[str, str]:
        """The newest value of each variable in the backups that is not blank."""
        found: dict[str, str] = {}
        for path in self._backups():
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            values = {name: cleaned(raw) for name, raw in _entries(text)}
            found = {**{name: value for name, value in values.items() if value}, **found}
        return found

    def repair(self, wanted: Iterable[str], now_ms: int) -> tuple[list[str], Path | None]:
        """Put these variables in order; which were repaired, and the backup made before that.

        Raises:
            InvalidRequest: the file cannot be used.
            StorageUnavailable: it cannot be written.
        """
        try:
            with locks.held(self._folder / "env.lock"):
                text = self.read()
                after, fixed = repaired(text or "", wanted, self.backed_up())
                backup = self._back_up(text, now_ms) if text is not None else None
                if fixed:
                    _write(self._target(), after)
                return fixed, backup
        except OSError as error:
            raise StorageUnavailable(
                f"{NAME} in the data directory cannot be written; check its permissions and the "
                "space on the disk."
            ) from error

    def _target(self) -> Path:
        return (self._folder / NAME).resolve()  # a link stays one

    def _backups(self) -> list[Path]:
        """Newest first."""
        return sorted(self._folder.glob("env-repair-*.bak"), reverse=True)

    def _back_up(self, text: str, now_ms: int) -> Path:
        """A copy of the file; the newest one where that is the same already."""
        known = self._backups()
        if known and known[0].read_bytes() == text.encode():
            return known[0]
        when = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")[:-3]
        path = self._folder / f"env-repair-{when}.bak"
        _write(path, text)
        for old in known[KEPT_BACKUPS - 1 :]:
            old.unlink(missing_ok=True)
        return path


def _write(path: Path, text: str) -> None:
    """Whole or not at all, for nobody else to read."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    draft.replace(path)
