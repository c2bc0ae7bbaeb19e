"""A new storage key: everything is sealed under it, nothing is lost, whoever else is at work."""

import ast
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace
from sqlalchemy import update
from tests.support.sealed_rows import account, plant, planted, texts

from omniroute import storage
from omniroute.errors import Conflict, StorageUnavailable
from omniroute.storage import locks
from omniroute.storage.database import Database
from omniroute.storage.key_files import KeyFiles, id_of
from omniroute.storage.rotation import Rotation
from omniroute.storage.sealed import BATCH, PLACES
from omniroute.storage.secret_box import SEALED
from omniroute.storage.session_secret import SessionSecret
from omniroute.storage.tables import provider_connections

pytestmark = pytest.mark.anyio

SEALERS = {"connections", "nodes", "keys", "proxies", "push", "model_names", "oauth"}
"""Modules that seal; `tests/support/sealed_rows.py` has a secret in every place of theirs."""


def silent(_: str) -> None:
    """Progress nobody wants to hear of."""


@asynccontextmanager
async def opened(url: str, directory: Path, **environ: str) -> AsyncGenerator[Rotation]:
    """One process on a data directory."""
    files = KeyFiles(directory, environ)
    box = files.box()
    database = await Database.open(url, directory, box)
    try:
        yield Rotation(database, files, box)
    finally:
        await database.close()


def key_files(directory: Path) -> dict[str, str]:
    found = (directory / "secrets").glob("storage-key*")
    return {path.name: id_of(path.read_text().strip()) for path in found}


async def ids_in(database: Database) -> set[str]:
    """The ids of all keys that a stored text names."""
    stored = (await texts(database)).values()
    return {id_ for column in stored for text in column for id_ in SEALED.findall(text)}


def test_every_module_that_seals_is_known_here() -> None:
    """Sealing needs `steady()`. A new module that calls it plants a secret in `sealed_rows`, and
    has its rows in `sealed.PLACES`."""
    found = set()
    for path in Path(storage.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Attribute) and call.attr in ("steady", "seal"):
                found.add(path.stem)
    assert found == {*SEALERS, "sealed"}


async def test_the_table_knows_every_place(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as rotation:
        await plant(rotation._database)
        stored = await texts(rotation._database)
    found = {place for place, rows in stored.items() if any(map(SEALED.search, rows))}
    known = {(place.column.table.name, place.column.name) for place in PLACES}
    assert found == known


@pytest.mark.parametrize("keep_old", [False, True])
async def test_everything_is_sealed_anew(keep_old: bool, url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as rotation:
        await plant(rotation._database, accounts=BATCH + 3)
        before, old = await planted(rotation._database), rotation.box.key_id
        told: list[str] = []
        done = await rotation.rotate(keep_old=keep_old, progress=told.append)
        assert done.key not in (old, "")
        assert done.left == {}
        assert done.resealed == (BATCH + 3) * 5 + 8
        assert await ids_in(rotation._database) == {done.key}
        assert await planted(rotation._database) == before
        assert told[len(PLACES) - 1] == f"a2a_push_configs.config: {done.resealed} rows so far"
        kept = {f"storage-key.retired-{old}": old} if keep_old else {}
        assert key_files(tmp_path) == {"storage-key": done.key, **kept}
        assert rotation.box.key_ids == {done.key, *kept.values()}
        again = await rotation.rotate(keep_old=False, progress=silent)
        assert again.key != done.key
        assert await ids_in(rotation._database) == {again.key}
    async with opened(url, tmp_path) as rotation:
        assert await planted(rotation._database) == before


async def test_the_key_files_are_private(tmp_path: Path, sqlite_url: str) -> None:
    async with opened(sqlite_url, tmp_path) as rotation:
        rotation.files.begin(keep_old=True)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()}
    assert modes == {0o600}
    assert set(key_files(tmp_path)) > {"storage-key", "storage-key.previous"}


async def test_a_rotation_that_broke_off_goes_on_with_its_key(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as rotation:
        await plant(rotation._database)
        before = await planted(rotation._database)
        rotation.files.begin(keep_old=False)
    begun = key_files(tmp_path)
    async with opened(url, tmp_path) as rotation:
        assert await planted(rotation._database) == before
        done = await rotation.resume()
        assert done is not None
        assert done.key == begun["storage-key"] != begun["storage-key.previous"]
        assert key_files(tmp_path) == {"storage-key": done.key}
        assert await ids_in(rotation._database) == {done.key}
        assert await planted(rotation._database) == before
        assert await rotation.resume() is None


async def test_the_next_start_finishes_what_broke_off(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as rotation:
        await plant(rotation._database)
        before = await planted(rotation._database)
        rotation.files.begin(keep_old=True)
    with anyio.fail_after(30):
        async with opened(url, tmp_path) as rotation, rotation.resuming():
            while rotation.files.is_rotating:
                await anyio.lowlevel.checkpoint()
            done = await rotation.rotate(keep_old=False, progress=silent)
            assert await planted(rotation._database) == before
            assert await ids_in(rotation._database) == {done.key}
    (kept,) = set(key_files(tmp_path)) - {"storage-key"}
    assert kept.startswith("storage-key.retired-")


async def test_a_directory_that_cannot_be_written_changes_nothing(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(sqlite_url, tmp_path) as rotation:
        await plant(rotation._database)
        old, before = key_files(tmp_path), await planted(rotation._database)

        def full(_self: Path, _target: Path) -> Path:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", full)
            with pytest.raises(StorageUnavailable, match="rotate again"):
                await rotation.rotate(keep_old=False, progress=silent)
        found = {name: id_ for name, id_ in key_files(tmp_path).items() if "." not in name}
        assert found == old
        assert await planted(rotation._database) == before
        await rotation.rotate(keep_old=False, progress=silent)
        assert await planted(rotation._database) == before


async def test_a_rotation_that_had_made_no_key_yet(sqlite_url: str, tmp_path: Path) -> None:
    """Killed between the two files: the old key has both names."""
    async with opened(sqlite_url, tmp_path) as rotation:
        await plant(rotation._database)
        old = rotation.box.key_id
    current = tmp_path / "secrets/storage-key"
    (tmp_path / "secrets/storage-key.previous").write_text(current.read_text())
    async with opened(sqlite_url, tmp_path) as rotation:
        done = await rotation.resume()
        assert done is not None
        assert done.key == old
        assert key_files(tmp_path) == {"storage-key": old}
    (tmp_path / "secrets/storage-key.previous").write_text(current.read_text())
    async with opened(sqlite_url, tmp_path) as rotation:
        assert (await rotation.rotate(keep_old=False, progress=silent)).key != old
        assert await ids_in(rotation._database) == {rotation.box.key_id}


async def test_what_does_not_open_stays_and_keeps_its_key(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as rotation:
        await plant(rotation._database)
        old = rotation.box.key_id
        table = provider_connections
        damaged = f"enc:v2:{old}:AAAA"
        async with rotation._database._writer.begin() as connection:
            await connection.execute(update(table).values(api_key=damaged))
        done = await rotation.rotate(keep_old=False, progress=silent)
        assert done.left == {old: 1}
        assert set(key_files(tmp_path)) == {"storage-key", f"storage-key.retired-{old}"}
        async with rotation._database.reading() as work:
            assert await work.sealed.unreadable() == [f"{table.name}:c0000:api_key"]
        assert (await texts(rotation._database))[table.name, "api_key"] == [damaged]
        again = await rotation.rotate(keep_old=False, progress=silent)
        assert (again.key != done.key, again.left) == (True, {old: 1})


async def test_a_row_that_changes_meanwhile_stays_as_changed(url: str, tmp_path: Path) -> None:
    place = PLACES[0]
    async with opened(url, tmp_path) as rotation:
        await plant(rotation._database)
        database = rotation._database
        async with database.reading() as work:
            read = await work.sealed.batch(place, None)
        rotation.files.begin(keep_old=False)
        async with database.work() as work:
            await work.connections.save(account(7))
            await work.connections.save(replace(account(0), api_key="changed"))
        async with database.work() as work:
            assert await work.sealed.reseal(place, read) == 0
        await rotation.rotate(keep_old=False, progress=silent)
        async with database.reading() as work:
            found = await work.connections.get("c0000")
        assert found is not None
        assert found.api_key == "changed"


async def test_a_value_sealed_before_and_stored_after_is_not_lost(url: str, tmp_path: Path) -> None:
    """Another process has sealed under the old key and not committed yet."""
    async with opened(url, tmp_path) as ours, opened(url, tmp_path) as theirs:
        await plant(ours._database)
        ended = anyio.Event()

        async def rotate() -> None:
            await ours.rotate(keep_old=False, progress=silent)
            ended.set()

        with anyio.fail_after(30):
            async with anyio.create_task_group() as group, theirs._database.work() as work:
                await work.connections.save(account(50))
                group.start_soon(rotate)
                while not theirs.files.is_rotating:
                    await anyio.lowlevel.checkpoint()
                assert not ended.is_set()
        assert await ids_in(ours._database) == {ours.box.key_id}
        async with ours._database.reading() as work:
            assert len(await work.connections.list()) == 2
            assert await work.sealed.unreadable() == []


async def test_another_process_learns_the_key(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as ours, opened(url, tmp_path) as theirs:
        await plant(ours._database)
        before = await planted(ours._database)
        done = await ours.rotate(keep_old=False, progress=silent)
        assert theirs.box.key_id != done.key
        assert await planted(theirs._database) == before
        await ours.rotate(keep_old=False, progress=silent)
        async with theirs._database.work() as work:
            await work.connections.save(account(9))
        assert theirs.box.key_id == ours.box.key_id
        assert await ids_in(ours._database) == {ours.box.key_id}


async def test_a_key_of_the_environment_seals_everything(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as rotation:
        await plant(rotation._database)
        before = await planted(rotation._database)
    files = key_files(tmp_path)
    environ = {
        "STORAGE_ENCRYPTION_KEY": "a passphrase",
        "STORAGE_ENCRYPTION_KEY_PREVIOUS": (tmp_path / "secrets/storage-key").read_text().strip(),
    }
    async with opened(url, tmp_path, **environ) as rotation:
        assert await planted(rotation._database) == before
        done = await rotation.rotate(keep_old=False, progress=silent)
        assert done.key == id_of("a passphrase")
        assert await ids_in(rotation._database) == {done.key}
    del environ["STORAGE_ENCRYPTION_KEY_PREVIOUS"]
    async with opened(url, tmp_path, **environ) as rotation:
        assert await planted(rotation._database) == before
    assert key_files(tmp_path) == files


async def test_one_rotation_at_a_time(sqlite_url: str, tmp_path: Path) -> None:
    async with opened(sqlite_url, tmp_path) as rotation:
        old = key_files(tmp_path)
        with locks.held(tmp_path / "secrets/rotation.lock"), pytest.raises(Conflict):
            await rotation.rotate(keep_old=False, progress=silent)
        assert key_files(tmp_path) == old


def test_a_new_session_secret_is_seen_by_others(tmp_path: Path) -> None:
    ours, theirs = SessionSecret(tmp_path, {}), SessionSecret(tmp_path, {})
    old = ours.current()
    assert theirs.current() == old
    ours.rotate()
    assert theirs.current() == ours.current() != old
    with pytest.raises(Conflict, match="JWT_SECRET"):
        SessionSecret(tmp_path, {"JWT_SECRET": "x" * 32}).rotate()
