"""Combos in SQL: columns for what the reference layout names, JSON for the rest."""

import logging
from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import RowMapping, Select, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.failures import translated
from omniroute.storage.records.configuration import Combo, Step
from omniroute.storage.statements import rows_of, upsert
from omniroute.storage.tables import combos as table
from omniroute.storage.tables import proxy_assignments as proxied

log = logging.getLogger(__name__)

_COLUMNS = [column.name for column in table.c if column.name != "data"]


class _Data(Struct, frozen=True, kw_only=True, rename="camel"):
    """The `data` column, keyed like the combo object of 02-management-api §7.1."""

    strategy: str = "priority"
    models: tuple[Step, ...] = ()
    config: dict[str, Any] = {}
    allowed_providers: tuple[str, ...] = ()
    context_length: int | None = None
    is_active: bool = True
    is_hidden: bool = False


class ComboRepository:
    """Combos in the order their owner gave them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self) -> tuple[Combo, ...]:
        """All combos, by sort order."""
        ordered = select(table).order_by(table.c.sort_order, table.c.name)
        parts = rows_of(self._connection, ordered)
        return tuple([_record(row) async for part in parts for row in part])

    async def some(self, ids: Collection[str]) -> tuple[Combo, ...]:
        """Those combos of these ids that exist, in no order."""
        rows = await self._connection.execute(select(table).where(table.c.id.in_(ids)))
        return tuple(_record(row) for row in rows.mappings())

    async def get(self, id: str) -> Combo | None:  # noqa: A002
        """The combo with this id."""
        return await self._first(select(table).where(table.c.id == id))

    async def get_by_name(self, name: str) -> Combo | None:
        """The combo a model name may stand for. Case matters."""
        return await self._first(select(table).where(table.c.name == name))

    async def save(self, combo: Combo) -> None:
        """Insert the combo, or overwrite the one with its id.

        Raises:
            Conflict: another combo has the name.
        """
        data = _Data(
            strategy=combo.strategy,
            models=combo.steps,
            config=combo.config,
            allowed_providers=combo.allowed_providers,
            context_length=combo.context_length,
            is_active=combo.is_active,
            is_hidden=combo.is_hidden,
        )
        columns = {name: getattr(combo, name) for name in _COLUMNS}
        with translated(f"A combo named {combo.name!r} exists already."):
            await upsert(self._connection, table, {**columns, "data": data})

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Remove the combo; False when there was none."""
        await self._connection.execute(
            delete(proxied).where(proxied.c.scope == "combo", proxied.c.scope_id == id)
        )
        removed = await self._connection.execute(delete(table).where(table.c.id == id))
        return removed.rowcount > 0

    async def _first(self, statement: Select[Any]) -> Combo | None:
        row = (await self._connection.execute(statement)).mappings().first()
        return None if row is None else _record(row)


def _record(row: RowMapping) -> Combo:
    columns = dict(row)
    try:
        data = msgspec.convert(columns.pop("data") or {}, _Data)
    except msgspec.ValidationError:
        log.warning("combo %s holds data this version cannot read; it has no steps", row["id"])
        data = _Data()
    values = msgspec.structs.asdict(data)
    return Combo(steps=values.pop("models"), **values, **columns)
