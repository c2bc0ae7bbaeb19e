"""Every place that holds sealed values, and how they are found, counted and sealed anew."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from sqlalchemy import Column, ColumnElement, Text, TypeDecorator, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage import connections, keys, model_names, nodes, oauth, proxies, push
from omniroute.storage.sealing import Sealer
from omniroute.storage.secret_box import NO_SECRETS, SEALED, SecretBox
from omniroute.storage.statements import rows_of
from omniroute.storage.tables import (
    a2a_push_configs,
    api_keys,
    key_value,
    metadata,
    oauth_states,
    provider_connections,
    provider_nodes,
    proxy_registry,
)
from omniroute.storage.tables.columns import JsonText

Turn: TypeAlias = Callable[[str, str], str]
"""Makes another text of a sealed value and what it is bound to."""

Rewrite: TypeAlias = Callable[[str, Any, Turn], Any]
"""Turns every sealed value in a column; called with the id of the row and the whole value."""

_MARK = "enc:v2:"
BATCH = 100
"""Rows that are sealed anew in one transaction; others write in between."""


class Place(Struct, frozen=True, kw_only=True):
    """A column with sealed values. `key` is what its rows are found by, within a `namespace`
    where the table has several."""

    key: Column[Any]
    column: Column[Any]
    rewrite: Rewrite
    namespace: str | None = None

    @property
    def plain(self) -> ColumnElement[str]:
        """The stored text, also of JSON."""
        return type_coerce(self.column, Text)

    @property
    def rows(self) -> list[ColumnElement[bool]]:
        """What holds of the rows that are meant."""
        return [] if self.namespace is None else [key_value.c.namespace == self.namespace]


class Stored(Struct, frozen=True):
    """A column of a row: the id of the row, and the text that is stored."""

    key: str
    text: str

    def ids(self) -> set[str]:
        """The ids of the keys its values are sealed under."""
        return set(SEALED.findall(self.text))


def _column(place: Callable[[str], str], id_: str, value: str, turn: Turn) -> str:
    return turn(value, place(id_))


def _options(id_: str, value: Mapping[str, Any], turn: Turn) -> dict[str, Any]:
    return {
        name: turn(one, connections.place(id_, f"options.{name}"))
        if name in connections.SECRET_OPTIONS
        else one
        for name, one in value.items()
    }


def _headers(id_: str, value: Mapping[str, str], turn: Turn) -> dict[str, str]:
    return {name: turn(one, nodes.place(id_, name)) for name, one in value.items()}


def _layer(key: str, value: Mapping[str, Any], turn: Turn) -> dict[str, Any]:
    return {
        name: turn(one, proxies.layer_place(key, name)) if name in proxies.SECRETS else one
        for name, one in value.items()
    }


def _compat(key: str, value: dict[str, Any], turn: Turn) -> dict[str, Any]:
    def turned(within: str, one: str) -> str:
        return turn(one, model_names.place(key, within))

    return model_names.with_headers(value, turned)


def _account(name: str) -> Place:
    table = provider_connections
    return Place(
        key=table.c.id,
        column=table.c[name],
        rewrite=partial(_column, lambda id_: connections.place(id_, name)),
    )


def _proxy(name: str) -> Place:
    table = proxy_registry
    return Place(
        key=table.c.id,
        column=table.c[name],
        rewrite=partial(_column, lambda id_: proxies.place(id_, name)),
    )


def _key_value(namespace: str, rewrite: Rewrite) -> Place:
    return Place(
        key=key_value.c.key, column=key_value.c.value, rewrite=rewrite, namespace=namespace
    )


PLACES: tuple[Place, ...] = (
    *(_account(name) for name in connections.SECRET_COLUMNS),
    Place(
        key=provider_connections.c.id,
        column=provider_connections.c.provider_specific_data,
        rewrite=_options,
    ),
    Place(key=provider_nodes.c.id, column=provider_nodes.c.headers, rewrite=_headers),
    *(_proxy(name) for name in proxies.SECRETS),
    _key_value(proxies.LAYERS, _layer),
    _key_value(model_names.COMPAT, _compat),
    Place(key=api_keys.c.id, column=api_keys.c.sealed_key, rewrite=partial(_column, keys.place)),
    Place(
        key=oauth_states.c.state,
        column=oauth_states.c.verifier,
        rewrite=partial(_column, oauth.place),
    ),
    Place(
        key=a2a_push_configs.c.id,
        column=a2a_push_configs.c.config,
        rewrite=partial(_column, push.place),
    ),
)
"""Whoever seals something new adds where it lies; a test finds what is missing."""


class SealedRepository:
    """All sealed values of the database."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def count(self) -> dict[str, int]:
        """How many values each key seals, by the id of the key; in all tables, known or not."""
        found: Counter[str] = Counter()
        for table in metadata.sorted_tables:
            if table.name in NO_SECRETS:
                continue
            for column in table.c:
                if isinstance(column.type, TypeDecorator):
                    plain = type_coerce(column, Text)
                    query = select(plain.label("text")).where(plain.contains(_MARK))
                    async for part in rows_of(self._connection, query):
                        for row in part:
                            found.update(SEALED.findall(row["text"]))
        return dict(found)

    async def unreadable(self) -> list[str]:
        """What does not open, by what it is bound to: `table:id:column`."""
        found: list[str] = []

        def look(stored: str, where: str) -> str:
            if self._sealer.open(stored, where) is None:
                found.append(where)
            return stored

        for place in PLACES:
            async for part in self._all(place):
                for stored in part:
                    _turned(place, stored, look)
        return found

    async def batch(self, place: Place, after: str | None) -> list[Stored]:
        """The next rows of a place by their ids; empty at its end."""
        wanted = self._wanted(place).order_by(place.key).limit(BATCH)
        if after is not None:
            wanted = wanted.where(place.key > after)
        rows = await self._connection.execute(wanted)
        return [Stored(key, text) for key, text in rows]

    async def reseal(self, place: Place, rows: Sequence[Stored]) -> int:
        """Seal the values of rows under the current key; how many rows were rewritten.

        A row that somebody else has changed since it was read stays as they left it. A value
        that does not open stays as it is.
        """
        box, done = await self._sealer.steady(), 0
        for stored in rows:
            text = _turned(place, stored, partial(_resealed, box))
            if text is None or text == stored.text:
                continue
            changed = await self._connection.execute(
                update(place.column.table)
                .where(place.key == stored.key, place.plain == stored.text, *place.rows)
                .values({place.column.name: type_coerce(text, Text)})
            )
            done += changed.rowcount
        return done

    async def alone(self) -> None:
        """Wait for all who have sealed something and not yet committed, and hold others off
        until this transaction ends."""
        await self._sealer.alone()

    async def _all(self, place: Place) -> AsyncGenerator[list[Stored]]:
        async for part in rows_of(self._connection, self._wanted(place)):
            yield [Stored(*row.values()) for row in part]

    def _wanted(self, place: Place) -> Any:
        return select(place.key, place.plain).where(place.plain.contains(_MARK), *place.rows)


def _turned(place: Place, stored: Stored, turn: Turn) -> str | None:
    """The text of a row with its values turned; None where it is damaged."""
    if not isinstance(place.column.type, JsonText):
        return str(place.rewrite(stored.key, stored.text, turn))
    try:
        value = msgspec.json.decode(stored.text)
        return msgspec.json.encode(place.rewrite(stored.key, value, turn)).decode()
    except (msgspec.DecodeError, AttributeError, TypeError):
        return None


def _resealed(box: SecretBox, stored: str, where: str) -> str:
    found = SEALED.match(stored)
    if found is None or found[1] == box.key_id:
        return stored
    text = box.open(stored, where)
    return stored if text is None else box.seal(text, where)
