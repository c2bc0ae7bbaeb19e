"""What was used in this session, or a longer period, by whom the caller may see."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.storage.records.usage import UsageSum

DAY_MS = 86_400_000

ReportPeriod: TypeAlias = Literal["session", "day", "week", "month"]

_DAYS = {"day": 1, "week": 7, "month": 30}


def since_of(engine: Engine, period: ReportPeriod) -> int:
    """When a period began, epoch ms. A session began with the process, a day ago at most."""
    now_ms = engine.now_ms()
    if period == "session":
        return max(engine.started_at_ms, now_ms - DAY_MS)
    return now_ms - _DAYS[period] * DAY_MS


async def visible_sums(engine: Engine, caller: Caller, since_ms: int) -> tuple[UsageSum, ...]:
    """Sums since a time: of everybody for operators, of the caller's own requests for others."""
    await engine.journal.flush()
    async with engine.database.reading() as work:
        sums = await work.rollups.sums(since_ms)
    return sums if caller.is_operator else own(sums, caller)


def own(sums: Sequence[UsageSum], caller: Caller) -> tuple[UsageSum, ...]:
    """The sums of the caller's own requests."""
    return tuple(row for row in sums if row.api_key_id == caller.key_id)
