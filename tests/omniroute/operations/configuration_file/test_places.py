"""Lines and columns of everything in a TOML text, however it is written."""

import tomllib
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from omniroute.operations.configuration.configuration_file.places import Path, Place, places_of

TEXTS: dict[str, tuple[str, Path, tuple[int, int]]] = {
    "a key at the top": ("a = 1\nb = 2\n", ("b",), (2, 1)),
    "a table": ("a = 1\n\n[t]\nx = 1\n", ("t",), (3, 1)),
    "a key in a table": ("[t]\n  x = 1\n", ("t", "x"), (2, 3)),
    "a table that is only part of a header": ("[a.b.c]\nx = 1", ("a", "b"), (1, 4)),
    "a quoted header": ('[a."b.c"]\nx = 1', ("a", "b.c", "x"), (2, 1)),
    "spaces in a header": ("[ a . 'b' ]\nx = 1", ("a", "b", "x"), (2, 1)),
    "a dotted key": ("[t]\na.b.c = 1", ("t", "a", "b", "c"), (2, 5)),
    "the beginning of a dotted key": ("[t]\na.b.c = 1", ("t", "a", "b"), (2, 3)),
    "an inline table": ("t = { x = 1, y = { z = 2 } }", ("t", "y", "z"), (1, 20)),
    "an entry of a list": ('l = [\n  "a", # c\n  "b",\n]', ("l", 1), (3, 3)),
    "an inline table in a list": (
        "l = [\n { x = 1 },\n { x = 2, y = 3 },\n]",
        ("l", 1, "y"),
        (3, 11),
    ),
    "a list in a list": ("l = [[1, 2],\n [3, 4]]", ("l", 1, 1), (2, 6)),
    "the first of an array of tables": ("[[t]]\nx = 1\n[[t]]\nx = 2", ("t", 0, "x"), (2, 1)),
    "the second of an array of tables": ("[[t]]\nx = 1\n[[t]]\nx = 2", ("t", 1, "x"), (4, 1)),
    "a header of an array of tables": ("[[t]]\nx = 1\n[[t]]\nx = 2", ("t", 1), (3, 1)),
    "a table below an array": (
        "[[t]]\n[t.s]\nx = 1\n[[t]]\n[t.s]\nx = 2",
        ("t", 1, "s", "x"),
        (6, 1),
    ),
    "an array below an array": ("[[t]]\n[[t.s]]\n[[t.s]]\nx = 1", ("t", 0, "s", 1, "x"), (4, 1)),
    "after a text of several lines": ('a = """\n[b]\n"\\"""" \nc = 1', ("c",), (4, 1)),
    "after a literal of several lines": ("a = '''\n#'\n'''''\nc = 1", ("c",), (4, 1)),
    "after a hash in a text": ('a = "#"\nb = "\\"#" # "\nc = 1', ("c",), (3, 1)),
    "after a date with a space": ("a = 1979-05-27 07:32:00Z # x\nc = 1", ("c",), (2, 1)),
    "after empty lists and tables": ("a = []\nb = {}\nc = 1", ("c",), (3, 1)),
    "an escaped key": ('"a\\u00e9" = 1', ("aé",), (1, 1)),
    "a comment between": ("# [no]\n#x = 1\n[t] # c\n# c\nx = 1", ("t", "x"), (5, 1)),
}


@pytest.mark.parametrize(("text", "path", "place"), TEXTS.values(), ids=TEXTS)
def test_everything_stands_where_it_is_written(
    text: str, path: Path, place: tuple[int, int]
) -> None:
    tomllib.loads(text)
    assert places_of(text)[path] == Place(*place)


KEYS = st.text(min_size=1, max_size=6)
LEAVES = st.one_of(
    st.integers(-(2**40), 2**40), st.booleans(), st.text(max_size=12), st.floats(-1e6, 1e6)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


def paths_in(value: Any, path: Path = ()) -> set[Path]:
    found = {path} if path else set()
    if isinstance(value, dict):
        for name, one in value.items():
            found |= paths_in(one, (*path, name))
    elif isinstance(value, list):
        for at, one in enumerate(value):
            found |= paths_in(one, (*path, at))
    return found


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_whatever_is_in_a_text_has_a_place(data: dict[str, Any]) -> None:
    text = tomlkit.dumps(data)
    read = tomllib.loads(text)
    places = places_of(text)
    assert paths_in(read) <= places.keys()
    lines = text.split("\n")
    assert all(place.line <= len(lines) for place in places.values())
