"""Rows for every table there is, made up from its columns, and what a database holds of them."""

import random
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.tables import key_value, metadata
from omniroute.storage.tables.columns import JsonText

_PER_TABLE = 7
_COUNTERS = {"namespace": "meta", "key": "configurationVersion"}


async def fill(connection: AsyncConnection, seed: int) -> None:
    """Put rows into every table; the same rows for the same seed."""
    draw = random.Random(seed)
    keys: dict[str, list[Any]] = {}
    for table in metadata.sorted_tables:
        rows = [
            {column.name: _value(column, place, draw, keys) for column in table.c}
            for place in range(1, _PER_TABLE + 1)
        ]
        if "id" in table.c:
            keys[f"{table.name}.id"] = [row["id"] for row in rows]
        await connection.execute(insert(table), rows)


def _value(column: Column[Any], place: int, draw: random.Random, keys: dict[str, list[Any]]) -> Any:
    for foreign in column.foreign_keys:
        there = keys[foreign.target_fullname]
        return there[place - 1] if column.unique else draw.choice(there)
    if column.nullable and draw.random() < 0.3:
        return None
    if isinstance(column.type, JsonText):
        return draw.choice([{"ü": [1, 2.5, None]}, [], {}, "text\n", 7, False])
    if isinstance(column.type, Boolean):
        return draw.random() < 0.5
    if isinstance(column.type, Float):
        return draw.random()
    if isinstance(column.type, Integer | BigInteger):
        return place if column.primary_key else draw.randrange(1 << 31)
    if isinstance(column.type, LargeBinary):
        return draw.randbytes(100)
    return f"{column.name}-{place}-äöü-\N{GRINNING FACE}"


async def held(connection: AsyncConnection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, in an order of their own; without the configuration's counter."""
    found = {}
    for table in metadata.sorted_tables:
        query = select(table)
        if table is key_value:
            query = query.where(table.c.key != _COUNTERS["key"])
        rows = (await connection.execute(query)).all()
        found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found
