"""Health is stored behind the requests, and read again by the next process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omniroute.pipeline.keepers.health_keeper import HealthKeeper, as_rows, from_rows
from omniroute.routing.resilience.health import Health, HealthView
from omniroute.routing.resilience.verdicts import Failure, classify
from omniroute.storage.database import Database
from omniroute.storage.secret_box import SecretBox

pytestmark = pytest.mark.anyio

NOW_MS = 1_800_000_000_000
CONNECTIONS = frozenset({"a", "b"})
FAILURES = [Failure(cause="status", status=status) for status in (503, 401, 404, 429)]


def ailing() -> Health:
    """A breaker that counts, two accounts that rest, a model that is locked."""
    health = Health(lambda: NOW_MS)
    for failure, connection in zip(FAILURES, ("a", "b", "a", "a"), strict=True):
        health.failed("p", connection, "m", failure, classify(failure))
    return health


def plain(view: HealthView) -> object:
    """What of a view is kept."""
    return as_rows(view)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite:///{tmp_path / 'h.db'}", tmp_path, SecretBox(bytes(32)))
    yield opened
    await opened.close()


async def test_the_next_process_knows_what_this_one_knew(database: Database) -> None:
    health = ailing()
    keeper = HealthKeeper(health, database)
    await keeper.flush()
    other = Health(lambda: NOW_MS)
    await HealthKeeper(other, database).load(CONNECTIONS)
    assert plain(other.view()) == plain(health.view()) != plain(HealthView(NOW_MS))
    for connection in CONNECTIONS:
        place = ("p", connection, "m")
        assert other.view().blocked(*place) == health.view().blocked(*place) is not None


async def test_what_got_well_is_forgotten(database: Database) -> None:
    health = ailing()
    keeper = HealthKeeper(health, database)
    await keeper.flush()
    health.succeeded("p", "a", "m")
    await keeper.flush()
    other = Health(lambda: NOW_MS)
    await HealthKeeper(other, database).load(CONNECTIONS)
    assert list(other.view().cooldowns) == ["b"]
    assert (dict(other.view().breakers), dict(other.view().lockouts)) == ({}, {})


async def test_accounts_that_are_gone_are_left_out_and_cleaned_up(database: Database) -> None:
    await HealthKeeper(ailing(), database).flush()
    other = Health(lambda: NOW_MS)
    keeper = HealthKeeper(other, database)
    await keeper.load({"b"})
    assert (list(other.view().cooldowns), dict(other.view().lockouts)) == (["b"], {})
    await keeper.flush()
    async with database.reading() as work:
        assert set(await work.health.all()) == {("breaker", "p"), ("cooldown", "b")}


async def test_it_is_stored_on_the_way_out(database: Database) -> None:
    health = ailing()
    async with HealthKeeper(health, database):
        pass
    async with database.reading() as work:
        assert len(await work.health.all()) == 4


async def test_a_probe_dies_with_its_process() -> None:
    clock = [NOW_MS]
    health = Health(lambda: clock[0])
    for number in range(12):
        health.failed("p", f"c{number}", "m", FAILURES[0], classify(FAILURES[0]))
    clock[0] += 30_000
    health.begin("p")
    assert health.view().blocked("p", "new", "m") is not None
    other = Health(lambda: clock[0])
    other.restore(from_rows(as_rows(health.view()), CONNECTIONS, clock[0]))
    assert other.view().blocked("p", "new", "m") is None


DAMAGED = {
    "no state": ("breaker", "p", None),
    "a state of another kind": ("cooldown", "a", {"until_ms": "soon"}),
    "a name that is no key": ("lockout", "p/m", {}),
    "an unknown scope": ("mood", "p", {}),
}


@pytest.mark.parametrize(("scope", "name", "row"), DAMAGED.values(), ids=DAMAGED)
async def test_what_is_damaged_is_left_out(scope: str, name: str, row: object) -> None:
    found = from_rows({(scope, name): row}, CONNECTIONS, NOW_MS)
    assert as_rows(found) == {}
