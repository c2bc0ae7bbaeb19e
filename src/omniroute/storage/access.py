"""The password, the address filter and lockouts in SQL."""

import msgspec
from sqlalchemy import RowMapping, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.access import AccessRules, IpFilter, Lockout
from omniroute.storage.settings import SettingsRepository
from omniroute.storage.statements import insert_into, upsert
from omniroute.storage.tables import lockouts as table

_NAMESPACE = "access"


class AccessRepository:
    """Rules of access; they are no settings, so nothing that lists settings shows them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._values = SettingsRepository(connection)

    async def rules(self) -> AccessRules:
        """What holds."""
        stored = await self._values.namespace(_NAMESPACE)
        return AccessRules(
            password_hash=stored.get("passwordHash"),
            ip_filter=msgspec.convert(stored.get("ipFilter", {}), IpFilter),
        )

    async def set_password_hash(self, value: str) -> None:
        """Have another password count."""
        await self._values.set("passwordHash", value, namespace=_NAMESPACE)

    async def set_ip_filter(self, value: IpFilter) -> None:
        """Replace the address filter."""
        await self._values.set("ipFilter", msgspec.to_builtins(value), namespace=_NAMESPACE)


class LockoutRepository:
    """Failed attempts by whoever made them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, identifier: str) -> Lockout:
        """What is known of somebody; nobody else changes it until the transaction ends."""
        empty = {"identifier": identifier, "attempts": [], "locked_until_ms": 0}
        await self._connection.execute(
            insert_into(self._connection, table).values(empty).on_conflict_do_nothing()
        )
        wanted = select(table).where(table.c.identifier == identifier).with_for_update()
        row = (await self._connection.execute(wanted)).mappings().one()
        return _record(row)

    async def save(self, lockout: Lockout) -> None:
        """Overwrite what is known of somebody."""
        row = msgspec.structs.asdict(lockout)
        await upsert(self._connection, table, {**row, "attempts": list(lockout.attempts)})

    async def drop(self, identifier: str | None) -> int:
        """Forget somebody, or everybody; how many were known."""
        statement = delete(table)
        if identifier is not None:
            statement = statement.where(table.c.identifier == identifier)
        return (await self._connection.execute(statement)).rowcount

    async def locked(self, now_ms: int) -> tuple[Lockout, ...]:
        """Who is locked out, those that must wait longest first."""
        wanted = (
            select(table)
            .where(table.c.locked_until_ms > now_ms)
            .order_by(table.c.locked_until_ms.desc(), table.c.identifier)
        )
        rows = await self._connection.execute(wanted)
        return tuple(_record(row) for row in rows.mappings())


def _record(row: RowMapping) -> Lockout:
    return Lockout(
        identifier=row["identifier"],
        attempts=tuple(row["attempts"] or ()),
        locked_until_ms=row["locked_until_ms"],
    )
