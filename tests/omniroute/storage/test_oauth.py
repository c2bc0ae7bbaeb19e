"""Sign-ins that have begun and leases of renewals, on both databases."""

import asyncio

import pytest

from omniroute.storage.database import Database
from omniroute.storage.oauth import SignIn

pytestmark = pytest.mark.anyio

BEGUN = SignIn(provider="corp", verifier="v" * 43, redirect_uri="http://localhost:1/callback")


async def consumed(database: Database, state: str, *, since_ms: int = 0) -> SignIn | None:
    async with database.work() as work:
        return await work.oauth_states.consume(state, since_ms, 2_000)


async def test_a_state_is_consumed_once(database: Database) -> None:
    async with database.work() as work:
        await work.oauth_states.add("state", BEGUN, 1_000)
    assert await consumed(database, "other") is None
    found = await asyncio.gather(*(consumed(database, "state") for _ in range(4)))
    assert sorted(found, key=lambda one: one is None) == [BEGUN, None, None, None]


async def test_a_state_does_not_last(database: Database) -> None:
    async with database.work() as work:
        await work.oauth_states.add("old", BEGUN, 999)
        await work.oauth_states.add("new", BEGUN, 1_000)
    assert await consumed(database, "old", since_ms=1_000) is None
    assert await consumed(database, "new", since_ms=1_000) == BEGUN
    async with database.work() as work:
        await work.oauth_states.drop_older(1_000)
        counts = await work.whole.row_counts()
    assert counts["oauth_states"] == 1


async def claimed(database: Database, holder: str, now_ms: int) -> bool:
    async with database.work() as work:
        return await work.refresh_leases.claim("c", holder, now_ms, now_ms + 100)


async def test_one_process_at_a_time_has_a_lease(database: Database) -> None:
    at_once = await asyncio.gather(*(claimed(database, f"p{n}", 0) for n in range(5)))
    assert sum(at_once) == 1
    holder = f"p{at_once.index(True)}"
    assert await claimed(database, "late", 99) is False
    assert await claimed(database, holder, 50) is True
    async with database.work() as work:
        await work.refresh_leases.release("c", "late")  # not its own
    assert await claimed(database, "late", 149) is False
    assert await claimed(database, "late", 150) is True  # the holder has died
    async with database.work() as work:
        await work.refresh_leases.release("c", "late")
    assert await claimed(database, "next", 151) is True
