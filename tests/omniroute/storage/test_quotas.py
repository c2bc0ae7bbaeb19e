"""Reports about quotas: a row for each window, read back whole, gone with account and time."""

import itertools

import pytest

from omniroute.catalog.quota_report import Balance, QuotaReport, QuotaWindow
from omniroute.storage.database import Database
from omniroute.storage.quota_history import QuotaHistory
from omniroute.storage.records.configuration import Connection

pytestmark = pytest.mark.anyio

NOW_MS = 1_800_000_000_000
RESET_MS = NOW_MS + 3_600_000
ONE = Connection(id="one", provider="openrouter", name="one")
TWO = Connection(id="two", provider="deepseek", name="two")
WINDOWS = QuotaReport(
    plan="pro",
    windows={
        "session (5h)": QuotaWindow(left=0.25, used=75, total=100, reset_at_ms=RESET_MS),
        "weekly": QuotaWindow(left=0.0),
        "free": QuotaWindow(unlimited=True),
    },
)
MONEY = QuotaReport(balances=(Balance(amount=1.5, currency="CNY"),), available=False)


@pytest.fixture
def history(database: Database) -> QuotaHistory:
    numbers = itertools.count()
    return QuotaHistory(database, lambda: f"row-{next(numbers)}")


async def test_the_newest_report_of_each_account_comes_back_whole(history: QuotaHistory) -> None:
    await history.keep(ONE, QuotaReport(windows={"gone": QuotaWindow(left=1.0)}), NOW_MS - 1)
    await history.keep(ONE, WINDOWS, NOW_MS)
    await history.keep(TWO, MONEY, NOW_MS + 1)
    assert await history.latest() == {"one": (NOW_MS, WINDOWS), "two": (NOW_MS + 1, MONEY)}


async def test_every_window_is_a_row(history: QuotaHistory, database: Database) -> None:
    await history.keep(ONE, WINDOWS, NOW_MS)
    await history.keep(TWO, MONEY, NOW_MS)
    async with database.reading() as work:
        found = [*await work.quotas.of("one", 10), *await work.quotas.of("two", 10)]
    assert [
        (
            row.provider,
            row.window_key,
            row.remaining_percentage,
            row.is_exhausted,
            row.next_reset_at_ms,
            row.window_duration_ms,
        )
        for row in found
    ] == [
        ("openrouter", "free", None, False, None, None),
        ("openrouter", "session (5h)", 25.0, False, RESET_MS, 18_000_000),
        ("openrouter", "weekly", 0.0, True, None, 604_800_000),
        ("deepseek", "balance", None, True, None, None),
    ]


async def test_reports_go_with_their_account(history: QuotaHistory, database: Database) -> None:
    for row in (ONE, TWO):
        await history.keep(row, MONEY, NOW_MS)
    async with database.work() as work:
        await work.connections.delete("one")
    assert set(await history.latest()) == {"two"}
    async with database.work() as work:
        await work.connections.delete_for_provider("deepseek")
    assert await history.latest() == {}


async def test_cut_offs_are_stored_with_the_account(database: Database) -> None:
    cut = Connection(id="c", provider="groq", name="c", quota_window_thresholds={"weekly": 10})
    async with database.work() as work:
        await work.connections.save(cut)
        await work.connections.save(ONE)
    async with database.reading() as work:
        assert await work.connections.get("c") == cut
        assert await work.connections.get("one") == ONE
