"""What does not stay for ever: one row for each kind of record, by age and by number."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Table, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.clock import iso
from omniroute.storage.statements import upsert
from omniroute.storage.tables import (
    a2a_tasks,
    audit_log,
    budget_windows,
    call_logs,
    call_payloads,
    compression_analytics,
    context_handoffs,
    key_value,
    mcp_tasks,
    mcp_tool_audit,
    memories,
    proxy_logs,
    quota_snapshots,
    response_cache,
    routing_decisions,
    run_steps,
    skill_executions,
    stored_responses,
    usage_history,
)

DAY_MS = 86_400_000
HOUR_MS = 3_600_000

_META = "meta"
_USAGE_SINCE = "usageHistorySinceMs"


class Keep(Struct, frozen=True):
    """How many days rows stay, and how many rows: 0 is any number of either."""

    days: int
    rows: int = 0


class Rule(Struct, frozen=True, kw_only=True):
    """One kind of record.

    `at` is the column that says how old a row is: epoch ms, or UTC text where `as_text` is set.
    `only` narrows the rows that may go. `by_the_hour` keeps hours whole, for the sake of sums.
    """

    name: str
    table: Table
    at: str
    keep: Keep
    told: str
    as_text: bool = False
    only: ColumnElement[bool] | None = None
    by_the_hour: bool = False


RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            name="callLogs",
            table=call_logs,
            at="timestamp_ms",
            keep=Keep(90, 100_000),
            told="The call log.",
        ),
        Rule(
            name="callPayloads",
            table=call_payloads,
            at="timestamp_ms",
            keep=Keep(7, 10_000),
            told="What requests and answers said, where that is kept.",
        ),
        Rule(
            name="routingDecisions",
            table=routing_decisions,
            at="timestamp",
            keep=Keep(90, 100_000),
            told="Why requests went where they went.",
        ),
        Rule(
            name="usageHistory",
            table=usage_history,
            at="timestamp",
            keep=Keep(365, 1_000_000),
            told="Usage by attempt; its sums by the hour stay.",
            by_the_hour=True,
        ),
        Rule(
            name="mcpAudit",
            table=mcp_tool_audit,
            at="created_at",
            keep=Keep(30, 100_000),
            told="Calls of MCP tools.",
            as_text=True,
        ),
        Rule(
            name="auditLog",
            table=audit_log,
            at="timestamp_ms",
            keep=Keep(90, 100_000),
            told="What was done to the gateway.",
        ),
        Rule(
            name="a2aEvents",
            table=a2a_tasks,
            at="updated_at_ms",
            keep=Keep(30, 10_000),
            told="A2A tasks that have ended, with their events.",
            only=a2a_tasks.c.finished,
        ),
        Rule(
            name="quotaSnapshots",
            table=quota_snapshots,
            at="created_at_ms",
            keep=Keep(90, 200_000),
            told="What providers reported of quotas.",
        ),
        Rule(
            name="proxyLogs",
            table=proxy_logs,
            at="timestamp_ms",
            keep=Keep(30, 100_000),
            told="Requests through outbound proxies.",
        ),
        Rule(
            name="memoryEntries",
            table=memories,
            at="updated_at_ms",
            keep=Keep(180),
            told="Memories nobody has stored again, beside those whose time has run out.",
        ),
        Rule(
            name="skillExecutions",
            table=skill_executions,
            at="created_at_ms",
            keep=Keep(30, 100_000),
            told="What tool skills were given and what came of it.",
        ),
        Rule(
            name="runSteps",
            table=run_steps,
            at="started_at_ms",
            keep=Keep(30, 200_000),
            told="What belonged to one run: its tasks, tool calls and model calls.",
        ),
        Rule(
            name="compressionAnalytics",
            table=compression_analytics,
            at="timestamp_ms",
            keep=Keep(30, 1_000_000),
            told="What compression saved.",
        ),
        Rule(
            name="storedResponses",
            table=stored_responses,
            at="created_at_ms",
            keep=Keep(0, 100_000),
            told="Stored responses, beside those whose time has run out.",
        ),
        Rule(
            name="budgetWindows",
            table=budget_windows,
            at="end_ms",
            keep=Keep(400),
            told="What was spent in periods of budgets.",
        ),
    )
}
"""Every kind of record that has a limit, by the name operators know it by."""

EXPIRING: tuple[Table, ...] = (
    stored_responses,
    response_cache,
    context_handoffs,
    memories,
    mcp_tasks,
)
"""Tables whose rows say themselves when they end, in `expires_at_ms`."""


class RetentionRepository:
    """Removes the oldest rows, a few at a time."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def cutoff_ms(self, rule: Rule, keep: Keep, now_ms: int) -> Any:
        """The age (as the rule's column has it) before which rows go; None where all stay."""
        at = rule.table.c[rule.at]
        found: list[Any] = []
        if keep.days:
            oldest = now_ms - keep.days * DAY_MS
            found.append(_text(oldest) if rule.as_text else oldest)
        if keep.rows:
            newest = select(at).order_by(at.desc()).offset(keep.rows - 1).limit(1)
            if rule.only is not None:
                newest = newest.where(rule.only)
            last_kept = await self._connection.scalar(newest.where(at.is_not(None)))
            if last_kept is not None:
                found.append(last_kept)
        cutoff = max(found, default=None)
        if cutoff is not None and rule.by_the_hour:
            return cutoff - cutoff % HOUR_MS
        return cutoff

    async def delete_before(self, rule: Rule, cutoff: Any, limit: int) -> int:
        """Remove the oldest rows before a cutoff, at most so many; how many there were."""
        if rule.table is usage_history:
            await self._note_usage_since(cutoff)
        at = rule.table.c[rule.at]
        return await self._delete(rule.table, at < cutoff, at, limit, rule.only)

    async def delete_expired(self, table: Table, now_ms: int, limit: int) -> int:
        """Remove rows whose time has run out, at most so many; how many there were."""
        at = table.c.expires_at_ms
        return await self._delete(table, at <= now_ms, at, limit)

    async def usage_since_ms(self) -> int:
        """From when on the usage history has everything; before, only its sums do."""
        stored = await self._connection.scalar(
            select(key_value.c.value).where(
                key_value.c.namespace == _META, key_value.c.key == _USAGE_SINCE
            )
        )
        return stored if isinstance(stored, int) else 0

    async def _note_usage_since(self, cutoff_ms: int) -> None:
        """In the transaction of the first row that goes: sums before are not to be made anew."""
        if cutoff_ms > await self.usage_since_ms():
            row = {"namespace": _META, "key": _USAGE_SINCE, "value": cutoff_ms}
            await upsert(self._connection, key_value, row)

    async def _delete(
        self,
        table: Table,
        condition: ColumnElement[bool],
        at: ColumnElement[Any],
        limit: int,
        only: ColumnElement[bool] | None = None,
    ) -> int:
        primary = tuple(table.primary_key)
        oldest = select(*primary).where(condition).order_by(at).limit(limit)
        if only is not None:
            oldest = oldest.where(only)
        place = primary[0] if len(primary) == 1 else tuple_(*primary)
        removed = await self._connection.execute(delete(table).where(place.in_(oldest)))
        return removed.rowcount


def _text(at_ms: int) -> str:
    """UTC as `YYYY-MM-DD HH:MM:SS`."""
    return iso(at_ms)[:19].replace("T", " ")
