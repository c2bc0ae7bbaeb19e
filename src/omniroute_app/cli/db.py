"""`omniroute db ...` and `omniroute doctor`: the care of the data directory, on the terminal.

Heavy modules are imported inside commands, so that help is instant.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from omniroute_app.settings import Settings

db = App(
    name="db",
    help=(
        "Back the database up, restore it, bring it to this version, look it over.\n\n"
        "Works on the data directory itself. What would get in the way of a running gateway is "
        "refused while one runs.\n\n"
        "Example: omniroute db backup --to before.sqlite"
    ),
)

DataDir = Annotated[
    Path | None, Parameter(help="Where everything is kept (DATA_DIR). Default: ~/.omniroute")
]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]
Repair = Annotated[
    bool, Parameter(negative=(), help="Repair what can be repaired without losing anything.")
]


@db.command
def backup(
    *,
    to: Annotated[
        Path | None, Parameter(help="A file to write, beside the backup that is kept.")
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a backup now, also while a gateway runs.

    Example: omniroute db backup --to before.sqlite
    """
    from omniroute_app.desks.database import backup as make
    from omniroute_app.runner import run

    run(make(_settings(data_dir), to, Printing(as_json=json)))


@db.command
def restore(
    source: Annotated[
        str, Parameter(help="A backup as `omniroute doctor` lists it, `latest`, or a file.")
    ],
    *,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Replace everything with a backup or a file. What is there now is backed up first.

    A database that is damaged is moved aside and kept.

    Example: omniroute db restore latest
    """
    from omniroute_app.desks.database import restore as load
    from omniroute_app.runner import run

    run(load(_settings(data_dir), source, Printing(as_json=json)))


@db.command
def migrate(*, data_dir: DataDir = None, json: Json = False) -> None:
    """Bring the database to this version, after a backup. A gateway that starts does it, too.

    Example: omniroute db migrate
    """
    from omniroute_app.desks.database import migrate as bring_up
    from omniroute_app.runner import run

    run(bring_up(_settings(data_dir), Printing(as_json=json)))


@db.command(name="doctor")
def db_doctor(*, repair: Repair = False, data_dir: DataDir = None, json: Json = False) -> None:
    """The same as `omniroute doctor`.

    Example: omniroute db doctor --json
    """
    doctor(repair=repair, data_dir=data_dir, json=json)


def doctor(*, repair: Repair = False, data_dir: DataDir = None, json: Json = False) -> None:
    """Look over data directory, database, secrets, backups, port, disk and clock.

    Every finding says what to do next. The exit code is 1 where something is broken.

    Example: omniroute doctor --repair
    """
    from omniroute_app.doctor import examine
    from omniroute_app.runner import run

    printing = Printing(as_json=json)
    broken: list[bool] = []

    async def look() -> None:
        broken.append(await examine(_settings(data_dir), repair=repair, printing=printing))

    run(look())
    if any(broken):
        raise SystemExit(1)


class Printing:
    """Where results and progress go: with JSON, only the result is on standard output."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def progress(self, line: str) -> None:
        """Say what is being done."""
        print(f"  {line}", flush=True, file=sys.stderr if self.as_json else sys.stdout)

    def result(self, found: object, told: str) -> None:
        """Say what came of it."""
        if self.as_json:
            import msgspec

            told = msgspec.json.format(msgspec.json.encode(found)).decode()
        print(told, flush=True)


def _settings(data_dir: Path | None) -> "Settings":
    from omniroute_app.settings import load_settings

    return load_settings(os.environ, data_dir=data_dir)
