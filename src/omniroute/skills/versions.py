"""Versions of skills, and which of several is meant. Source: 02 §24.3."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

Version: TypeAlias = tuple[int, int, int]

PATTERN = r"^\d{1,9}\.\d{1,9}\.\d{1,9}$"
_WANTED = re.compile(r"^\s*(?P<operator>\^|~|>=|<=|==|>|<|)\s*(?P<version>\S*)\s*$")


def _compatible(found: Version, wanted: Version) -> bool:
    """The same first number that is not 0, and not older."""
    fixed = next((place for place in range(3) if wanted[place]), 2) + 1
    return found >= wanted and found[:fixed] == wanted[:fixed]


_FITS: Mapping[str, Callable[[Version, Version], bool]] = {
    "": lambda found, wanted: found == wanted,
    "==": lambda found, wanted: found == wanted,
    "^": _compatible,
    "~": lambda found, wanted: found >= wanted and found[:2] == wanted[:2],
    ">": lambda found, wanted: found > wanted,
    ">=": lambda found, wanted: found >= wanted,
    "<": lambda found, wanted: found < wanted,
    "<=": lambda found, wanted: found <= wanted,
}


def parsed(text: str) -> Version | None:
    """`1.2.3` as numbers; None where it is no version."""
    if re.match(PATTERN, text) is None:
        return None
    major, minor, patch = (int(part) for part in text.split("."))
    return major, minor, patch


def fitting(versions: Iterable[str], wanted: str | None) -> list[str]:
    """The versions that are meant, highest first; all where none is named.

    Raises:
        ValueError: `wanted` is neither a version nor one with an operator before it.
    """
    known = sorted(
        ((number, text) for text in versions if (number := parsed(text)) is not None), reverse=True
    )
    if wanted is None:
        return [text for _, text in known]
    found = _WANTED.match(wanted)
    number = None if found is None else parsed(found["version"])
    if found is None or number is None:
        raise ValueError(wanted)
    fits = _FITS[found["operator"]]
    return [text for one, text in known if fits(one, number)]
