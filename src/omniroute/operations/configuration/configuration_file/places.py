"""Where every key and value of a TOML text stands, so that errors can say the line."""

import tomllib
from bisect import bisect_right
from typing import TypeAlias

from msgspec import Struct

Path: TypeAlias = tuple[str | int, ...]
"""How something is reached from the top: names of keys, and places in lists."""

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_ENDS = frozenset(",]}\n#")


class Place(Struct, frozen=True):
    """A position in a text; both count from 1."""

    line: int
    column: int


def places_of(text: str) -> dict[Path, Place]:
    """The place of every key, table and list entry of a text that `tomllib` has read.

    A key that is written several times, as tables are by their headers, stands where it is first.
    """
    scanner = _Scanner(text)
    scanner.scan()
    return scanner.places


class _Scanner:
    """One walk over a text known to be valid: it finds where things are, not what they mean."""

    def __init__(self, text: str) -> None:
        self.places: dict[Path, Place] = {}
        self._text = text
        self._at = 0
        self._table: Path = ()
        self._entries: dict[Path, int] = {}  # how many tables an array of tables has so far
        self._starts = [0]
        for at, char in enumerate(text):
            if char == "\n":
                self._starts.append(at + 1)

    def scan(self) -> None:
        while self._skip(" \t\r\n"):
            if self._here("["):
                self._header()
            else:
                self._pair(self._table)

    def _header(self) -> None:
        many = self._here("[[")
        start = self._at
        self._at += 2 if many else 1
        path: Path = ()
        parts = self._keys()
        for place, (name, at) in enumerate(parts):
            path = (*path, name)
            self._note(path, start if place == len(parts) - 1 else at)
            if path in self._entries and not (many and place == len(parts) - 1):
                path = (*path, self._entries[path] - 1)
        if many:
            count = self._entries.get(path, 0)
            self._entries[path] = count + 1
            path = (*path, count)
            self._note(path, start)
        self._table = path
        self._skip(" \t")
        self._at += 2 if many else 1

    def _pair(self, table: Path) -> None:
        path = table
        for name, at in self._keys():
            path = (*path, name)
            self._note(path, at)
        self._at += 1  # the equals sign
        self._skip(" \t")
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._here('"') or self._here("'"):
            self._string()
        elif self._here("["):
            self._list(path)
        elif self._here("{"):
            self._inline(path)
        else:
            while self._at < len(self._text) and self._text[self._at] not in _ENDS:
                self._at += 1

    def _list(self, path: Path) -> None:
        self._at += 1
        place = 0
        while self._skip(" \t\r\n,") and not self._here("]"):
            self._note((*path, place), self._at)
            self._value((*path, place))
            place += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while self._skip(" \t\r\n,") and not self._here("}"):
            self._pair(path)
        self._at += 1

    def _keys(self) -> list[tuple[str, int]]:
        """A key as it is written, in parts, each with where it begins; the walk stands after it."""
        parts = []
        while True:
            self._skip(" \t")
            start = self._at
            if self._here('"') or self._here("'"):
                self._string()
                name = str(tomllib.loads(f"key = {self._text[start : self._at]}")["key"])
            else:
                while self._text[self._at] in _BARE:
                    self._at += 1
                name = self._text[start : self._at]
            parts.append((name, start))
            self._skip(" \t")
            if not self._here("."):
                return parts
            self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        end = quote * 3 if self._here(quote * 3) else quote
        self._at += len(end)
        while not self._here(end):
            self._at += 2 if quote == '"' and self._here("\\") else 1
        self._at += len(end)
        while len(end) == 3 and self._here(quote):  # up to two quotes may stand before the end
            self._at += 1

    def _skip(self, chars: str) -> bool:
        """Go on over characters and comments; False at the end of the text."""
        while self._at < len(self._text):
            if self._here("#"):
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text[self._at] in chars:
                self._at += 1
            else:
                return True
        return False

    def _here(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _note(self, path: Path, at: int) -> None:
        line = bisect_right(self._starts, at)
        self.places.setdefault(path, Place(line, at - self._starts[line - 1] + 1))
