"""Custom upstreams in SQL."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.failures import translated
from omniroute.storage.records.configuration import ProviderNode
from omniroute.storage.sealing import Sealer
from omniroute.storage.statements import rows_of, upsert
from omniroute.storage.tables import provider_nodes as table
from omniroute.storage.tables import proxy_assignments as proxied


class NodeRepository:
    """Provider nodes, ordered by name."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def list(self) -> tuple[ProviderNode, ...]:
        """All nodes."""
        parts = rows_of(self._connection, select(table).order_by(table.c.name, table.c.id))
        return tuple([self._record(dict(row)) async for part in parts for row in part])

    async def some(self, ids: Collection[str]) -> tuple[ProviderNode, ...]:
        """Those nodes of these ids that exist, in no order."""
        rows = await self._connection.execute(select(table).where(table.c.id.in_(ids)))
        return tuple(self._record(dict(row)) for row in rows.mappings())

    async def get(self, id: str) -> ProviderNode | None:  # noqa: A002
        """The node with this id."""
        rows = await self._connection.execute(select(table).where(table.c.id == id))
        row = rows.mappings().first()
        return None if row is None else self._record(dict(row))

    async def save(self, node: ProviderNode) -> None:
        """Insert the node, or overwrite the one with its id.

        Raises:
            Conflict: another node has the prefix.
        """
        with translated(f"Another provider node has the prefix {node.prefix!r}."):
            await upsert(self._connection, table, await self._row(node))

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Remove the node, not its accounts; False when there was none."""
        await self._connection.execute(
            delete(proxied).where(proxied.c.scope == "provider", proxied.c.scope_id == id)
        )
        removed = await self._connection.execute(delete(table).where(table.c.id == id))
        return removed.rowcount > 0

    async def _row(self, node: ProviderNode) -> dict[str, Any]:
        """Headers may hold credentials, whatever they are called."""
        box = await self._sealer.steady()
        headers = {
            name: box.seal(value, place(node.id, name)) for name, value in node.headers.items()
        }
        return {**msgspec.structs.asdict(node), "headers": headers}

    def _record(self, row: dict[str, Any]) -> ProviderNode:
        opened = {
            name: self._sealer.open(value, place(row["id"], name))
            for name, value in (row["headers"] or {}).items()
        }
        headers = {name: value for name, value in opened.items() if value is not None}
        return ProviderNode(**{**row, "headers": headers})


def place(id_: str, name: str) -> str:
    """What the value of a header is bound to."""
    return f"{table.name}:{id_}:headers.{name}"
