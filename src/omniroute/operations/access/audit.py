"""The audit log: what was done to the gateway, and what was tried."""

from typing import Any

import structlog
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine, audit_entry
from omniroute.errors import OmniRouteError
from omniroute.storage.records.audit import AuditFilter, AuditRow, AuditStatus

log = structlog.get_logger(__name__)

MOST_ENTRIES = 500
FARTHEST_OFFSET = 10_000


class AuditQuery(Struct, frozen=True, kw_only=True):
    """Which entries are wanted (02 §14.2); numbers out of range are brought into it."""

    action: str | None = None
    actor: str | None = None
    target: str | None = None
    resource_type: str | None = None
    status: str | None = None
    request_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    limit: int = 50
    offset: int = 0


class AuditView(Struct, frozen=True, kw_only=True):
    """An entry, its newer members under both spellings that clients read (02 §14.2)."""

    id: int
    timestamp: str
    createdAt: str  # noqa: N815
    action: str
    actor: str
    target: str | None
    details: dict[str, Any]
    metadata: dict[str, Any]
    ip_address: str | None
    ip: str | None
    resource_type: str
    resourceType: str  # noqa: N815
    status: str
    request_id: str | None
    requestId: str | None  # noqa: N815


class AuditPage(Struct, frozen=True, kw_only=True):
    """A page of the log, newest first; `total` passed the filter, on all pages."""

    entries: list[AuditView]
    total: int
    limit: int
    offset: int


async def audit_log(engine: Engine, caller: Caller, query: AuditQuery) -> AuditPage:
    """A page of the audit log."""
    limit = min(max(query.limit, 1), MOST_ENTRIES)
    offset = min(max(query.offset, 0), FARTHEST_OFFSET)
    wanted = AuditFilter(
        action=query.action,
        actor=query.actor,
        target=query.target,
        resource_type=query.resource_type,
        status=query.status,
        request_id=query.request_id,
        since_ms=query.since_ms,
        until_ms=query.until_ms,
    )
    async with engine.database.reading() as work:
        rows, total = await work.audit_log.page(wanted, limit, offset)
    return AuditPage(entries=[_view(row) for row in rows], total=total, limit=limit, offset=offset)


async def note(
    engine: Engine,
    caller: Caller,
    action: str,
    target: str | None = None,
    *,
    status: AuditStatus = "success",
    **details: Any,
) -> None:
    """Write down what is no change of the configuration: sign-ins, refusals, restarts.

    Never fails: what happened has happened, whether or not it could be written down.
    """
    entry = audit_entry(caller, action, target, engine.now_ms(), status=status, details=details)
    try:
        async with engine.database.work() as work:
            await work.audit_log.add(entry)
    except OmniRouteError as error:
        log.warning("audit_not_written", action=action, error=str(error))


def _view(row: AuditRow) -> AuditView:
    when = iso(row.timestamp_ms)
    return AuditView(
        id=row.id,
        timestamp=when,
        createdAt=when,
        action=row.action,
        actor=row.actor,
        target=row.target,
        details=row.details or {},
        metadata=row.metadata or {},
        ip_address=row.ip_address,
        ip=row.ip_address,
        resource_type=row.resource_type,
        resourceType=row.resource_type,
        status=row.status,
        request_id=row.request_id,
        requestId=row.request_id,
    )
