"""Backups of both databases: every row comes along, and only a whole database is replaced."""

import os
import shutil
import stat
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from tests.omniroute.storage.conftest import fresh_schema
from tests.support.rows import fill, held

from omniroute.errors import InvalidRequest
from omniroute.storage import migrate
from omniroute.storage.backups import checking, manifest
from omniroute.storage.backups.files import BackupFolder, Reason
from omniroute.storage.backups.manifest import Keyring
from omniroute.storage.backups.store import Backups, Limits
from omniroute.storage.database import Database, Work
from omniroute.storage.records.agents import ToolAudit
from omniroute.storage.records.configuration import Connection
from omniroute.storage.records.money import WindowKey
from omniroute.storage.records.usage import SpentCharge
from omniroute.storage.secret_box import SecretBox

pytestmark = pytest.mark.anyio

NOW_MS = 1_800_000_000_000


def backups_in(data_dir: Path, box: SecretBox, limits: Limits | None = None) -> Backups:
    async def translate(_source: Path, _target: Path) -> list[str]:
        raise AssertionError("no file of these tests is the reference product's")

    return Backups(
        folder=BackupFolder(data_dir),
        keyring=Keyring.of(box, "secret"),
        now_ms=lambda: NOW_MS,
        translate=translate,
        limits=limits or Limits(),
    )


CALL = ToolAudit(
    tool_name="t",
    input_hash="",
    output_summary="",
    duration_ms=1,
    api_key_id=None,
    success=True,
    error_code=None,
    created_at="2027-01-01 00:00:00",
)


async def anything(_: Work) -> None:
    """Every configuration will do."""


@asynccontextmanager
async def another(kind: str, directory: Path) -> AsyncGenerator[Database]:
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{directory}/other.sqlite"
        if kind == "postgres":
            url = await stack.enter_async_context(fresh_schema())
        database = await Database.open(url, directory, SecretBox(bytes(32)))
        stack.push_async_callback(database.close)
        yield database


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_every_row_of_every_table_moves_between_databases(
    database: Database, kind: str, tmp_path: Path, box: SecretBox
) -> None:
    backups = backups_in(tmp_path, box)
    async with database._writer.begin() as connection:
        await fill(connection, seed=1)
        before = await held(connection)
    made = await backups.create(database, "manual")
    async with another(kind, tmp_path / "other") as other:
        done = await backups.replace(other, made.path, "pre-import", anything)
        async with other._reader.connect() as connection:
            after = await held(connection)
        async with other.work() as work:  # numbers go on behind those that came along
            await work.audit.add(CALL)
    assert after == before
    assert all(len(rows) >= 6 for rows in after.values())
    assert done.counts.connection_count == 7


async def test_a_restore_makes_no_money_unspent_and_frees_no_lease(
    database: Database, tmp_path: Path, box: SecretBox
) -> None:
    backups, key = backups_in(tmp_path, box), WindowKey("key", "k", "daily", 0)

    async def spend(micro_usd: int) -> None:
        charge = SpentCharge(
            kind="key", id="k", period="daily", start_ms=0, holder="me", micro_usd=micro_usd
        )
        async with database.work() as work:
            await work.leases.charge([charge])

    async with database.work() as work:
        await work.leases.lease("me", key, 1, 1_000, 500, NOW_MS)
    await spend(100)
    made = await backups.create(database, "manual")
    await spend(100)
    await backups.replace(database, made.path, "pre-restore", anything)
    async with database.work() as work:
        standing = await work.leases.lease("me", key, 1, 1_000, 0, NOW_MS)
        version = await work.settings.version()
    assert (standing.spent, standing.mine) == (200, 300)
    assert version == 1  # other processes see that something has changed


async def test_what_does_not_verify_is_taken_back(
    database: Database, tmp_path: Path, box: SecretBox
) -> None:
    backups = backups_in(tmp_path, box)
    made = await backups.create(database, "manual")
    async with database._writer.begin() as connection:
        await fill(connection, seed=2)
        before = await held(connection)

    async def refuse(work: Work) -> None:
        assert await work.connections.list() == ()  # it does see the new rows
        raise InvalidRequest("no")

    with pytest.raises(InvalidRequest):
        await backups.replace(database, made.path, "pre-restore", refuse)
    async with database._reader.connect() as connection:
        assert await held(connection) == before
    assert [one.reason for one in backups.folder.all()] == ["pre-restore", "manual"]


async def test_others_read_and_write_while_a_backup_is_made(
    database: Database, tmp_path: Path, box: SecretBox
) -> None:
    backups = backups_in(tmp_path, box)
    async with database.work() as work:
        for place in range(200):
            row = Connection(id=f"c{place}", provider="openai", name=f"n{place}", api_key="k" * 500)
            await work.connections.save(row)
    done = anyio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        while not done.is_set():
            async with database.work() as work:
                await work.settings.bump()
            written += 1

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(write)
            made = await backups.create(database, "manual")
            done.set()
    assert written
    label = manifest.read(made.path)
    assert label is not None
    assert label.counts.connection_count == 200
    assert label.storage_keys == tuple(box.key_ids)


async def test_backups_are_private_and_hold_nothing_that_was_deleted(
    sqlite_url: str, tmp_path: Path, box: SecretBox
) -> None:
    database = await Database.open(sqlite_url, tmp_path, box)
    async with database.work() as work:
        await work.settings.set("canary", "canary-" * 2_000)
    async with database.work() as work:
        await work.settings.delete("canary")
    made = await backups_in(tmp_path, box).create(database, "manual")
    await database.close()
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700
    assert b"canary-canary" not in made.path.read_bytes()


KEPT: dict[str, tuple[list[tuple[int, Reason]], int, int, list[int]]] = {
    "those within the number stay": ([(1, "manual"), (2, "manual")], 2, 0, [1, 2]),
    "the oldest goes": ([(1, "manual"), (2, "manual"), (3, "manual")], 2, 0, [1, 2]),
    "one nobody asked for goes first": (
        [(1, "manual"), (2, "pre-write"), (3, "manual")],
        2,
        0,
        [1, 3],
    ),
    "too old ones go": ([(1, "manual"), (9, "manual"), (20, "manual")], 5, 7, [1]),
    "the newest stays however old": ([(30, "pre-write")], 5, 7, [30]),
    "the newest stays whatever it is": ([(1, "pre-write"), (2, "manual")], 1, 0, [1]),
}


@pytest.mark.parametrize(("there", "keep", "days", "left"), KEPT.values(), ids=KEPT)
def test_which_backups_stay(
    there: list[tuple[int, Reason]], keep: int, days: int, left: list[int], tmp_path: Path
) -> None:
    folder = BackupFolder(tmp_path)
    folder.path.mkdir()
    for age, reason in there:
        path = folder.free_name(reason, NOW_MS - age * 86_400_000)
        path.touch()
        path.with_name(path.name + "-wal").touch()
    pruned = folder.prune(keep, days, NOW_MS)
    ages = [round((NOW_MS - one.created_at_ms) / 86_400_000) for one in folder.all()]
    assert ages == left
    assert (pruned.backups, pruned.files) == (len(there) - len(left), 2 * (len(there) - len(left)))


async def test_work_of_dead_processes_is_cleared_away(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path)
    with folder.draft() as mine:
        dead = folder.path / ".draft-4194999-abc"
        dead.mkdir()
        (dead / "copy.sqlite").touch()
        async with folder.locked():
            assert mine.exists()
        assert not dead.exists()
    assert os.listdir(folder.path) == [".lock"]  # noqa: PTH208


async def test_a_copy_is_refused_where_the_disk_has_no_room(
    database: Database, tmp_path: Path, box: SecretBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = backups_in(tmp_path, box)
    made = await backups.create(database, "manual")
    monkeypatch.setattr(
        "omniroute.storage.backups.copying.shutil.disk_usage",
        lambda _: type("Usage", (), {"free": 1_000})(),
    )
    with pytest.raises(Exception, match="disk has 0 MiB left"):
        await backups.replace(database, made.path, "pre-restore", anything)
    async with database.reading() as work:
        assert await work.whole.used_bytes() > 0


NEXT = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "9000", "{head}"

def upgrade():
    op.add_column("combos", sa.Column("more", sa.Text()))
"""


async def test_an_old_schema_is_backed_up_before_it_changes(
    url: str, tmp_path: Path, box: SecretBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.open(url, tmp_path, box)
    async with database._writer.begin() as connection:
        await fill(connection, seed=3)
        before = await held(connection)
    await database.close()
    shutil.copytree(Path(migrate.__file__).parent / "migrations", tmp_path / "migrations")
    later = tmp_path / "migrations/versions/9000_next.py"
    later.write_text(NEXT.format(head=migrate.HEAD))
    monkeypatch.setattr(migrate, "_VERSIONS", later.parent)
    for module in (migrate, checking):
        monkeypatch.setattr(module, "HEAD", "9000")
    backups = backups_in(tmp_path, box)
    database = await Database.open(url, tmp_path, box, backups.before_migration)
    (made,) = backups.folder.all()
    said: list[str] = []
    await backups.replace(database, made.path, "pre-restore", anything, said.append)
    async with database._reader.connect() as connection:
        after = await held(connection)
    await database.close()
    assert made.reason == "pre-migration"
    assert any(line.startswith("migrating from") for line in said)
    assert after == before
