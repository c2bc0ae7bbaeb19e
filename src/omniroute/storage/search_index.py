"""The full-text index over memories, which each database has its own kind of.

Everything of it is named `memory_fts…`. It indexes `terms`, words the gateway has cut itself, so
that both databases find the same. Rows of the table bring it along: nobody writes to it.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import DDL, Column, ColumnElement, Table, cast, column, event, literal, select
from sqlalchemy import table as named
from sqlalchemy.sql.expression import literal_column

from omniroute.storage.words import fts5_query, tsquery

PREFIX = "memory_fts"

# `ascii` takes every letter beyond ASCII for part of a word, and folds nothing that is not folded.
STATEMENTS: Mapping[str, tuple[str, ...]] = {
    "sqlite": (
        """CREATE VIRTUAL TABLE memory_fts USING fts5(
            terms, content='memories', content_rowid='memory_id',
            tokenize="ascii tokenchars '_'"
        )""",
        """CREATE TRIGGER memory_fts_insert AFTER INSERT ON memories BEGIN
            INSERT INTO memory_fts(rowid, terms) VALUES (new.memory_id, new.terms);
        END""",
        """CREATE TRIGGER memory_fts_delete AFTER DELETE ON memories BEGIN
            INSERT INTO memory_fts(memory_fts, rowid, terms)
            VALUES ('delete', old.memory_id, old.terms);
        END""",
        """CREATE TRIGGER memory_fts_update AFTER UPDATE OF terms ON memories BEGIN
            INSERT INTO memory_fts(memory_fts, rowid, terms)
            VALUES ('delete', old.memory_id, old.terms);
            INSERT INTO memory_fts(rowid, terms) VALUES (new.memory_id, new.terms);
        END""",
    ),
    "postgresql": (
        """CREATE INDEX memory_fts ON memories
        USING gin (array_to_tsvector(string_to_array(terms, ' ')))""",
    ),
}


def comes_with(table: Table) -> None:
    """Have the index made wherever the table is."""
    for dialect, statements in STATEMENTS.items():
        for statement in statements:
            made = DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", made.execute_if(dialect=dialect))


def contains(row: Column[int], asked: tuple[str, ...], dialect: str) -> ColumnElement[bool]:
    """Whether a row of the table, which `row` numbers, has any of the words."""
    if dialect == "sqlite":
        index = named(PREFIX, column("rowid"), column(PREFIX))
        return row.in_(select(index.c.rowid).where(index.c[PREFIX].op("MATCH")(fts5_query(asked))))
    # Imported late: see `statements`.
    from sqlalchemy.dialects.postgresql import TSQUERY

    indexed: ColumnElement[Any] = literal_column(
        "array_to_tsvector(string_to_array(memories.terms, ' '))"
    )
    return indexed.bool_op("@@")(cast(literal(tsquery(asked)), TSQUERY))
