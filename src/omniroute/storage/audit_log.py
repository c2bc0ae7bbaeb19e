"""The audit log in SQL."""

import msgspec
from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.audit import AuditEntry, AuditFilter, AuditRow, without_secrets
from omniroute.storage.tables import audit_log as table

_TEXTS = ("action", "actor", "target", "resource_type", "status", "request_id")


class AuditLogRepository:
    """Entries, newest first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, entry: AuditEntry) -> None:
        """Append an entry; whatever is named like a credential is hidden."""
        row = msgspec.structs.asdict(entry)
        row["details"] = without_secrets(row["details"])
        await self._connection.execute(insert(table), row)

    async def page(
        self, wanted: AuditFilter, limit: int, offset: int
    ) -> tuple[list[AuditRow], int]:
        """A page of the entries that pass the filter, and how many pass in all."""
        where = _where(wanted)
        total = await self._connection.scalar(select(func.count()).select_from(table).where(*where))
        page = select(table).where(*where).order_by(table.c.id.desc()).limit(limit).offset(offset)
        rows = await self._connection.execute(page)
        return [AuditRow(**dict(row)) for row in rows.mappings()], total or 0


def _where(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        table.c[name].icontains(text, autoescape=True)
        for name in _TEXTS
        if (text := getattr(wanted, name))
    ]
    if wanted.since_ms is not None:
        found.append(table.c.timestamp_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        found.append(table.c.timestamp_ms <= wanted.until_ms)
    return found
