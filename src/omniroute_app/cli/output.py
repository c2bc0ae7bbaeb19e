"""What commands print: tables for people, tabs for pipes, JSON for programs."""

import json
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from omniroute.errors import InvalidRequest

Cell = str | Callable[[Mapping[str, Any]], object]
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, and the dotted member or the function its cells come from."""

    title: str
    cell: Cell

    def of(self, row: Mapping[str, Any]) -> str:
        """A row's cell as text."""
        return shown(self.cell(row) if callable(self.cell) else member(row, self.cell))


def say(text: str) -> None:
    """Print at once, also into a pipe or a file."""
    print(text, flush=True)


def show(found: Any, told: Callable[[], None], *, as_json: bool) -> None:
    """Print an answer: as it came, or as it is told to people."""
    if as_json:
        say(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        told()


def table(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], empty: str | None = None
) -> None:
    """Print rows: as a table on a terminal, as tabbed lines under a line of titles elsewhere.

    `empty` is said to people where there are no rows.
    """
    cells = [[_one_line(column.of(row)) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        for line in ([column.title for column in columns], *cells):
            say("\t".join(line))
        return
    if not cells and empty is not None:
        say(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        drawn.add_column(column.title, overflow="fold")
    for line in cells:
        drawn.add_row(*(Text(cell) for cell in line))
    Console().print(drawn)


def facts(rows: Iterable[tuple[str, object]]) -> None:
    """Print names with values, one a line."""
    known = [(name, _one_line(shown(value))) for name, value in rows]
    if not sys.stdout.isatty():
        for name, value in known:
            say(f"{name}\t{value}")
        return
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        say(f"{name:<{width}}  {value}")


def member(row: Mapping[str, Any], path: str) -> Any:
    """A member by its dotted path; None where there is none."""
    found: Any = row
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def shown(value: object) -> str:
    """A value as people read it."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(shown(one) for one in value) or NOTHING
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def money(usd: float | None) -> str:
    """Dollars, with as many digits as small sums need."""
    return "unknown" if usd is None else f"${usd:.6f}".rstrip("0").ljust(len(f"${usd:.2f}"), "0")


def clock(stamp: str | None) -> str:
    """An ISO-8601 time to the second, as people write it."""
    return NOTHING if not stamp else stamp[:19].replace("T", " ")


def _one_line(text: str) -> str:
    """A text on one line and without control characters: what clients send must not steer the
    terminal of whoever reads the log."""
    if text.isprintable():
        return text
    plain = "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)
    return " ".join(plain.split())


@contextmanager
def busy(what: str) -> Generator[None]:
    """Say what takes time while it does, to people only."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost.

    Raises:
        InvalidRequest: nobody can be asked, so that it has to be said with `--yes`.
        SystemExit: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest(f"{question} Nobody is here to answer; say --yes.")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SystemExit("Nothing was changed.")


def hidden(question: str) -> str:
    """A secret that is typed unseen; a line of standard input where nobody types."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    from getpass import getpass

    return getpass(f"{question}: ").strip()


def new_secret(text: str, hint: str) -> None:
    """Print a secret that is shown once; the hint goes to people, so that pipes get the secret."""
    say(text)
    sys.stderr.write(f"{hint}\n")
