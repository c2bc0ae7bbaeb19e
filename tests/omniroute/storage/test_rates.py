"""Rate windows in SQL: shared by processes, kept over a restart, on both databases."""

import asyncio

import pytest

from omniroute.caller import RateRule
from omniroute.errors import RateLimited
from omniroute.pipeline.callers.rates import Rates
from omniroute.storage.database import Database
from omniroute.storage.rate_table import RateTable
from omniroute.storage.records.live import RateWindow

pytestmark = pytest.mark.anyio

NOW_MS = 1_800_000_000_000


async def admitted(rates: Rates, times: int, rule: RateRule) -> int:
    async def once() -> bool:
        try:
            await rates.count("k", [rule])
        except RateLimited:
            return False
        return True

    return sum(await asyncio.gather(*(once() for _ in range(times))))


async def taken(database: Database, window: RateWindow) -> int:
    async with database.work() as work:
        return (await work.rates.take(window, 0, 0))[1]


@pytest.mark.parametrize("limit", [3, 64])
async def test_processes_that_ask_at_once_share_a_limit(database: Database, limit: int) -> None:
    processes = [Rates(lambda: NOW_MS, RateTable(database)) for _ in range(3)]
    rule = RateRule(limit, 3_600)
    async with asyncio.timeout(30):
        counts = await asyncio.gather(*(admitted(one, limit, rule) for one in processes))
    assert 0 < sum(counts) <= limit
    for one in processes:
        await one.give_back(everything=True)
    assert await taken(database, RateWindow("k", 3_600, NOW_MS // 1000)) == sum(counts)


async def test_a_restart_does_not_begin_a_window_anew(database: Database) -> None:
    rule = RateRule(32, 3_600)
    first = Rates(lambda: NOW_MS, RateTable(database))
    assert await admitted(first, 20, rule) == 20
    await first.give_back(everything=True)
    second = Rates(lambda: NOW_MS, RateTable(database))
    assert await admitted(second, 20, rule) == 12


async def test_a_process_that_dies_takes_no_more_than_a_slice_with_it(database: Database) -> None:
    rule = RateRule(160, 3_600)
    assert await admitted(Rates(lambda: NOW_MS, RateTable(database)), 5, rule) == 5
    second = Rates(lambda: NOW_MS, RateTable(database))
    assert await admitted(second, 200, rule) == 150


async def test_windows_that_are_over_are_forgotten(database: Database) -> None:
    clock = [NOW_MS]
    rates = Rates(lambda: clock[0], RateTable(database))
    minute = RateWindow("k", 60, NOW_MS // 1000)
    assert await admitted(rates, 1, RateRule(5, 60)) == 1
    assert await taken(database, minute) == 1
    clock[0] += 60_000
    await rates.give_back()
    assert await taken(database, minute) == 0
