"""Looking the database through for what is broken, and mending it after a backup. 03 §8.2."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.operations.progress import Report
from omniroute.operations.storage.backups import create_backup
from omniroute.routing.combo_config import read_config
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import Combo, ComboStep
from omniroute.storage.usage_rollups import HOUR_MS

IssueType: TypeAlias = Literal[
    "integrity_check_failed", "broken_reference", "stale_snapshot", "invalid_state"
]

_STILL_WRITTEN_MS = 2 * HOUR_MS
"""Sums of the newest hours change while one looks."""


class CheckQuery(Struct, frozen=True, rename="camel"):
    """What to do about what is found.

    Attributes:
        auto_repair: mend what can be mended without a loss, after a backup.
    """

    auto_repair: bool = False


class Issue(Struct, frozen=True, kw_only=True):
    """One thing that is wrong, and in how many places."""

    type: IssueType
    table: str
    description: str
    count: int


class DatabaseCheck(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was found. `is_healthy`: nothing was, or all of it is mended. Times are ISO-8601."""

    is_healthy: bool
    issues: tuple[Issue, ...]
    repaired_count: int
    backup_created: bool
    auto_repair: bool
    checked_at: str


Repair: TypeAlias = Callable[[Work], Awaitable[None]]
Found: TypeAlias = tuple[Issue, Repair | None]
"""An issue, and what mends it; None: nothing here does."""


async def check_database(
    engine: Engine, caller: Caller, query: CheckQuery, report: Report
) -> DatabaseCheck:
    """Look the database through; reports each kind of check. A backup precedes every repair.

    Raises:
        StorageUnavailable: the database cannot be read, or not be copied before a repair.
    """
    await engine.journal.flush()
    found: list[Found] = []
    for step, (told, check) in enumerate(_CHECKS, start=1):
        found += [one async for one in check(engine)]
        await report(step, told)
    repairs = [(issue, mend) for issue, mend in found if mend is not None]
    # Pages that are damaged are not written to: the way back from there is a backup.
    damaged = any(issue.type == "integrity_check_failed" for issue, _ in found)
    wanted = query.auto_repair and not damaged and bool(repairs)
    if wanted:
        await create_backup(engine, caller)
        await report(len(_CHECKS) + 1, "a backup was made")
        async with engine.configuration.change(caller, "database.repaired") as work:
            for issue, mend in repairs:
                await mend(work)
                work.details[issue.table] = issue.description
        await report(len(_CHECKS) + 2, "repaired")
    return DatabaseCheck(
        is_healthy=not found or (wanted and len(repairs) == len(found)),
        issues=tuple(issue for issue, _ in found),
        repaired_count=sum(issue.count for issue, _ in repairs) if wanted else 0,
        backup_created=wanted,
        auto_repair=query.auto_repair,
        checked_at=iso(engine.now_ms()),
    )


async def _pages(engine: Engine) -> AsyncGenerator[Found]:
    async with engine.database.reading() as work:
        damage = await work.whole.damage()
    for told in damage:
        issue = Issue(
            type="integrity_check_failed",
            table="database",
            description=f"{told} Restore a backup.",
            count=1,
        )
        yield issue, None


async def _orphans(engine: Engine) -> AsyncGenerator[Found]:
    """Rows that point to rows of other tables that do not exist."""
    async with engine.database.reading() as work:
        orphans = await work.whole.orphans()

    async def mend(work: Work) -> None:
        await work.whole.delete_orphans()

    for (table, parent), count in orphans.items():
        told = f"{count} rows point to {parent} that do not exist."
        yield _broken(table, told, count), mend


async def _combos(engine: Engine) -> AsyncGenerator[Found]:
    """Steps for combos that are gone, which are skipped anyway, and configs nobody can read."""
    async with engine.database.reading() as work:
        combos = await work.combos.list()
    names = {row.name for row in combos}
    for combo in combos:
        kept = tuple(
            step
            for step in combo.steps
            if not isinstance(step, ComboStep) or step.combo_name in names
        )
        gone = len(combo.steps) - len(kept)
        if gone:
            told = f"{gone} steps of combo '{combo.name}' stand for combos that do not exist."
            yield _broken("combos", told, gone), _saving(replace(combo, steps=kept))
        try:
            read_config(combo.config)
        except msgspec.ValidationError:
            told = f"The config of combo '{combo.name}' is not valid. Change it and save it."
            issue = Issue(type="invalid_state", table="combos", description=told, count=1)
            yield issue, None


def _saving(combo: Combo) -> Repair:
    async def mend(work: Work) -> None:
        await work.combos.save(combo)

    return mend


async def _sums(engine: Engine) -> AsyncGenerator[Found]:
    """Sums over usage that are not the sums of what is there."""
    async with engine.database.reading() as work:
        since_ms = await work.retention.usage_since_ms()
        until_ms = engine.now_ms() - _STILL_WRITTEN_MS
        hours = await work.rollups.differing_hours(since_ms, until_ms)

    async def mend(work: Work) -> None:
        for hour_ms in hours:
            await work.rollups.rebuild(hour_ms)

    if hours:
        told = f"The sums over usage are wrong in {len(hours)} hours."
        issue = Issue(
            type="stale_snapshot", table="usage_rollups", description=told, count=len(hours)
        )
        yield issue, mend


def _broken(table: str, told: str, count: int) -> Issue:
    return Issue(type="broken_reference", table=table, description=told, count=count)


_CHECKS: tuple[tuple[str, Callable[[Engine], AsyncGenerator[Found]]], ...] = (
    ("pages are checked", _pages),
    ("references between tables are checked", _orphans),
    ("combos are checked", _combos),
    ("sums over usage are checked", _sums),
)
"""What is looked at, in order, and what is said when it is done."""
