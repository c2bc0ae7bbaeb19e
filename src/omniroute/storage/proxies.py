"""Outbound proxies in SQL. Credentials are sealed on the way in and opened on the way out."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import RowMapping, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.proxies import (
    LayeredProxy,
    Proxy,
    ProxyAssignment,
    ProxyCounts,
    ProxyLogRow,
    Scope,
)
from omniroute.storage.sealing import Sealer
from omniroute.storage.statements import insert_into, insert_new, upsert
from omniroute.storage.tables import key_value, proxy_assignments, proxy_logs, proxy_registry

SECRETS = ("username", "password")
LAYERS = "proxyConfig"


class ProxyRepository:
    """The registry, newest change first, and what its proxies are assigned to."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def list(self) -> tuple[Proxy, ...]:
        """All proxies."""
        ordered = select(proxy_registry).order_by(
            proxy_registry.c.updated_at.desc(), proxy_registry.c.id
        )
        rows = await self._connection.execute(ordered)
        return tuple(self._record(row) for row in rows.mappings())

    async def get(self, id: str) -> Proxy | None:  # noqa: A002
        """The proxy with this id."""
        wanted = select(proxy_registry).where(proxy_registry.c.id == id)
        row = (await self._connection.execute(wanted)).mappings().first()
        return None if row is None else self._record(row)

    async def at(self, host: str, port: int) -> Proxy | None:
        """The proxy at an address; the one that changed last of several."""
        wanted = (
            select(proxy_registry)
            .where(proxy_registry.c.host == host, proxy_registry.c.port == port)
            .order_by(proxy_registry.c.updated_at.desc())
        )
        row = (await self._connection.execute(wanted.limit(1))).mappings().first()
        return None if row is None else self._record(row)

    async def save(self, proxy: Proxy) -> None:
        """Insert the proxy, or overwrite the one with its id.

        A credential that could not be decrypted reads as empty; saving that record drops it.
        """
        row, box = msgspec.structs.asdict(proxy), await self._sealer.steady()
        for column in SECRETS:
            secret = row[column]
            row[column] = box.seal(secret, place(proxy.id, column)) if secret else None
        await upsert(self._connection, proxy_registry, row)

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Remove the proxy and everything it is assigned to; False when there was none."""
        await self._connection.execute(
            delete(proxy_assignments).where(proxy_assignments.c.proxy_id == id)
        )
        removed = await self._connection.execute(
            delete(proxy_registry).where(proxy_registry.c.id == id)
        )
        return removed.rowcount > 0

    async def assignments(self) -> tuple[ProxyAssignment, ...]:
        """All assignments, by scope, then by what they are for."""
        table = proxy_assignments
        rows = await self._connection.execute(
            select(table).order_by(table.c.scope, table.c.scope_id)
        )
        return tuple(ProxyAssignment(**row) for row in rows.mappings())

    async def assign(self, assignment: ProxyAssignment) -> ProxyAssignment:
        """Give a scope its proxy, in place of the one it had; as it is stored then."""
        statement = insert_into(self._connection, proxy_assignments)
        given = statement.on_conflict_do_update(
            index_elements=["scope", "scope_id"],
            set_={name: statement.excluded[name] for name in ("proxy_id", "updated_at")},
        ).returning(*proxy_assignments.c)
        rows = await self._connection.execute(given, msgspec.structs.asdict(assignment))
        return ProxyAssignment(**rows.mappings().one())

    async def unassign(self, scope: Scope, scope_id: str) -> bool:
        """Take a scope's proxy away; False when it had none."""
        table = proxy_assignments
        removed = await self._connection.execute(
            delete(table).where(table.c.scope == scope, table.c.scope_id == scope_id)
        )
        return removed.rowcount > 0

    def _record(self, row: RowMapping) -> Proxy:
        values = dict(row)
        for column in SECRETS:
            sealed = values[column]
            opened = self._sealer.open(sealed, place(values["id"], column)) if sealed else None
            values[column] = opened or ""
        return Proxy(**values)


class LayeredProxyRepository:
    """The layered configuration, in the key-value table: `level` or `level:id` to a proxy."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def all(self) -> dict[tuple[str, str], LayeredProxy]:
        """Every layer by level and id; the id of `global` is empty."""
        table = key_value
        rows = await self._connection.execute(
            select(table.c.key, table.c.value).where(table.c.namespace == LAYERS)
        )
        found = {}
        for key, value in rows:
            if isinstance(value, dict):
                level, _, id_ = key.partition(":")
                found[level, id_] = self._opened(key, value)
        return found

    async def set(self, level: str, id_: str, proxy: LayeredProxy | None) -> None:
        """Give a layer its proxy; None takes it away."""
        key = f"{level}:{id_}" if id_ else level
        if proxy is None:
            table = key_value
            await self._connection.execute(
                delete(table).where(table.c.namespace == LAYERS, table.c.key == key)
            )
            return
        value, box = msgspec.structs.asdict(proxy), await self._sealer.steady()
        for name in SECRETS:
            value[name] = box.seal(value[name], layer_place(key, name))
        row = {"namespace": LAYERS, "key": key, "value": value}
        await upsert(self._connection, key_value, row)

    def _opened(self, key: str, value: dict[str, Any]) -> LayeredProxy:
        secrets = {
            name: self._sealer.open(str(value.get(name)), layer_place(key, name)) or ""
            for name in SECRETS
        }
        return LayeredProxy(**{**value, **secrets})


class ProxyLogRepository:
    """What came of requests through proxies."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[ProxyLogRow]) -> None:
        """Append rows."""
        await insert_new(
            self._connection, proxy_logs, [msgspec.structs.asdict(row) for row in rows]
        )

    async def newest(self, limit: int) -> tuple[ProxyLogRow, ...]:
        """The latest rows, newest first."""
        table = proxy_logs
        rows = await self._connection.execute(
            select(table).order_by(table.c.timestamp_ms.desc(), table.c.id).limit(limit)
        )
        return tuple(ProxyLogRow(**row) for row in rows.mappings())

    async def counts(self, since_ms: int) -> dict[str, ProxyCounts]:
        """What came of each registered proxy's requests since a time, by its id."""
        table = proxy_logs

        def of(status: str) -> Any:
            return func.count().filter(table.c.status == status)

        rows = await self._connection.execute(
            select(
                table.c.proxy_id,
                func.count(),
                of("success"),
                of("error"),
                of("timeout"),
                func.avg(table.c.latency_ms),
                func.max(table.c.timestamp_ms),
            )
            .where(table.c.timestamp_ms >= since_ms, table.c.proxy_id.is_not(None))
            .group_by(table.c.proxy_id)
        )
        return {
            proxy_id: ProxyCounts(
                requests=requests,
                successes=successes,
                errors=errors,
                timeouts=timeouts,
                avg_latency_ms=None if average is None else float(average),
                last_seen_ms=last,
            )
            for proxy_id, requests, successes, errors, timeouts, average, last in rows
        }


def place(id_: str, column: str) -> str:
    """What a credential of a proxy is bound to."""
    return f"{proxy_registry.name}:{id_}:{column}"


def layer_place(key: str, name: str) -> str:
    """What a credential of a layer's proxy is bound to."""
    return f"{key_value.name}:{LAYERS}/{key}:{name}"
