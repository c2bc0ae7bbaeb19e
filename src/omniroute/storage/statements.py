"""The statements both databases spell alike but SQLAlchemy keeps in two dialects."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import RowMapping, Select, Table
from sqlalchemy.ext.asyncio import AsyncConnection

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

Insert: TypeAlias = "sqlite.Insert | postgresql.Insert"


def insert_into(connection: AsyncConnection, table: Table) -> Insert:
    """An INSERT that can say what happens on a conflict."""
    # Imported late: the dialect that is not in use would add 20 ms to every start.
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


async def upsert(connection: AsyncConnection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert the row, or overwrite the one with the same primary key."""
    statement = insert_into(connection, table)
    primary = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in row if name not in primary}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=primary, set_=changed), dict(row)
    )


async def rows_of(
    connection: AsyncConnection, statement: Select[Any], at_once: int = 500
) -> AsyncIterator[Sequence[RowMapping]]:
    """The rows of a long answer, some at a time: whoever else is waiting gets a turn between."""
    result = await connection.stream(statement, execution_options={"yield_per": at_once})
    async for part in result.mappings().partitions():
        yield part


async def insert_new(
    connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert the rows whose primary key is not there yet; leave the others as they are."""
    if not rows:
        return
    primary = [column.name for column in table.primary_key]
    statement = insert_into(connection, table).on_conflict_do_nothing(index_elements=primary)
    await connection.execute(statement, [dict(row) for row in rows])
