"""What a transaction wrote, row by row, so that only that has to be read again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Column, Connection, Delete, Insert, Table, Update, event
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList
from sqlalchemy.sql.operators import and_, eq, in_op

RowKey: TypeAlias = tuple[Any, ...]


class Changes:
    """The rows that were written, by table: their primary keys, or None where that is not known.

    It listens to the connection, so that no repository has to think of it. What the database
    itself removes with a row (`ON DELETE CASCADE`) is not seen.
    """

    def __init__(self) -> None:
        self.rows: dict[str, set[RowKey] | None] = {}

    def listen(self, connection: AsyncConnection) -> None:
        """Note what is written through a connection from now on."""
        event.listen(connection.sync_connection, "before_execute", self._see)

    def hush(self, connection: AsyncConnection) -> None:
        """Stop listening: the connection goes back to its pool."""
        event.remove(connection.sync_connection, "before_execute", self._see)

    def of(self, table: Table) -> set[RowKey] | None:
        """The rows of a table that were written; None where any may have been."""
        return self.rows.get(table.name, set())

    def _see(
        self,
        _connection: Connection,
        statement: Any,
        many: Sequence[Mapping[str, Any]],
        one: Mapping[str, Any],
        _options: Mapping[str, Any],
    ) -> None:
        if not isinstance(statement, Insert | Update | Delete):
            return
        table = statement.table
        if not isinstance(table, Table):
            return
        if isinstance(statement, Insert):
            found = _inserted(table, [*many, *([one] if one else [])])
        else:
            found = _matched(table, statement.whereclause)
        known = self.rows.setdefault(table.name, set())
        if found is None or known is None:
            self.rows[table.name] = None
        else:
            known |= found


def _inserted(table: Table, rows: Sequence[Mapping[str, Any]]) -> set[RowKey] | None:
    names = [column.name for column in table.primary_key]
    if not rows or any(name not in row for row in rows for name in names):
        return None
    return {tuple(row[name] for name in names) for row in rows}


def _matched(table: Table, where: Any) -> set[RowKey] | None:
    """The rows a condition names by their whole key."""
    keys: set[RowKey] = {()}
    for column in table.primary_key:
        values = next(_named(column, where), None)
        if values is None:
            return None
        keys = {(*key, value) for key in keys for value in values}
    return keys


def _named(column: Column[Any], where: Any) -> Iterator[set[Any]]:
    """The values a condition allows for a column, where it says so in so many words."""
    if isinstance(where, BooleanClauseList) and where.operator is and_:
        for part in where.clauses:
            yield from _named(column, part)
    elif isinstance(where, BinaryExpression) and where.left is column:
        if not isinstance(where.right, BindParameter):
            return
        if where.operator is eq:
            yield {where.right.value}
        elif where.operator is in_op:
            yield set(where.right.value or ())
