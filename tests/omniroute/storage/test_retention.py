"""Records go by age and by number, the oldest first, a few at a time; sums of usage stay."""

from typing import Any

import pytest
from sqlalchemy import Column, UniqueConstraint, func, insert, select
from tests.support.rows import fill

from omniroute.storage.database import Database
from omniroute.storage.retention import DAY_MS, EXPIRING, HOUR_MS, RULES, Keep, Rule
from omniroute.storage.tables import a2a_tasks, metadata

pytestmark = pytest.mark.anyio

NOW_MS = 1_800_000_000_000

# Everything that grows with use has a rule, ends by itself, or is bounded by what is configured.
BOUNDED = {
    "a2a_push_configs": "goes with its task",
    "a2a_push_deliveries": "goes with its task",
    "a2a_task_events": "goes with its task",
    "alembic_version": "",
    "api_keys": "configuration",
    "budget_leases": "goes with its process",
    "agents": "configuration",
    "budgets": "configuration",
    "combos": "configuration",
    "compression_combo_assignments": "goes with its combo",
    "compression_combos": "configuration",
    "conversation_pins": "goes unseen",
    "health_states": "goes with what it is about",
    "key_sessions": "goes unseen",
    "key_value": "configuration",
    "lockouts": "goes when it is over",
    "model_combo_mappings": "configuration",
    "oauth_states": "goes when the next sign-in begins",
    "provider_connections": "configuration",
    "provider_nodes": "configuration",
    "proxy_assignments": "configuration",
    "proxy_registry": "configuration",
    "rate_windows": "goes when its window has ended",
    "refresh_leases": "goes when the renewal is over",
    "rotation_states": "goes with what it is about",
    "session_account_affinity": "goes unseen",
    "skills": "configuration",
    "sync_tokens": "configuration",
    "usage_rollups": "sums by the hour",
}


def test_every_table_is_bounded_somehow() -> None:
    ruled = {rule.table.name for rule in RULES.values()} | {table.name for table in EXPIRING}
    assert metadata.tables.keys() - ruled - BOUNDED.keys() == set()


async def rows_at(database: Database, rule: Rule, times: list[Any]) -> None:
    """Rows of a rule's table with these times; everything else in them is made up."""
    async with database._writer.begin() as connection:
        await fill(connection, seed=1)
        template = dict((await connection.execute(select(rule.table))).mappings().first() or {})
        await connection.execute(rule.table.delete())
        rows = []
        for place, at in enumerate(times):
            row = {**template, rule.at: at}
            for column in rule.table.primary_key:
                if column.name != rule.at:
                    row[column.name] = place + 1 if column.autoincrement is True else f"k{place}"
                if column.name == "start_ms":
                    row[column.name] = place
            for column in only_once(rule):
                row[column.name] = f"k{place}"
            if "finished" in row:
                row["finished"] = True
            rows.append(row)
        await connection.execute(insert(rule.table), rows)


def only_once(rule: Rule) -> list[Column[Any]]:
    """Columns of which no two rows may have the same."""
    every = [one for one in rule.table.constraints if isinstance(one, UniqueConstraint)]
    return [column for one in every for column in one.columns]


def as_stored(rule: Rule, at_ms: int) -> Any:
    if not rule.as_text:
        return at_ms
    return "2027-01-15 08:00:00" if at_ms == NOW_MS else f"2026-12-{at_ms % 28 + 1:02} 00:00:00"


async def left(database: Database, rule: Rule) -> list[Any]:
    async with database._reader.connect() as connection:
        at = rule.table.c[rule.at]
        return list((await connection.execute(select(at).order_by(at))).scalars())


@pytest.mark.parametrize("name", RULES)
async def test_the_oldest_go_and_the_newest_stay(database: Database, name: str) -> None:
    rule = RULES[name]
    old = NOW_MS - 10 * DAY_MS
    times = [as_stored(rule, old), as_stored(rule, old), as_stored(rule, NOW_MS)]
    await rows_at(database, rule, times)
    async with database.work() as work:
        cutoff = await work.retention.cutoff_ms(rule, Keep(7, 0), NOW_MS)
        assert await work.retention.delete_before(rule, cutoff, 1) == 1
        assert await work.retention.delete_before(rule, cutoff, 10) == 1
        assert await work.retention.delete_before(rule, cutoff, 10) == 0
    assert await left(database, rule) == times[2:]


CUTOFFS: dict[str, tuple[Keep, list[int], list[int]]] = {
    "no limit": (Keep(0, 0), [0, 1, 2], [0, 1, 2]),
    "by number": (Keep(0, 2), [0, 1, 2], [1, 2]),
    "fewer than the number": (Keep(0, 5), [0, 1, 2], [0, 1, 2]),
    "by age": (Keep(1, 0), [0, 1, 2], []),
    "by whichever is stricter": (Keep(36_000, 1), [0, 1, 2], [2]),
    "equals stay together": (Keep(0, 1), [0, 2, 2], [2, 2]),
}


@pytest.mark.parametrize(("keep", "times", "stay"), CUTOFFS.values(), ids=CUTOFFS)
async def test_by_age_and_by_number(
    database: Database, keep: Keep, times: list[int], stay: list[int]
) -> None:
    rule = RULES["callLogs"]
    await rows_at(database, rule, times)
    async with database.work() as work:
        cutoff = await work.retention.cutoff_ms(rule, keep, NOW_MS)
        if cutoff is not None:
            await work.retention.delete_before(rule, cutoff, 10)
    assert await left(database, rule) == stay


async def test_usage_goes_by_whole_hours_and_says_since_when_it_is_whole(
    database: Database,
) -> None:
    rule, hour = RULES["usageHistory"], NOW_MS - NOW_MS % HOUR_MS
    times = [hour - 2 * HOUR_MS, hour - 1, hour, hour + 1, hour + 2]
    await rows_at(database, rule, times)
    async with database.work() as work:
        assert await work.retention.usage_since_ms() == 0
        cutoff = await work.retention.cutoff_ms(rule, Keep(0, 2), NOW_MS)
        await work.retention.delete_before(rule, cutoff, 1)
        # Though one is left to go: sums of its hour are not to be made anew already now.
        assert await work.retention.usage_since_ms() == hour
        await work.retention.delete_before(rule, cutoff, 10)
        await work.retention.delete_before(rule, 0, 10)
        assert await work.retention.usage_since_ms() == hour
    assert await left(database, rule) == times[2:]


async def test_tasks_that_run_stay_and_events_go_with_theirs(database: Database) -> None:
    rule = RULES["a2aEvents"]
    async with database._writer.begin() as connection:
        await fill(connection, seed=4)
        await connection.execute(a2a_tasks.update().values(finished=False, updated_at_ms=1))
        one = select(func.min(a2a_tasks.c.id)).scalar_subquery()
        await connection.execute(
            a2a_tasks.update().where(a2a_tasks.c.id == one).values(finished=True)
        )
    async with database.work() as work:
        assert await work.retention.delete_before(rule, 2, 10) == 1
    async with database._reader.connect() as connection:
        events = metadata.tables["a2a_task_events"]
        orphans = select(events).where(events.c.task_id.not_in(select(a2a_tasks.c.id)))
        assert (await connection.execute(orphans)).all() == []
        assert len((await connection.execute(select(a2a_tasks))).all()) == 6


@pytest.mark.parametrize("table", EXPIRING, ids=lambda table: str(table.name))
async def test_what_has_expired_goes(database: Database, table: Any) -> None:
    async with database._writer.begin() as connection:
        await fill(connection, seed=5)
        await connection.execute(table.update().values(expires_at_ms=NOW_MS))
        first = select(func.min(table.primary_key.columns.values()[0])).scalar_subquery()
        name = table.primary_key.columns.values()[0]
        await connection.execute(
            table.update().where(name == first).values(expires_at_ms=NOW_MS + 1)
        )
    async with database.work() as work:
        assert await work.retention.delete_expired(table, NOW_MS, 4) == 4
        assert await work.retention.delete_expired(table, NOW_MS, 4) == 2
