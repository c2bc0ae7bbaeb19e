"""What commands print: tables for people, tabs for pipes, nothing that steers a terminal."""

import io
import sys
from typing import Any

import pytest

from omniroute.errors import InvalidRequest
from omniroute_app.cli.output import Column, confirm, facts, money, shown, table
from omniroute_app.cli.words import seconds

ROWS = [{"name": "a\x1b[31m", "n": {"of": 2.0}}, {"name": "two\nlines", "n": {"of": None}}]
COLUMNS = (Column("NAME", "name"), Column("N", "n.of"), Column("LONG", lambda row: len(row)))


class Terminal(io.StringIO):
    """A standard stream that a person looks at."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_a_pipe_gets_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    table(ROWS, COLUMNS)
    assert capsys.readouterr().out == "NAME\tN\tLONG\na?[31m\t2\t2\ntwo lines\t-\t2\n"


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    table(ROWS, COLUMNS)
    table([], COLUMNS, "There are none.")
    facts([("a", 1), ("longer", True)])
    assert [line.rstrip() for line in terminal.getvalue().splitlines()] == [
        "NAME       N  LONG",
        "a?[31m     2  2",
        "two lines  -  2",
        "There are none.",
        "a       1",
        "longer  yes",
    ]


SHOWN: dict[str, tuple[Any, str]] = {
    "nothing": (None, "-"),
    "no text": ("", "-"),
    "no": (False, "no"),
    "a list": (["a", 2], "a, 2"),
    "an empty list": ([], "-"),
    "an object": ({"a": 1}, '{"a": 1}'),
    "a number": (1.50, "1.5"),
}


@pytest.mark.parametrize(("value", "text"), SHOWN.values(), ids=SHOWN)
def test_values(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0.0, "$0.00"), (1.5, "$1.50"), (0.000123, "$0.000123"), (None, "unknown"), (12.0, "$12.00")],
)
def test_money(usd: float | None, text: str) -> None:
    assert money(usd) == text


@pytest.mark.parametrize(
    ("text", "found"), [("0", 0), ("90", 90), ("90s", 90), ("10m", 600), ("24H", 86_400)]
)
def test_durations(text: str, found: int) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5h", "10 m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidRequest, match="10m, 24h or 7d"):
        seconds(text)


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_no_is_no(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    with pytest.raises(SystemExit, match="Nothing was changed"):
        confirm("Delete it?", yes=False)


def test_yes_is_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("Yes\n"))
    confirm("Delete it?", yes=False)
