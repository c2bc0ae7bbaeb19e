"""Is a file a database this version can take over? And if so: bring it to this version's schema."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal, TypeAlias

from sqlalchemy import Inspector, inspect
from sqlalchemy.exc import SQLAlchemyError

from omniroute.errors import InvalidRequest, StorageUnavailable
from omniroute.storage.backups.manifest import COUNTED, opened
from omniroute.storage.engines import sqlite_transaction
from omniroute.storage.migrate import HEAD, run_migrations, state
from omniroute.storage.tables import metadata

Layout: TypeAlias = Literal["ours", "reference"]

LARGEST_BYTES = 100 * 1024 * 1024
SMALLEST_BYTES = 4_096
_MAGIC = b"SQLite format 3\x00"


def require_name(name: str) -> None:
    """Refuse what does not even claim to be a database.

    Raises:
        InvalidRequest: the name does not end in `.sqlite`.
    """
    if not name.lower().endswith(".sqlite"):
        raise InvalidRequest(
            f"A file to import is named *.sqlite, not '{name[:100]}'.", param="filename"
        )


def require_size(size: int) -> None:
    """Refuse what is too large or too small for a database.

    Raises:
        InvalidRequest: says which.
    """
    if size == 0:
        raise InvalidRequest("There is no file in the request, or it is empty.", param="file")
    if size > LARGEST_BYTES:
        raise InvalidRequest(
            f"The file is over {LARGEST_BYTES // 1024 // 1024} MiB. Load it on the gateway's own"
            " machine instead: omniroute db restore <file>",
            param="file",
        )
    if size < SMALLEST_BYTES:
        raise InvalidRequest(
            f"The file has {size} bytes; a database has at least {SMALLEST_BYTES}.", param="file"
        )


def require_database(path: Path) -> Layout:
    """Check a file that claims to be a database: its pages, its rows, its tables.

    Returns:
        Whose layout its tables have.

    Raises:
        InvalidRequest: it is no SQLite file, is damaged, or lacks the tables of a gateway.
    """
    with path.open("rb") as raw:
        if raw.read(len(_MAGIC)) != _MAGIC:
            raise InvalidRequest("The file is not a SQLite database.", param="file")
    try:
        with closing(opened(path)) as file:
            problems = [row[0] for row in file.execute("PRAGMA integrity_check(3)")]
            if problems != ["ok"]:
                raise _damaged()
            names = {
                row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type='table'")
            }
    except sqlite3.Error as error:
        raise _damaged() from error
    missing = sorted(set(COUNTED.values()) - names)
    if missing:
        raise InvalidRequest(
            f"The file is not a database of OmniRoute: it has no {', '.join(missing)}.",
            param="file",
        )
    return "ours" if "alembic_version" in names else "reference"


def _damaged() -> InvalidRequest:
    return InvalidRequest(
        "The file is damaged: SQLite's integrity check fails. Use another backup.", param="file"
    )


def bring_up(path: Path, tell: Callable[[str], None]) -> None:
    """Migrate a file of ours to the schema of this version. Nobody else may use it.

    Raises:
        InvalidRequest: it cannot be brought there; the file is of no use afterwards.
    """
    try:
        with sqlite_transaction(path) as connection:
            found = state(connection)
            if found != HEAD:
                tell(f"migrating from {found} to {HEAD}")
                run_migrations(connection)
            dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            missing = lacking(inspect(connection))
    except StorageUnavailable as error:
        raise InvalidRequest(f"The file cannot be used. {error}", param="file") from error
    except SQLAlchemyError as error:
        raise InvalidRequest(
            "The file cannot be migrated to this version: its tables are not what they should be."
            " Use another backup.",
            param="file",
        ) from error
    if dangling is not None:
        raise InvalidRequest(f"A row in {dangling[0]} of the file points to nothing.", param="file")
    if missing:
        raise InvalidRequest(f"The file lacks {', '.join(missing)}.", param="file")


def lacking(inspector: Inspector) -> list[str]:
    """Tables and columns of this version that a database has not."""
    names = set(inspector.get_table_names())
    found = sorted(metadata.tables.keys() - names)
    for name in sorted(names & metadata.tables.keys()):
        columns = {row["name"] for row in inspector.get_columns(name)}
        ours = metadata.tables[name].c
        found += [f"{name}.{one.name}" for one in ours if one.name not in columns]
    return found
