"""The log of MCP tool calls in SQL."""

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.agents import ToolAudit, ToolAuditEntry, ToolAuditStats
from omniroute.storage.tables import mcp_tool_audit as table

_TOP_TOOLS = 10


class AuditRepository:
    """Tool calls, newest first."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: ToolAudit) -> None:
        """Append one call."""
        await self._connection.execute(insert(table), msgspec.structs.asdict(row))

    async def page(
        self,
        limit: int,
        offset: int = 0,
        tool: str | None = None,
        success: bool | None = None,
        api_key_id: str | None = None,
    ) -> tuple[tuple[ToolAuditEntry, ...], int]:
        """A page of the calls that pass every filter given, and how many pass in all."""
        wanted = [
            column == value
            for column, value in (
                (table.c.tool_name, tool),
                (table.c.success, success),
                (table.c.api_key_id, api_key_id),
            )
            if value is not None
        ]
        total = await self._connection.scalar(
            select(func.count()).select_from(table).where(*wanted)
        )
        rows = await self._connection.execute(
            select(table).where(*wanted).order_by(table.c.id.desc()).limit(limit).offset(offset)
        )
        return tuple(ToolAuditEntry(**dict(row)) for row in rows.mappings()), total or 0

    async def stats(self, since: str) -> ToolAuditStats:
        """Sums over the calls since a time, and the last call of any time.

        Args:
            since: UTC `YYYY-MM-DD HH:MM:SS`, inclusive.
        """
        recent = table.c.created_at >= since
        total, successes, duration_ms = (
            await self._connection.execute(
                select(
                    func.count(),
                    func.count().filter(table.c.success),
                    func.avg(table.c.duration_ms),
                ).where(recent)
            )
        ).one()
        calls = func.count()
        top = await self._connection.execute(
            select(table.c.tool_name, calls)
            .where(recent)
            .group_by(table.c.tool_name)
            .order_by(calls.desc(), table.c.tool_name)
            .limit(_TOP_TOOLS)
        )
        last = (
            await self._connection.execute(
                select(table.c.created_at, table.c.tool_name).order_by(table.c.id.desc()).limit(1)
            )
        ).first()
        return ToolAuditStats(
            total_calls=total,
            success_rate=successes / total if total else 0,
            avg_duration_ms=float(duration_ms or 0),
            top_tools=tuple((name, count) for name, count in top),
            last_call_at=last.created_at if last else None,
            last_call_tool=last.tool_name if last else None,
        )
