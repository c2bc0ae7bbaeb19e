"""A SQLite file of this version into the database at hand, inside one transaction.

The database is never exchanged as a file: other processes keep their connections, readers see
the old rows until the commit, and a process that dies half-way has changed nothing.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TypeDecorator,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.errors import Conflict, InvalidRequest
from omniroute.storage.backups.copying import BATCH, Progress
from omniroute.storage.backups.manifest import columns_of, opened
from omniroute.storage.failures import translated
from omniroute.storage.statements import insert_into, upsert
from omniroute.storage.tables import budget_windows, key_value, metadata
from omniroute.storage.tables.columns import AnyText

LIVE = frozenset(
    {
        "audit_log",
        "budget_leases",
        "health_states",
        "rate_windows",
        "key_sessions",
        "lockouts",
        "oauth_states",
        "refresh_leases",
        "session_account_affinity",
        "rotation_states",
        "conversation_pins",
    }
)
"""What running processes know of the present, and what was done, which nobody may undo. A file's
word counts only where there is none."""

_VERSION = ("meta", "configurationVersion")
_PASSWORD = ("access", "passwordHash")


async def load_file(connection: AsyncConnection, source: Path, progress: Progress) -> None:
    """Replace every row with those of a checked file, in the transaction at hand.

    Three things are not taken back: what has been spent in a budget's window, which is the larger
    of both; the configuration version, which grows, so that every process notices; and the
    password, where there is one: a file from before it was set must not let everybody in.

    Raises:
        InvalidRequest: a value or a row in the file breaks a rule of the schema.
        StorageUnavailable: the database cannot be used.
    """
    await _stop_writers(connection)
    version, password = await _version(connection), await _value(connection, _PASSWORD)
    kept = {name for name in LIVE if await _holds_rows(connection, metadata.tables[name])}
    kept.add(budget_windows.name)
    for table in reversed(metadata.sorted_tables):
        if table.name not in kept:
            await connection.execute(delete(table))
    try:
        with (
            translated("A row in the file breaks a rule of the schema."),
            closing(opened(source)) as file,
        ):
            there = columns_of(file)
            for table in metadata.sorted_tables:
                if table.name in there and (table.name not in kept or table is budget_windows):
                    rows = await _load_table(connection, file, table, there[table.name])
                    progress(f"{table.name}: {rows} rows")
    except Conflict as error:
        raise InvalidRequest(str(error)) from error
    await _set_version(connection, version)
    if password is not None:
        await _set_value(connection, _PASSWORD, password)
    if connection.dialect.name == "postgresql":
        await _move_counters(connection)


async def _stop_writers(connection: AsyncConnection) -> None:
    """On SQLite the transaction is the only writer already."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
        await connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


async def _holds_rows(connection: AsyncConnection, table: Table) -> bool:
    return await connection.scalar(select(literal(1)).select_from(table).limit(1)) is not None


async def _load_table(
    connection: AsyncConnection, file: sqlite3.Connection, table: Table, columns: Sequence[str]
) -> int:
    wanted = [column for column in table.c if column.name in columns]
    plain = _plain(table)
    statement = insert(plain) if table is not budget_windows else _spent_at_least(connection)
    listed = ", ".join(f'"{column.name}"' for column in wanted)
    cursor = await asyncio.to_thread(file.execute, f'SELECT {listed} FROM "{table.name}"')  # noqa: S608
    checks = [(column.name, _fits(column)) for column in wanted]
    loaded = 0
    while rows := await asyncio.to_thread(cursor.fetchmany, BATCH):
        batch = await asyncio.to_thread(list, _checked(table.name, checks, rows))
        await connection.execute(statement, batch)
        loaded += len(rows)
    return loaded


def _checked(
    table: str, checks: Sequence[tuple[str, Callable[[Any], bool]]], rows: Sequence[Sequence[Any]]
) -> Iterator[dict[str, Any]]:
    for row in rows:
        for (name, fits), value in zip(checks, row, strict=True):
            if value is not None and not fits(value):
                raise InvalidRequest(f"The file has a value of the wrong kind in {table}.{name}.")
        yield {name: value for (name, _), value in zip(checks, row, strict=True)}


def _fits(column: Column[Any]) -> Callable[[Any], bool]:
    """SQLite lets any column hold any kind of value; ours hold one."""
    kind = column.type
    if isinstance(kind, Boolean):
        return lambda value: value in (0, 1)
    if isinstance(kind, Float):
        return lambda value: isinstance(value, int | float)
    if isinstance(kind, Integer | BigInteger):
        bits = 63 if isinstance(kind, BigInteger) else 31
        return lambda value: isinstance(value, int) and -(1 << bits) <= value < 1 << bits
    if isinstance(kind, LargeBinary):
        return lambda value: isinstance(value, bytes)
    return lambda value: isinstance(value, str)


def _plain(table: Table) -> Table:
    """The table with JSON as the text it is stored as, so that not a byte of it changes."""
    return Table(
        table.name,
        MetaData(),
        *(
            Column(
                column.name, AnyText() if isinstance(column.type, TypeDecorator) else column.type
            )
            for column in table.c
        ),
    )


def _spent_at_least(connection: AsyncConnection) -> Any:
    statement = insert_into(connection, budget_windows)
    old, new = budget_windows.c.spent_micro_usd, statement.excluded.spent_micro_usd
    return statement.on_conflict_do_update(
        index_elements=[column.name for column in budget_windows.primary_key],
        set_={"spent_micro_usd": case((new > old, new), else_=old)},
    )


async def _version(connection: AsyncConnection) -> int:
    stored = await _value(connection, _VERSION)
    return stored if isinstance(stored, int) else 0


async def _set_version(connection: AsyncConnection, at_least: int) -> None:
    newest = max(at_least, await _version(connection)) + 1
    await _set_value(connection, _VERSION, newest)


async def _value(connection: AsyncConnection, place: tuple[str, str]) -> Any:
    namespace, name = place
    return await connection.scalar(
        select(key_value.c.value).where(key_value.c.namespace == namespace, key_value.c.key == name)
    )


async def _set_value(connection: AsyncConnection, place: tuple[str, str], value: Any) -> None:
    namespace, name = place
    row = {"namespace": namespace, "key": name, "value": value}
    await upsert(connection, key_value, row)


async def _move_counters(connection: AsyncConnection) -> None:
    """PostgreSQL numbers rows from a counter that knows nothing of rows with given numbers."""
    for table in metadata.sorted_tables:
        for column in table.primary_key:
            if column.autoincrement is True:
                last = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
                counter = func.pg_get_serial_sequence(table.name, column.name)
                await connection.execute(select(func.setval(counter, last, False)))
