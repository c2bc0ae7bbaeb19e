"""Sessions, stickiness and turns go through a database into the next process, on both kinds."""

import asyncio

import pytest
from sqlalchemy import text

from omniroute.caller import Caller
from omniroute.errors import RateLimited
from omniroute.pipeline.callers.key_uses import EVERY_MS, KeyUses
from omniroute.pipeline.callers.sessions import TTL_MS, Sessions
from omniroute.pipeline.keepers.live_keepers import (
    CLEAN_MS,
    AffinityKeeper,
    KeyUseKeeper,
    PinKeeper,
    RotationKeeper,
    SessionKeeper,
)
from omniroute.routing.turns.affinity import Affinity
from omniroute.routing.turns.pins import TTL_MS as PIN_TTL_MS
from omniroute.routing.turns.pins import Pins
from omniroute.routing.turns.rotation import Rotation
from omniroute.storage.database import Database
from omniroute.storage.records.configuration import ApiKey
from omniroute.storage.records.live import Binding, Pin
from omniroute.storage.session_table import SessionTable

pytestmark = pytest.mark.anyio

NOW_MS = 1_800_000_000_000
CALLER = Caller(door="http", key_id="k", max_sessions=3)


@pytest.fixture
async def keyed(database: Database) -> Database:
    """A database with a key in it."""
    key = ApiKey(id="k", name="k", key_hash="#", prefix="", suffix="", machine_id="")
    async with database.work() as work:
        await work.keys.save(key)
    return database


async def let_in(sessions: Sessions, *names: str) -> list[str]:
    """Which of several new sessions at once got in."""

    async def once(name: str) -> str | None:
        try:
            await sessions.enter(CALLER, name)
        except RateLimited:
            return None
        return name

    found = await asyncio.gather(*map(once, names))
    return [name for name in found if name is not None]


async def test_processes_share_the_sessions_of_a_key(keyed: Database) -> None:
    one, two = (Sessions(lambda: NOW_MS, SessionTable(keyed)) for _ in range(2))
    async with asyncio.timeout(30):
        got_in = await asyncio.gather(let_in(one, "a", "b", "c"), let_in(two, "d", "e", "f"))
    names = [name for names in got_in for name in names]
    assert len(names) == 3
    assert await let_in(two, *names) == names  # they are known here as well as there
    assert await let_in(one, "g") == []


async def test_sessions_of_a_key_survive_a_restart(keyed: Database) -> None:
    clock = [NOW_MS]
    first = Sessions(lambda: clock[0], SessionTable(keyed))
    keeper = SessionKeeper(first, keyed, lambda: clock[0])
    assert await let_in(first, "a", "b") == ["a", "b"]
    await keeper.flush()
    clock[0] += TTL_MS
    await first.enter(CALLER, "b")
    first.answered(CALLER, "b", "account")
    await first.enter(Caller(door="http"), "nobody's")
    await keeper.flush()
    clock[0] += 1
    second = Sessions(lambda: clock[0], SessionTable(keyed))
    await SessionKeeper(second, keyed, lambda: clock[0]).load()
    (row,) = second.alive()
    assert (row.id, row.requests, row.connection_id) == ("b", 2, "account")
    got_in = await let_in(second, "c", "d", "e", "b")
    assert ("b" in got_in, len(got_in)) == (True, 3), "b is known, and there is room for two more"


async def test_a_key_that_is_gone_does_not_come_back_with_its_sessions(keyed: Database) -> None:
    sessions = Sessions(lambda: NOW_MS, SessionTable(keyed))
    assert await let_in(sessions, "a") == ["a"]
    async with keyed.work() as work:
        await work.sessions.drop_key("k")
    await SessionKeeper(sessions, keyed, lambda: NOW_MS).flush()
    async with keyed.reading() as work:
        assert await work.sessions.alive(0) == ()


async def test_conversations_find_their_accounts_again(database: Database) -> None:
    clock = [NOW_MS]
    first = Affinity(lambda: clock[0])
    keeper = AffinityKeeper(first, database, lambda: clock[0])
    for session, account in (("s1", "a"), ("s2", "b"), ("s3", "gone"), ("s4", "a")):
        first.bind(session, "p", account)
    await keeper.flush()
    first.bind("s1", "p", "b")
    first.loosen("s4", "p")
    await keeper.flush()
    second = Affinity(lambda: clock[0])
    await AffinityKeeper(second, database, lambda: clock[0]).load({"a", "b"})
    assert [second.bound(f"s{n}", "p") for n in (1, 2, 3, 4)] == ["b", "b", None, None]
    clock[0] += TTL_MS + 1
    third = Affinity(lambda: clock[0])
    await AffinityKeeper(third, database, lambda: clock[0]).load({"a", "b"})
    assert third.bound("s1", "p") is None


async def test_conversations_keep_their_models_over_a_restart(database: Database) -> None:
    clock = [NOW_MS]
    first = Pins(lambda: clock[0])
    keeper = PinKeeper(first, database, lambda: clock[0])
    first.answered("talk", "mix", "p", "x")
    first.answered("talk", "other", "p", "y")
    await keeper.flush()
    clock[0] += 1
    first.answered("talk", "mix", "q", "z")
    await keeper.flush()
    await keeper.flush()
    second = Pins(lambda: clock[0])
    await PinKeeper(second, database, lambda: clock[0]).load()
    assert [second.of("talk", combo) for combo in ("mix", "other", "none")] == [
        Pin("talk", "mix", "q", "z", NOW_MS + 1),
        Pin("talk", "other", "p", "y", NOW_MS),
        None,
    ]
    clock[0] = NOW_MS + PIN_TTL_MS + 1
    second.answered("new", "mix", "p", "x")
    await PinKeeper(second, database, lambda: clock[0]).flush()
    async with database.reading() as work:
        assert [row.conversation for row in await work.pins.seen_since(0)] == ["talk", "new"]


async def test_bindings_that_have_run_out_are_removed(database: Database) -> None:
    clock = [NOW_MS]
    affinity = Affinity(lambda: clock[0])
    keeper = AffinityKeeper(affinity, database, lambda: clock[0])
    affinity.bind("s", "p", "a")
    await keeper.flush()
    clock[0] += TTL_MS + CLEAN_MS
    await keeper.flush()
    async with database.reading() as work:
        assert await work.affinity.seen_since(0) == ()


async def test_a_deleted_account_takes_its_bindings_and_uses_along(database: Database) -> None:
    affinity, rotation = Affinity(lambda: NOW_MS), Rotation()
    keepers = (
        AffinityKeeper(affinity, database, lambda: NOW_MS),
        RotationKeeper(rotation, database),
    )
    for account in ("a", "b"):
        affinity.bind(f"s-{account}", "p", account)
        rotation.used("p", account, NOW_MS)
    for keeper in keepers:
        await keeper.flush()
    for part in (affinity, rotation):
        part.keep_only({"b"})
    for keeper in keepers:
        await keeper.flush()
    async with database.reading() as work:
        assert await work.affinity.seen_since(0) == (
            Binding(session="s-b", provider="p", connection="b", created_ms=NOW_MS, seen_ms=NOW_MS),
        )
        assert set(await work.rotations.all()) == {("use", "b"), ("latest", "p")}


async def test_turns_go_on_where_they_were(database: Database) -> None:
    first = Rotation()
    keeper = RotationKeeper(first, database)
    for _ in range(3):
        first.advance("combo:x")
    first.used("p", "a", NOW_MS)
    first.used("p", "a", NOW_MS + 1)
    first.used("q", "gone", NOW_MS)
    await keeper.flush()
    first.advance("combo:x")
    await keeper.flush()
    second = Rotation()
    await RotationKeeper(second, database).load({"a"})
    assert (second.turn("combo:x"), second.turn("other")) == (4, 0)
    assert (second.use("a").last_used_ms, second.use("a").in_a_row) == (NOW_MS + 1, 2)
    assert second.use("gone").last_used_ms is None
    second.used("p", "a", NOW_MS + 2)
    assert second.use("a").in_a_row == 3


async def test_damaged_turns_are_left_out(database: Database) -> None:
    async with database.work() as work:
        await work.rotations.save(
            {
                ("turn", "one"): "many",
                ("use", "a"): {"last_used_ms": "never"},
                ("latest", "p"): 7,
                ("turn", "two"): 2,
            }
        )
        await work.rotations._connection.execute(
            text("INSERT INTO rotation_states VALUES ('turn', 'three', '{')")
        )
    rotation = Rotation()
    await RotationKeeper(rotation, database).load({"a"})
    assert [rotation.turn(name) for name in ("one", "two", "three")] == [0, 2, 0]
    assert rotation.use("a").last_used_ms is None


async def test_nothing_is_written_while_nothing_changes(database: Database) -> None:
    affinity, rotation = Affinity(lambda: NOW_MS), Rotation()
    keeper = AffinityKeeper(affinity, database, lambda: NOW_MS)
    await keeper.flush()
    await database.close()  # whoever opened a transaction now would open the database again
    opened: list[str] = []
    database.work = lambda: opened.append("work")  # type: ignore[method-assign,assignment,return-value]
    await keeper.flush()
    await RotationKeeper(rotation, database).flush()
    await SessionKeeper(Sessions(lambda: NOW_MS), database, lambda: NOW_MS).flush()
    assert opened == []


async def test_the_last_use_of_a_key_is_stored_every_five_minutes(keyed: Database) -> None:
    clock = [NOW_MS]
    uses = KeyUses(lambda: clock[0])
    keeper = KeyUseKeeper(uses, keyed)

    async def last_used() -> str | None:
        await keeper.flush()
        async with keyed.reading() as work:
            row = await work.keys.get("k")
        return row.last_used_at if row is not None else None

    assert await last_used() is None
    uses.used("k")
    assert await last_used() == "2027-01-15T08:00:00.000Z"
    clock[0] += EVERY_MS - 1
    uses.used("k")
    assert await last_used() == "2027-01-15T08:00:00.000Z"
    clock[0] += 1
    uses.used("k")
    uses.used("gone")
    assert await last_used() == "2027-01-15T08:05:00.000Z"
