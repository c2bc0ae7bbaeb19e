"""Leases in SQL: never past the limit, on both databases, whatever dies in between."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from omniroute.errors import BudgetExceeded
from omniroute.pipeline.money.budgets import Budget, Scope, windows_of
from omniroute.pipeline.money.ledger import FEWEST_TOKENS, Ledger, Need
from omniroute.storage.database import Database
from omniroute.storage.drainer import Drainer
from omniroute.storage.holders import Holder
from omniroute.storage.journal import Journal, sql_sink
from omniroute.storage.records.usage import FinishedRequest, SpentCharge, TraceRow, UsageRow
from omniroute.storage.secret_box import SecretBox
from omniroute.storage.tables import budget_leases, budget_windows
from omniroute.storage.vault import SqlVault

pytestmark = pytest.mark.anyio

NOW_MS = 1_700_000_000_000
LIMIT = 600_000
LIMITS = Budget(scope=Scope("key", "k"), total=LIMIT)
KEY = next(windows_of(LIMITS, NOW_MS)).key
WORKER = Path(__file__).parent / "spending_worker.py"


@pytest.fixture
async def database(url: str, tmp_path: Path, box: SecretBox) -> AsyncGenerator[Database]:
    opened = await Database.open(url, tmp_path / "data", box)
    yield opened
    await opened.close()


def process(database: Database, tmp_path: Path, name: str) -> tuple[Ledger, SqlVault, Holder]:
    """A ledger of its own, as another process would have it."""
    holder = Holder(tmp_path / "data", "home")

    async def nothing_to_recover() -> set[str]:
        return set()

    vault = SqlVault(database, holder, nothing_to_recover, lambda: NOW_MS)
    return Ledger(lambda: NOW_MS, vault), vault, holder


def need(tokens: int) -> Need:
    return Need(reading=0, token_pico=1_000_000, max_tokens=tokens)


async def leased(database: Database) -> int:
    async with database.reading() as work:
        return sum(row.micro_usd for row in await work.leases.leases(KEY))


async def spent_and_leased(database: Database) -> int:
    """Both in one look, while others go on spending."""
    leases = select(func.coalesce(func.sum(budget_leases.c.micro_usd), 0)).where(
        budget_leases.c.micro_usd > 0
    )
    both = select(budget_windows.c.spent_micro_usd + leases.scalar_subquery())
    async with database.reading() as work:
        return int((await work.leases._connection.execute(both)).scalar() or 0)


async def spent(database: Database) -> int:
    async with database.reading() as work:
        return await work.leases.spent(KEY) or 0


def finished(request_id: str, charges: tuple[SpentCharge, ...], cost: int) -> FinishedRequest:
    trace = TraceRow(
        request_id=request_id,
        timestamp_ms=NOW_MS,
        api_key_id="k",
        source="http",
        combo=None,
        provider="p",
        model="m",
        success=True,
        status=200,
        cost_micro_usd=cost,
        latency_ms=1,
        data="{}",
    )
    return FinishedRequest(trace=trace, charges=charges)


async def test_two_processes_share_a_limit(database: Database, tmp_path: Path) -> None:
    one, _, holder_one = process(database, tmp_path, "one")
    two, _, holder_two = process(database, tmp_path, "two")
    first = await one.reserve("k", need(LIMIT // 2), [LIMITS])
    second = await two.reserve("k", need(LIMIT // 2), [LIMITS])
    assert await leased(database) == LIMIT
    charges = one.settle(first, LIMIT // 2)
    await sql_sink(database)([finished("r1", charges, LIMIT // 2)])
    assert (await spent(database), await leased(database)) == (LIMIT // 2, LIMIT // 2)
    two.settle(second, 0)
    await two.give_back(everything=True)
    assert (await spent(database), await leased(database)) == (LIMIT // 2, 0)
    holder_one.close()
    holder_two.close()


async def test_a_cost_is_charged_once_however_often_it_is_delivered(
    database: Database, tmp_path: Path
) -> None:
    ledger, _, holder = process(database, tmp_path, "one")
    charges = ledger.settle(await ledger.reserve("k", need(500), [LIMITS]), 300)
    for _ in range(3):
        await sql_sink(database)([finished("r1", charges, 300)])
    assert await spent(database) == 300
    holder.close()


async def test_what_a_dead_process_leased_is_free_once_it_is_looked_for(
    database: Database, tmp_path: Path
) -> None:
    dying, _, holder = process(database, tmp_path, "dying")
    await dying.reserve("k", need(LIMIT), [LIMITS])
    living, vault, other = process(database, tmp_path, "living")
    assert not await vault.reclaim(), "it is alive"
    os.close(holder._fd)  # the system does this when a process dies
    held = await living.reserve("k", need(LIMIT), [LIMITS])
    assert (held.micro_usd, held.cut) == (LIMIT, False)
    other.close()


async def test_money_spent_before_there_was_a_budget_counts(
    database: Database, tmp_path: Path
) -> None:
    async with database.work() as work:
        row = UsageRow(
            id="r:1",
            request_id="r",
            attempt=1,
            timestamp_ms=NOW_MS,
            provider="p",
            model="m",
            connection_id="c",
            api_key_id="k",
            combo=None,
            cost_micro_usd=LIMIT - 10,
        )
        await work.usage.add([row])
    ledger, _, holder = process(database, tmp_path, "one")
    with pytest.raises(BudgetExceeded):
        await ledger.reserve("k", Need(reading=11, token_pico=1, max_tokens=1), [LIMITS])
    holder.close()


async def test_processes_that_are_killed_never_pass_the_limit(
    database: Database, url: str, tmp_path: Path
) -> None:
    """Workers spend at random; each is killed at a random moment and followed by another one."""
    rng = random.Random(7)
    data = tmp_path / "data"

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(WORKER),
            url,
            str(data),
            str(LIMIT),
            str(rng.randrange(10**6)),
            stdout=asyncio.subprocess.PIPE,
        )

    async def told(worker: asyncio.subprocess.Process, lines: int) -> bool:
        """Wait for so many settlements; False when the worker was refused before that."""
        assert worker.stdout is not None
        for _ in range(lines):
            if not await worker.stdout.readline():
                return False
        return True

    async with asyncio.timeout(60):
        workers = [await start() for _ in range(3)]
        for _ in range(4):
            victim = workers.pop(0)
            if await told(victim, rng.randrange(1, 12)):
                with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
                    victim.send_signal(signal.SIGKILL)
            await victim.wait()
            assert await spent_and_leased(database) <= LIMIT
            workers.append(await start())
        for worker in workers:
            while await told(worker, 1):
                pass
            assert await worker.wait() == 0

    holder = Holder(data, "home")
    journal = Journal(data / "journal")
    sink = sql_sink(database)

    async def recover() -> set[str]:
        await journal.recover(sink)
        return journal.processes()

    vault = SqlVault(database, holder, recover, lambda: NOW_MS)
    async with Drainer(journal, sink):
        await vault.reclaim()
    total = 0
    async with database.reading() as work:
        for row in await work.traces.recent(100_000):
            total += row.cost_micro_usd or 0
    assert await leased(database) == 0, "after recovery nothing stays reserved"
    assert await spent(database) == total <= LIMIT
    assert LIMIT - total < FEWEST_TOKENS + 5
    holder.close()


async def test_a_window_may_begin_with_what_was_spent_before(
    database: Database, tmp_path: Path
) -> None:
    async with database.work() as work:
        await work.leases.open(KEY, None, LIMIT - 100)
    ledger, _, holder = process(database, tmp_path, "one")
    held = await ledger.reserve("k", need(LIMIT), [LIMITS])
    assert (held.micro_usd, await spent(database)) == (100, LIMIT - 100)
    async with database.work() as work:
        await work.leases.open(KEY, None, LIMIT)
    two, _, other = process(database, tmp_path, "two")
    with pytest.raises(BudgetExceeded):
        await two.reserve("k", need(LIMIT), [LIMITS])
    holder.close()
    other.close()
