"""Units of work: commit, rollback, many writers, and a database that is not there."""

import socket
import stat
import sys
from pathlib import Path

import anyio
import pytest
from sqlalchemy import func, select

from omniroute.errors import InvalidRequest, OmniRouteError, StorageUnavailable
from omniroute.storage.database import Database
from omniroute.storage.records.configuration import Combo
from omniroute.storage.secret_box import SecretBox

pytestmark = pytest.mark.anyio

PATIENCE_S = 30


async def test_an_exception_rolls_everything_back(database: Database) -> None:
    async def fail_half_way() -> None:
        async with database.work() as work:
            await work.settings.set("a", 1)
            raise LookupError

    with pytest.raises(LookupError):
        await fail_half_way()
    async with database.reading() as work:
        assert await work.settings.all() == {}


async def test_a_cancelled_unit_rolls_back_and_gives_up_its_turn(database: Database) -> None:
    with anyio.fail_after(PATIENCE_S):
        with anyio.CancelScope() as scope:
            async with database.work() as work:
                await work.settings.set("a", 1)
                scope.cancel()
                await work.settings.set("b", 1)
        async with database.work() as work:
            assert await work.settings.all() == {}


async def test_a_reading_unit_cannot_write(database: Database) -> None:
    with pytest.raises(StorageUnavailable):
        async with database.reading() as work:
            await work.settings.set("a", 1)
    async with database.work() as work:
        await work.settings.set("a", 2)
        assert await work.settings.all() == {"a": 2}


async def test_writers_take_turns_and_lose_nothing(database: Database) -> None:
    seen: list[int] = []

    async def count() -> None:
        async with database.work() as work:
            seen.append(await work.settings.bump())

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(count)
    assert sorted(seen) == list(range(1, 41))


async def test_two_opened_databases_write_side_by_side(
    database: Database, url: str, tmp_path: Path, box: SecretBox
) -> None:
    other = await Database.open(url, tmp_path / "data", box)

    async def count(one: Database) -> None:
        for _ in range(20):
            async with one.work() as work:
                await work.settings.bump()

    try:
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                group.start_soon(count, database)
                group.start_soon(count, other)
        async with other.reading() as work:
            assert await work.settings.version() == 40
    finally:
        await other.close()


async def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with anyio.fail_after(PATIENCE_S):
        async with database.work() as writing:
            await writing.settings.set("a", 1)
            async with database.reading() as work:
                assert await work.settings.all() == {}


async def test_a_value_beyond_its_column_is_refused(database: Database) -> None:
    with pytest.raises(InvalidRequest, match="does not fit"):
        async with database.work() as work:
            await work.combos.save(Combo(id="1", name="a", sort_order=10**30))


async def test_the_sqlite_file_is_private_and_in_wal_mode(tmp_path: Path, box: SecretBox) -> None:
    data_dir = tmp_path / "new" / "data"
    database = await Database.open(f"sqlite:///{data_dir}/storage.sqlite", data_dir, box)
    async with database.work() as work:
        await work.settings.bump()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data_dir.iterdir()}
    await database.close()
    assert modes == dict.fromkeys(
        ("migrate.lock", "storage.sqlite", "storage.sqlite-wal", "storage.sqlite-shm"), 0o600
    )
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


REFUSED = {
    "not a URL": "nonsense",
    "another database": "mysql://root:secret@localhost/x",
    "SQLite without a file": "sqlite://",
    "SQLite in memory": "sqlite:///:memory:",
}


@pytest.mark.parametrize("bad", REFUSED.values(), ids=REFUSED)
async def test_a_url_that_names_no_usable_database_is_refused(
    bad: str, tmp_path: Path, box: SecretBox
) -> None:
    with pytest.raises(InvalidRequest, match="postgresql://") as raised:
        await Database.open(bad, tmp_path, box)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
async def test_an_unreachable_postgresql_is_unavailable(
    scheme: str, tmp_path: Path, box: SecretBox
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with anyio.fail_after(PATIENCE_S), pytest.raises(StorageUnavailable) as raised:
            await Database.open(f"{scheme}://me:hunter2@{address}/x", tmp_path, box)
    assert raised.value.__cause__ is not None
    assert "hunter2" not in str(raised.value)
    assert address not in str(raised.value)


async def test_without_its_driver_postgresql_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, box: SecretBox
) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(InvalidRequest, match=r"omniroute\[postgres\]"):
        await Database.open("postgresql://localhost/x", tmp_path, box)


async def test_a_lost_postgresql_connection_is_made_again(
    postgres_url: str, tmp_path: Path, box: SecretBox
) -> None:
    database = await Database.open(postgres_url, tmp_path, box)
    try:
        async with database.work() as work:
            await work.settings.set("a", 1)
            pid = await work.settings._connection.scalar(select(func.pg_backend_pid()))
        killer = await Database.open(postgres_url, tmp_path, box)
        async with killer.work() as work:
            await work.settings._connection.execute(select(func.pg_terminate_backend(pid)))
        await killer.close()
        async with database.reading() as work:
            assert await work.settings.all() == {"a": 1}
    finally:
        await database.close()


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, box: SecretBox) -> None:
    (tmp_path / "storage.sqlite").write_bytes(b"no database, just text " * 100)
    with pytest.raises(OmniRouteError) as raised:
        await Database.open(f"sqlite:///{tmp_path}/storage.sqlite", tmp_path, box)
    assert type(raised.value) is StorageUnavailable
