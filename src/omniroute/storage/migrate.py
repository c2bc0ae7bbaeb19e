"""Brings a database to the schema of this version when the gateway starts."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from omniroute.errors import StorageUnavailable
from omniroute.storage import locks
from omniroute.storage.tables import metadata

# The newest file in migrations/versions. Known here so that a new or up-to-date database starts
# without importing Alembic; a test keeps it true.
HEAD = "0014"

# Any number will do as long as all versions of the gateway use the same one.
_POSTGRESQL_LOCK = 0x6F6D6E69


async def upgrade(engine: AsyncEngine, data_dir: Path) -> None:
    """Run the migrations this database has not seen; one process does, the others wait.

    Raises:
        StorageUnavailable: a newer version of the gateway wrote this database.
    """
    async with engine.connect() as connection:
        if await connection.run_sync(_is_ready):
            return
    with ExitStack() as stack:
        if engine.dialect.name == "sqlite":
            lock = locks.held(data_dir / "migrate.lock")
            await asyncio.to_thread(stack.enter_context, lock)
            async with engine.connect() as connection:
                await connection.run_sync(_use_wal)
        async with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                await connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK}
                )
            await connection.run_sync(_bring_up)


def _bring_up(connection: Connection) -> None:
    """A new database is made whole at once; one that has been used is migrated."""
    if inspect(connection).get_table_names():
        run_migrations(connection)
        return
    metadata.create_all(connection)
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _is_ready(connection: Connection) -> bool:
    if connection.dialect.name == "sqlite":
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        if mode != "wal":  # a new file, or one restored from a copy
            return False
    if not inspect(connection).has_table("alembic_version"):
        return False
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [
        HEAD
    ]


def _use_wal(connection: Connection) -> None:
    """Switch the file to WAL: it stays so. Past SQLAlchemy, whose connection would begin a
    transaction, and inside one the mode cannot change."""
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def run_migrations(connection: Connection) -> None:
    """Run every migration the database has not seen, in the transaction at hand.

    Raises:
        StorageUnavailable: a newer version of the gateway wrote this database.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:  # the revision that is stored has no file here
        raise StorageUnavailable(
            "A newer version of OmniRoute wrote this database; start that version, or restore a"
            " backup from before its upgrade."
        ) from error
