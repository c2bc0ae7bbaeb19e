"""`omniroute config ...`: the configuration in one file, on the terminal.

Heavy modules are imported inside commands, so that help is instant.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where

if TYPE_CHECKING:
    from omniroute_app.desks.configuration import Desk

config = App(
    name="config",
    help=(
        "The whole configuration in one file, omniroute.toml.\n\n"
        "Goes through the gateway that runs on the data directory (or at --url); without one, "
        "works on the data directory itself.\n\n"
        "Example: omniroute config plan omniroute.toml"
    ),
)

File = Annotated[Path, Parameter(help="The file. Default: omniroute.toml")]
Prune = Annotated[bool, Parameter(negative=(), help="Delete also what never came from a file.")]
_FILE = Path("omniroute.toml")


@config.command
def plan(
    file: File = _FILE,
    *,
    prune: Prune = False,
    exit_code: Annotated[
        bool,
        Parameter(negative=(), help="Exit with 2 where something would change, 1 on an error."),
    ] = False,
    where: Where = HERE,
) -> None:
    """Show what applying a file would do. Nothing is changed.

    Example: omniroute config plan omniroute.toml
    """
    from omniroute.errors import OmniRouteError
    from omniroute_app.desks.configuration import told

    try:
        found = _desk(where).plan(_text(file), str(file), prune=prune)
    except OmniRouteError as error:
        if not exit_code:
            raise
        raise SystemExit(f"omniroute: {error}") from error
    _print(found, told(found), as_json=where.json)
    if exit_code and found["changes"]:
        raise SystemExit(2)


@config.command
def apply(
    file: File = _FILE,
    *,
    prune: Prune = False,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative=(), help="Do not ask.")] = False,
    where: Where = HERE,
) -> None:
    """Make the configuration what a file says: all of it, or nothing where it has an error.

    What came from a file before and is not in this one is deleted; everything else is left alone.

    Example: omniroute config apply omniroute.toml --yes
    """
    from omniroute_app.desks.configuration import done, told

    desk, text = _desk(where), _text(file)
    if not yes:
        planned = desk.plan(text, str(file), prune=prune)
        if planned["changes"]:
            _print(planned, told(planned), as_json=False, to_terminal=True)
            _ask()
    found = desk.apply(text, str(file), prune=prune)
    _print(found, done(found) if not yes else f"{told(found)}\n{done(found)}", as_json=where.json)


@config.command
def check(
    file: File = _FILE,
    *,
    where: Where = HERE,
) -> None:
    """Look a file over: every error with its line, and what is worth a look.

    Example: omniroute config check omniroute.toml
    """
    found = _desk(where).plan(_text(file), str(file), prune=False)
    notes = [one["text"] for one in found["warnings"]]
    sound = f"{file} can be applied."
    _print(
        {"valid": True, "warnings": found["warnings"]},
        "\n".join([*notes, sound]),
        as_json=where.json,
    )


@config.command
def export(
    to: Annotated[Path | None, Parameter(help="A file to write. Default: print it.")] = None,
    *,
    where: Where = HERE,
) -> None:
    """Write everything as a file that makes an empty gateway the same. Secrets are references.

    Example: omniroute config export omniroute.toml
    """
    from omniroute.errors import Conflict

    text = _desk(where).export()
    if to is None:
        print(text, end="", flush=True)
        return
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise Conflict(f"{to} exists already; choose another name.") from error
    print(f"Written to {to}.", flush=True)


def _desk(where: Where) -> "Desk":
    from omniroute_app.desks.configuration import desk_of

    return desk_of(where)


def _text(file: Path) -> str:
    from omniroute_app.desks.configuration import read_file

    return read_file(file)


def _ask() -> None:
    from omniroute.errors import InvalidRequest

    if not sys.stdin.isatty():
        raise InvalidRequest("Say --yes to apply this without being asked.")
    if input("Apply this? [y/N] ").strip().lower() not in ("y", "yes"):
        raise SystemExit("Nothing was changed.")


def _print(found: Any, told: str, *, as_json: bool, to_terminal: bool = False) -> None:
    import msgspec

    if as_json:
        told = msgspec.json.format(msgspec.json.encode(found)).decode()
    print(told, flush=True, file=sys.stderr if to_terminal else sys.stdout)
