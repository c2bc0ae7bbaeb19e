"""Brings a database to the schema of this version when the gateway starts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, create_mock_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.schema import ExecutableDDLElement

from omniroute.errors import StorageUnavailable
from omniroute.storage import locks
from omniroute.storage.engines import sqlite_transaction
from omniroute.storage.tables import metadata

log = logging.getLogger(__name__)

# The newest file in migrations/versions. Known here so that a new or up-to-date database starts
# without importing Alembic; a test keeps it true.
HEAD = "0028"

# Any number will do as long as all versions of the gateway use the same one.
_POSTGRESQL_LOCK = 0x6F6D6E69

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


async def upgrade(
    engine: AsyncEngine, data_dir: Path, before: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Run the migrations this database has not seen; one process does, the others wait.

    All of them run in one transaction: one that fails, or is killed, leaves everything as it was.

    Args:
        before: called before the first migration of a database that holds something.

    Raises:
        StorageUnavailable: a newer version of the gateway wrote this database, or something has
            left it in a state nobody can vouch for.
    """
    async with engine.connect() as connection:
        if await connection.run_sync(_is_ready):
            return
    with ExitStack() as stack:
        if engine.dialect.name == "sqlite":
            lock = locks.held(data_dir / "migrate.lock")
            await asyncio.to_thread(stack.enter_context, lock)
        async with engine.connect() as connection:
            await connection.run_sync(_prepare)
            try:
                async with connection.begin():
                    await _bring_up(connection, before)
            finally:
                await connection.run_sync(_rules_on)


async def _bring_up(
    connection: AsyncConnection, before: Callable[[], Awaitable[None]] | None
) -> None:
    """A new database is made whole at once; one that has been used is migrated."""
    if connection.dialect.name == "postgresql":
        await connection.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK}
        )
    standing = await connection.run_sync(state)
    if standing == "empty":
        await connection.run_sync(_create_all)
    elif standing != HEAD:
        if before is not None and standing != "foreign":
            await before()
        try:
            await connection.run_sync(run_migrations)
        except SQLAlchemyError as error:
            log.exception("a migration failed")
            raise StorageUnavailable(
                "The database could not be brought to this version, and everything was taken back:"
                " it is as it was. The log names the cause. Until it is solved, start the version"
                " before."
            ) from error
        await connection.run_sync(_require_intact)


def state(connection: Connection) -> str:
    """What a database is: `empty`, `foreign` (somebody else's tables only), or its revision.

    Raises:
        StorageUnavailable: a newer version wrote it, or it is half of something.
    """
    names = set(inspect(connection).get_table_names())
    if not names:
        return "empty"
    ours = names & metadata.tables.keys()
    if any(name.startswith("_alembic_tmp_") for name in names):
        raise _half("an unfinished migration has left its tables")
    stored = []
    if "alembic_version" in names:
        stored = list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())
    if not stored:
        if ours:
            raise _half("it has tables of OmniRoute but does not say of which version")
        return "foreign"
    if len(stored) > 1:
        raise _half("it says that it has several versions")
    revision = str(stored[0])
    if revision not in revisions():
        raise StorageUnavailable(
            "A newer version of OmniRoute wrote this database; start that version, or restore a"
            " backup from before its upgrade."
        )
    if revision == HEAD and metadata.tables.keys() - names:
        missing = ", ".join(sorted(metadata.tables.keys() - names))
        raise _half(f"these tables are missing: {missing}")
    return revision


def _half(problem: str) -> StorageUnavailable:
    return StorageUnavailable(
        f"The database cannot be trusted: {problem}. Nothing was changed. Move it away and start"
        " anew, then restore the latest backup (omniroute db restore) or import the file; omniroute"
        " doctor lists the backups there are."
    )


def revisions() -> frozenset[str]:
    """Every revision this version knows how to go on from."""
    return frozenset(path.name[:4] for path in _VERSIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))


def create_schema(path: Path, revision: str) -> None:
    """Make a SQLite file with the tables a revision has."""
    with sqlite_transaction(path) as connection:
        if revision == HEAD:
            _create_all(connection)
        else:
            run_migrations(connection, revision)


def _create_all(connection: Connection) -> None:
    """Make every table of an empty database."""
    for statement in _schema(connection.dialect.name):
        connection.exec_driver_sql(statement)
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


@cache
def _schema(dialect: str) -> tuple[str, ...]:
    """The statements that make all tables and indexes, written once a process."""
    statements: list[str] = []

    def keep(statement: ExecutableDDLElement, *_: object, **__: object) -> None:
        statements.append(str(statement.compile(dialect=writing.dialect)))

    writing = create_mock_engine(f"{dialect}://", keep)
    metadata.create_all(writing, checkfirst=False)
    return tuple(statements)


def _is_ready(connection: Connection) -> bool:
    if connection.dialect.name == "sqlite":
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        if mode != "wal":  # a new file, or one restored from a copy
            return False
    return state(connection) == HEAD


def _prepare(connection: Connection) -> None:
    """Switch the file to WAL, which lasts, and foreign keys off: a table that a migration copies
    and drops must not take the rows that point to it along. Past SQLAlchemy, whose connection
    would begin a transaction, and inside one neither can change."""
    _execute_outside(connection, "PRAGMA journal_mode = WAL", "PRAGMA foreign_keys = OFF")


def _rules_on(connection: Connection) -> None:
    _execute_outside(connection, "PRAGMA foreign_keys = ON")


def _execute_outside(connection: Connection, *statements: str) -> None:
    if connection.dialect.name == "sqlite":
        cursor = connection.connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()


def _require_intact(connection: Connection) -> None:
    """Foreign keys were off; nothing may have come to point nowhere."""
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise StorageUnavailable(
                f"A row in {broken[0]} points to nothing, so the migration was taken back. Run:"
                " omniroute doctor --repair"
            )


def run_migrations(connection: Connection, to: str = "head") -> None:
    """Run every migration the database has not seen, in the transaction at hand."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_VERSIONS.parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
