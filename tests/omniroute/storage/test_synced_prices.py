"""Synced prices on both databases: replaced whole, read once, claimed by one process at a time."""

import anyio
import pytest
from sqlalchemy import update

from omniroute.catalog.overrides import StatedPrice
from omniroute.storage.database import Database
from omniroute.storage.records.configuration import SyncedPrices, SyncState
from omniroute.storage.tables import key_value

pytestmark = pytest.mark.anyio

FIRST = {"openai": {"m": StatedPrice(input=1, output=2)}, "groq": {"n": StatedPrice(input=3)}}
SECOND = {"openai": {"m": StatedPrice(output=9)}}


async def read(database: Database, known: SyncedPrices | None = None) -> SyncedPrices:
    async with database.reading() as work:
        return await work.synced_prices.read(known or SyncedPrices())


async def test_layers_are_replaced_merged_and_cleared(database: Database) -> None:
    async with database.work() as work:
        await work.synced_prices.replace("litellm", FIRST, SyncState(stamp="1", next_ms=5))
        await work.synced_prices.replace("modelsDev", SECOND, SyncState(stamp="2"))
        await work.prices.save("openai", {"m": StatedPrice(cached=0.1)})
    found = await read(database)
    assert (found.layers["litellm"], found.layers["modelsDev"]) == (FIRST, SECOND)
    assert found.merged["openai"]["m"] == StatedPrice(input=1, output=9)
    assert await read(database, found) is found
    async with database.work() as work:
        await work.synced_prices.replace("litellm", SECOND, SyncState(stamp="3"))
    assert (await read(database, found)).merged == SECOND
    async with database.work() as work:
        await work.synced_prices.clear()
    assert await read(database, found) == SyncedPrices()
    async with database.reading() as work:
        assert set((await work.prices.stated())["openai"]) == {"m"}


async def test_a_damaged_value_is_as_if_it_were_not_there(database: Database) -> None:
    async with database.work() as work:
        await work.synced_prices.replace("litellm", FIRST, SyncState(stamp="1"))
    async with database._writer.begin() as connection:
        await connection.execute(
            update(key_value).where(key_value.c.key == "groq").values(value={"n": {"input": -1}})
        )
    assert (await read(database)).merged == {"openai": FIRST["openai"]}


async def test_a_turn_is_taken_once_and_again_when_it_is_over(database: Database) -> None:
    taken: list[bool] = []

    async def claim(now_ms: int) -> None:
        async with database.work() as work:
            taken.append(await work.synced_prices.claim("litellm", now_ms, now_ms + 100))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(claim, 1_000)
    assert sorted(taken) == [False, False, False, False, True]
    await claim(1_099)
    await claim(1_100)
    assert taken[5:] == [False, True]
