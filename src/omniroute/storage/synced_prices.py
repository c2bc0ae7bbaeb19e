"""Prices from public lists, in the key-value table: a value a provider, and how each list stands.

Kept apart from what operators state, so that neither can take the other away.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.catalog.overrides import Stated, StatedPrice, layered
from omniroute.catalog.price_documents import SOURCES, SourceId
from omniroute.storage.records.configuration import SyncedPrices, SyncState
from omniroute.storage.statements import insert_new, upsert
from omniroute.storage.tables import key_value as table

_STATES = "pricing_sync"


class SyncedPriceRepository:
    """The synced layers of prices."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def read(self, known: SyncedPrices) -> SyncedPrices:
        """What the lists say; `known` itself where nothing has changed since it was read."""
        states = await self.states()
        stamps = {name: state.stamp for name, state in states.items() if state.stamp is not None}
        if stamps == known.stamps:
            return known
        layers = {name: await self._layer(name) for name in SOURCES if name in stamps}
        return SyncedPrices(layers=layers, merged=layered(layers.values()), stamps=stamps)

    async def states(self) -> dict[SourceId, SyncState]:
        """How each list stands that was ever asked for."""
        rows = await self._connection.execute(
            select(table.c.key, table.c.value).where(table.c.namespace == _STATES)
        )
        found = {row.key: row.value for row in rows}
        return {name: _state(found[name]) for name in SOURCES if name in found}

    async def note(self, source: SourceId, state: SyncState) -> None:
        """How a list stands now."""
        value = msgspec.to_builtins(state)
        row = {"namespace": _STATES, "key": source, "value": value}
        await upsert(self._connection, table, row)

    async def claim(self, source: SourceId, now_ms: int, until_ms: int) -> bool:
        """Take a list's turn, unless it is not due yet or somebody else has it until then."""
        mine = (table.c.namespace == _STATES) & (table.c.key == source)
        fresh = {"namespace": _STATES, "key": source, "value": msgspec.to_builtins(SyncState())}
        await insert_new(self._connection, table, [fresh])
        rows = await self._connection.execute(select(table.c.value).where(mine).with_for_update())
        state = _state(rows.scalar_one())
        if state.next_ms > now_ms:
            return False
        await self.note(source, msgspec.structs.replace(state, next_ms=until_ms))
        return True

    async def replace(self, source: SourceId, prices: Stated, state: SyncState) -> None:
        """Everything a list says from now on."""
        await self._drop(source)
        for provider, models in prices.items():
            value = {name: msgspec.to_builtins(price) for name, price in models.items()}
            row = {"namespace": _layer_of(source), "key": provider, "value": value}
            await upsert(self._connection, table, row)
        await self.note(source, state)

    async def clear(self) -> None:
        """Forget what lists have said; when they are due is known on."""
        for source, state in (await self.states()).items():
            await self._drop(source)
            await self.note(source, SyncState(next_ms=state.next_ms))

    async def _layer(self, source: SourceId) -> Stated:
        rows = await self._connection.execute(
            select(table.c.key, table.c.value).where(table.c.namespace == _layer_of(source))
        )
        found: dict[str, Mapping[str, StatedPrice]] = {}
        for row in rows:
            try:
                found[row.key] = msgspec.convert(row.value, dict[str, StatedPrice])
            except msgspec.ValidationError:
                continue  # a damaged value is as if the list did not know the provider
        return found

    async def _drop(self, source: SourceId) -> None:
        await self._connection.execute(delete(table).where(table.c.namespace == _layer_of(source)))


def _layer_of(source: SourceId) -> str:
    return f"pricing.{source}"


def _state(value: Any) -> SyncState:
    try:
        return msgspec.convert(value, SyncState)
    except msgspec.ValidationError:
        return SyncState()
