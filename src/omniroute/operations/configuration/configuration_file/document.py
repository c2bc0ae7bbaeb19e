"""A configuration file that was read, and what is wrong with it: every error with its place."""

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from msgspec import Struct

from omniroute.errors import InvalidRequest, OmniRouteError, ValidationFailed
from omniroute.operations.configuration.configuration_file.places import Path, Place, places_of

DEFAULT_NAME = "omniroute.toml"

_SYNTAX = re.compile(
    r"^(?P<told>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of.*)\)$"
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Notice(Struct, frozen=True, kw_only=True):
    """Something about one place of the file that is no error. `text` cites the place."""

    line: int
    column: int
    path: str
    text: str


class ConfigurationRefused(ValidationFailed):
    """A configuration file has errors: all of them, a line each. Nothing was changed."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(problems)
        InvalidRequest.__init__(self, "\n".join(told for _, told in problems))


class Document:
    """A file that could be read as TOML. It collects what else is wrong with it.

    Raises:
        ConfigurationRefused: it is not TOML.
    """

    def __init__(self, text: str, name: str = DEFAULT_NAME) -> None:
        self.name = name
        self._problems: list[tuple[Place, str, str]] = []
        self._notices: list[tuple[Place, str, str]] = []
        text = text.removeprefix("\N{BYTE ORDER MARK}").replace("\r\n", "\n")
        try:
            self.data: dict[str, Any] = _plain(tomllib.loads(text))
            self.places = places_of(text)
        except tomllib.TOMLDecodeError as error:
            raise self._unreadable(str(error), text) from error
        except RecursionError as error:
            raise ConfigurationRefused([("", f"{name}: is nested too deeply")]) from error

    def place(self, path: Path) -> Place:
        """Where something stands, or the nearest thing around it that is written."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place(1, 1)

    def line(self, path: Path) -> int | None:
        """The line of something that is written; None for what is not."""
        found = self.places.get(path)
        return None if found is None else found.line

    def problem(self, path: Path, told: str) -> None:
        """Note an error; `told` goes on after the name of what it is about."""
        self._problems.append((self.place(path), dotted(path), told))

    def notice(self, path: Path, told: str) -> None:
        """Note what is no error and worth a look."""
        self._notices.append((self.place(path), dotted(path), told))

    def refusals(self, path: Path, error: OmniRouteError, spelled: Mapping[str, str]) -> None:
        """Note what an operation says is wrong with something.

        Args:
            path: what it is about.
            spelled: names of fields here, by what operations call them.
        """
        if isinstance(error, ValidationFailed):
            for field, told in error.problems:
                self.problem((*path, *inner_path(field, spelled)), _sentence(told))
            return
        param = (error.param or "").split(".")[0]
        inner = (spelled[param],) if param in spelled else ()
        self.problem((*path, *inner), f"cannot be stored: {_sentence(str(error))}")

    def require_sound(self) -> None:
        """Give up where something is wrong.

        Raises:
            ConfigurationRefused: says everything that is.
        """
        if self._problems:
            found = dict.fromkeys(sorted(self._problems, key=lambda one: _order(one[0])))
            raise ConfigurationRefused(
                [(path, f"{self._cited(place)}: {path} {told}") for place, path, told in found]
            )

    def notices(self) -> list[Notice]:
        """What is worth a look, in the order of the file."""
        return [
            Notice(
                line=place.line,
                column=place.column,
                path=path,
                text=f"{self._cited(place)}: {path} {told}",
            )
            for place, path, told in sorted(self._notices, key=lambda one: _order(one[0]))
        ]

    def _cited(self, place: Place) -> str:
        return f"{self.name}:{place.line}:{place.column}"

    def _unreadable(self, told: str, text: str) -> ConfigurationRefused:
        found = _SYNTAX.match(told)
        place = Place(text.count("\n") + 1, 1)
        if found is not None and found["line"]:
            place = Place(int(found["line"]), int(found["column"]))
        said = found["told"] if found is not None else told
        return ConfigurationRefused([("", f"{self._cited(place)}: this is not TOML: {said}.")])


def dotted(path: Path) -> str:
    """A path as it would be written in a file."""
    return ".".join(quoted_key(str(one)) for one in path)


def quoted_key(name: str) -> str:
    """A key as TOML has it, quoted where it must be."""
    if _BARE.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"'
        + "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in escaped)
        + '"'
    )


def inner_path(field: str, spelled: Mapping[str, str]) -> Path:
    """A dotted field of an operation as it is written here."""
    if not field:
        return ()
    first, *rest = field.split(".")
    parts = [spelled.get(first, first), *rest]
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _sentence(told: str) -> str:
    return told if told.endswith((".", "?", "!")) else f"{told}."


def _order(place: Place) -> tuple[int, int]:
    return place.line, place.column


def _plain(value: Any) -> Any:
    """Dates as texts: they are what the rest of the product takes."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime | date | time) else value
