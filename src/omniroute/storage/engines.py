"""SQLAlchemy engines for the two databases, from the URL an operator writes."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from omniroute.errors import InvalidRequest, StorageUnavailable
from omniroute.storage.sqlite_connections import Connections

# How long a statement waits for another process that holds SQLite's write lock.
_SQLITE_BUSY_MS = 10_000
_CONNECT_TIMEOUT_S = 10
_POOL_TIMEOUT_S = 10


def create_engines(url: str) -> tuple[AsyncEngine, AsyncEngine]:
    """The engines for writing and for reading; one and the same on PostgreSQL.

    Creates the file and its directories for SQLite, and connects to nothing yet.

    Raises:
        InvalidRequest: the URL names no database this gateway can use.
        StorageUnavailable: the SQLite file cannot be created.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _unusable("The database URL cannot be read.") from error
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        path = _create_file(parsed)
        return _sqlite(path, "BEGIN IMMEDIATE"), _sqlite(path, "BEGIN", "query_only = ON")
    if backend in ("postgres", "postgresql"):
        engine = _postgresql(parsed)
        return engine, engine
    raise _unusable(f"The database URL names {backend!r}.")


def _unusable(problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"{problem} Use sqlite:///<path of a file> or postgresql://<user>@<host>/<database>."
    )


def _create_file(url: URL) -> Path:
    if url.database in (None, "", ":memory:"):
        raise _unusable("The SQLite URL names no file.")
    path = Path(str(url.database))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its side files the mode of the main file, so this makes all of them private.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StorageUnavailable(
            "The database file cannot be created or opened; check its directory's permissions."
        ) from error
    return path


def _sqlite(path: Path, begin: str, *pragmas: str) -> AsyncEngine:
    connections = Connections()
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        pool_timeout=_POOL_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"async_creator_fn": connections.connect},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: DBAPIConnection, _record: object) -> None:
        # Python's driver would begin transactions late and by itself; we say when and which.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {_SQLITE_BUSY_MS}",
            "foreign_keys = ON",
            "synchronous = NORMAL",
            *pragmas,
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    @event.listens_for(engine.sync_engine, "engine_disposed")
    def end(_engine: object) -> None:
        connections.join()

    return engine


@contextmanager
def sqlite_transaction(path: Path) -> Generator[Connection]:
    """A transaction for changing the schema of a file that nobody else uses; foreign keys rest."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)), poolclass=NullPool, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        yield connection


def _postgresql(url: URL) -> AsyncEngine:
    try:
        import asyncpg
    except ImportError as error:
        raise InvalidRequest(
            "PostgreSQL needs one more package: pip install 'omniroute[postgres]'."
        ) from error
    # asyncpg reads the URL itself: it knows sslmode and the rest of what people paste there.
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def connect() -> Any:
        try:
            return await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StorageUnavailable(
                "PostgreSQL cannot be reached or refuses the login; check the database URL and"
                " that the server is running."
            ) from error

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_pre_ping=True,  # a restarted server costs a reconnect, not a failed request
        pool_timeout=_POOL_TIMEOUT_S,
        hide_parameters=True,  # error texts reach logs
    )
