"""When the logins of accounts end, and whether they are in order. Source: 02 §4.9, §12."""

from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import from_iso
from omniroute.engine import Engine
from omniroute.storage.records.configuration import Connection

DAY_MS = 86_400_000
SOON_DAYS = 7

Standing: TypeAlias = Literal["valid", "expiring", "expired"]


class ExpiryLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """When one account ends. `days_left` is negative once it has."""

    connection_id: str
    provider: str
    name: str
    expires_at: str
    days_left: int
    status: Standing


class ExpirySummary(Struct, frozen=True, kw_only=True):
    """How many accounts have an end, by how near it is."""

    total: int
    valid: int
    expiring: int
    expired: int


class Expirations(Struct, frozen=True, kw_only=True):
    """Accounts that have an end, the nearest first."""

    summary: ExpirySummary
    list: tuple[ExpiryLine, ...]


class TokenHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many logins there are and how many work; `last_check_at` is the newest test of one."""

    total: int
    healthy: int
    errored: int
    last_check_at: str | None
    status: Literal["healthy", "degraded", "unhealthy", "none"]


async def expirations(engine: Engine, caller: Caller) -> Expirations:
    """The accounts whose credential has an end."""
    now_ms = engine.now_ms()
    lines = [
        _line(row, row.expires_at, now_ms)
        for row in engine.snapshot.connections.values()
        if row.expires_at is not None and _is_date(row.expires_at)
    ]
    lines.sort(key=lambda line: from_iso(line.expires_at))
    count = {kind: sum(line.status == kind for line in lines) for kind in _STANDINGS}
    return Expirations(
        summary=ExpirySummary(
            total=len(lines),
            valid=count["valid"],
            expiring=count["expiring"],
            expired=count["expired"],
        ),
        list=tuple(lines),
    )


async def token_health(engine: Engine, caller: Caller) -> TokenHealth:
    """Whether the logins of accounts that are switched on work."""
    logins = [
        row
        for row in engine.snapshot.connections.values()
        if row.auth_type == "oauth" and row.is_active
    ]
    now_ms, cooldowns = engine.now_ms(), engine.health.view().cooldowns
    errored = 0
    for row in logins:
        rest = cooldowns.get(row.id)
        refused = rest is not None and rest.terminal is not None
        ended = row.expires_at is not None and _is_date(row.expires_at)
        ended = ended and from_iso(str(row.expires_at)) <= now_ms and row.refresh_token is None
        errored += refused or ended or row.test_status in _BROKEN
    checked = [row.last_tested for row in logins if row.last_tested is not None]
    status: Literal["healthy", "degraded", "unhealthy", "none"] = "none"
    if logins:
        status = "healthy" if not errored else "degraded"
        if errored == len(logins):
            status = "unhealthy"
    return TokenHealth(
        total=len(logins),
        healthy=len(logins) - errored,
        errored=errored,
        last_check_at=max(checked, default=None),
        status=status,
    )


def _line(row: Connection, expires_at: str, now_ms: int) -> ExpiryLine:
    left_ms = from_iso(expires_at) - now_ms
    status: Standing = "expired" if left_ms <= 0 else "valid"
    if 0 < left_ms <= SOON_DAYS * DAY_MS:
        status = "expiring"
    return ExpiryLine(
        connection_id=row.id,
        provider=row.provider,
        name=row.name,
        expires_at=expires_at,
        days_left=left_ms // DAY_MS,
        status=status,
    )


def _is_date(text: str) -> bool:
    try:
        from_iso(text)
    except (ValueError, OverflowError):
        return False
    return True


_STANDINGS: tuple[Standing, ...] = ("valid", "expiring", "expired")
_BROKEN = frozenset({"error", "invalid", "failed", "expired", "banned"})
