"""What the protocols require is shown by tests, and protocol tests show what is required.

`tests/requirements` maps ids to sections and tests. Nothing is imported or run here: tests are
found by reading the files.
"""

import ast
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
MANIFESTS = sorted((ROOT / "tests/requirements").glob("*.toml"))
COVERED = ("tests/omniroute_mcp/", "tests/omniroute_a2a/", "tests/conformance/")
"""Folders of which every test shows something required."""

FIELDS: dict[str, type] = {"section": str, "says": str, "tests": list}


def functions_of(source: str) -> Iterator[str]:
    """The names of the test functions of a module."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = (node.name for node in ast.walk(ast.parse(source)) if isinstance(node, kinds))
    return (name for name in names if name.startswith("test_"))


def all_tests() -> set[str]:
    """Every test function as `path::name`."""
    return {
        f"{path.relative_to(ROOT)}::{name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in functions_of(path.read_text())
    }


def faults(manifests: Mapping[str, Mapping[str, Any]], tests: set[str]) -> list[str]:
    """What is wrong with manifests, by file, given the tests there are."""
    found, seen, named = list[str](), set[str](), set[str]()
    for file, manifest in manifests.items():
        sections = manifest["sections"]
        rows = {name: row for name, row in manifest.items() if name != "sections"}
        for name, row in rows.items():
            found += [f"{name}: is there twice"] if name in seen else []
            found += faults_of(name, row, sections, tests)
            seen.add(name)
            named.update(row.get("tests", ()))
        used = {row.get("section") for row in rows.values()}
        found += [f"{file}: {one}: nothing is required" for one in sections if one not in used]
    unnamed = {one for one in tests if one.startswith(COVERED)} - named
    return found + [
        f"{one}: shows nothing that is required; name it in tests/requirements"
        for one in sorted(unnamed)
    ]


def faults_of(
    name: str, row: Mapping[str, Any], sections: Mapping[str, str], tests: set[str]
) -> Iterator[str]:
    """What is wrong with one requirement."""
    if {field: type(value) for field, value in row.items()} != FIELDS:
        yield f"{name}: needs section, says and tests, and nothing else"
        return
    if row["section"] not in sections:
        yield f"{name}: there is no section {row['section']!r}"
    if not row["says"].endswith(".") or "\n" in row["says"]:
        yield f"{name}: does not say it in a sentence"
    if not row["tests"]:
        yield f"{name}: no test shows it"
    if len(set(row["tests"])) != len(row["tests"]):
        yield f"{name}: names a test twice"
    yield from (f"{name}: there is no test {one}" for one in row["tests"] if one not in tests)


def test_every_requirement_is_shown_and_every_protocol_test_shows_one() -> None:
    manifests = {path.name: tomllib.loads(path.read_text()) for path in MANIFESTS}
    assert faults(manifests, all_tests()) == []


GOOD = {"section": "1", "says": "It works.", "tests": ["tests/conformance/test_a.py::test_b"]}
TESTS = {"tests/conformance/test_a.py::test_b", "tests/omniroute/test_x.py::test_y"}
OTHER = "tests/omniroute_a2a/test_c.py::test_d"
FAULTY: dict[str, tuple[dict[str, Any], set[str], list[str]]] = {
    "nothing": ({"a": GOOD}, TESTS, []),
    "a test that was renamed or removed": (
        {"a": GOOD},
        set(),
        [f"a: there is no test {GOOD['tests'][0]}"],
    ),
    "a test without an id": ({"a": GOOD}, {*TESTS, OTHER}, [f"{OTHER}: shows nothing that is"]),
    "an id without a test": (
        {"a": GOOD, "b": {**GOOD, "tests": []}},
        TESTS,
        ["b: no test shows it"],
    ),
    "a test twice": (
        {"a": {**GOOD, "tests": GOOD["tests"] * 2}},  # type: ignore[operator]
        TESTS,
        ["a: names a test twice"],
    ),
    "no sentence": ({"a": {**GOOD, "says": ""}}, TESTS, ["a: does not say it in a sentence"]),
    "another section": (
        {"a": GOOD, "b": {**GOOD, "section": "2"}},
        TESTS,
        ["b: there is no section '2'"],
    ),
    "a member missing": (
        {"a": GOOD, "b": {"section": "1"}},
        TESTS,
        ["b: needs section, says and tests"],
    ),
}


@pytest.mark.parametrize(("rows", "tests", "told"), FAULTY.values(), ids=FAULTY)
def test_what_is_wrong_is_found(rows: dict[str, Any], tests: set[str], told: list[str]) -> None:
    found = faults({"m": {"sections": {"1": "One"}, **rows}}, tests)
    assert len(found) == len(told)
    assert all(one.startswith(start) for one, start in zip(found, told, strict=True))


def test_empty_sections_and_repeated_ids_are_found() -> None:
    once = {"sections": {"1": "One"}, "a": GOOD}
    again = {"sections": {"1": "One", "2": "Two"}, "a": GOOD}
    assert faults({"m": once, "n": again}, TESTS) == [
        "a: is there twice",
        "n: 2: nothing is required",
    ]
