"""Migrations lead to the tables the code uses, once, however many processes start."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from tests.support.rows import fill, held

from omniroute.errors import StorageUnavailable
from omniroute.storage import migrate, search_index
from omniroute.storage.database import Database
from omniroute.storage.engines import create_engines
from omniroute.storage.migrate import HEAD, run_migrations
from omniroute.storage.secret_box import SecretBox
from omniroute.storage.tables import metadata

pytestmark = pytest.mark.anyio

MIGRATIONS = Path(migrate.__file__).parent / "migrations"

# Opens the database, then says whether that took Alembic.
OPEN = """
import asyncio, sys
from pathlib import Path
from omniroute.storage.database import Database
from omniroute.storage.secret_box import SecretBox

async def main(url, data_dir):
    database = await Database.open(url, Path(data_dir), SecretBox(bytes(32)))
    async with database.work() as work:
        await work.settings.bump()
    await database.close()
    print("alembic" in sys.modules)

asyncio.run(main(*sys.argv[1:]))
"""


async def open_in_process(url: str, data_dir: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", OPEN, url, str(data_dir)]
    done = await anyio.run_process(command, stderr=subprocess.STDOUT, check=False)
    return done.stdout.decode().strip()


def test_the_head_constant_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def differences(connection: Connection) -> list[object]:
    """What a database lacks or has too much, but for its kind of full-text index."""
    opts = {"include_name": lambda name, *_: not str(name).startswith(search_index.PREFIX)}
    context = MigrationContext.configure(connection, opts=opts)
    return list(compare_metadata(context, metadata))


async def test_migrated_tables_are_the_tables_in_code(url: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    writer, reader = create_engines(url)
    async with writer.begin() as connection:
        await connection.run_sync(run_migrations)
        assert await connection.run_sync(differences) == []
    await writer.dispose()
    await reader.dispose()


async def test_a_new_database_is_one_that_was_migrated(database: Database) -> None:
    async with database._reader.connect() as connection:
        assert await connection.run_sync(differences) == []
        found = await connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        assert found.scalars().all() == [HEAD]


async def test_a_database_that_holds_something_is_migrated(
    url: str, tmp_path: Path, box: SecretBox
) -> None:
    (tmp_path / "data").mkdir()
    writer, reader = create_engines(url)
    async with writer.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE somebody_elses (id INTEGER)")
    await writer.dispose()
    await reader.dispose()
    database = await Database.open(url, tmp_path / "data", box)
    async with database._reader.connect() as connection:
        found = await connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        assert found.scalars().all() == [HEAD]
    await database.close()


async def test_processes_that_start_at_once_all_succeed(url: str, tmp_path: Path) -> None:
    answers: list[str] = []

    async def start() -> None:
        answers.append(await open_in_process(url, tmp_path / "data"))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(start)
    assert set(answers) <= {"True", "False"}
    assert await open_in_process(url, tmp_path / "data") == "False"


async def test_a_database_of_a_newer_version_is_refused(
    database: Database, url: str, tmp_path: Path, box: SecretBox
) -> None:
    async with database._writer.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageUnavailable, match="newer version"):
        await Database.open(url, tmp_path / "data", box)


async def test_a_copy_that_lost_wal_mode_gets_it_back(
    sqlite_url: str, tmp_path: Path, box: SecretBox
) -> None:
    database = await Database.open(sqlite_url, tmp_path, box)
    await database.close()
    raw = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    assert raw.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    raw.close()
    database = await Database.open(sqlite_url, tmp_path, box)
    async with database._reader.connect() as connection:
        mode = await connection.exec_driver_sql("PRAGMA journal_mode")
        assert mode.scalar_one() == "wal"
    await database.close()


UNTRUSTED = {
    "of no version": "DELETE FROM alembic_version",
    "of two versions": "INSERT INTO alembic_version VALUES ('0001')",
    "with an unfinished migration": "CREATE TABLE _alembic_tmp_combos (id INTEGER)",
    "lacking a table": "DROP TABLE conversation_pins",
}


@pytest.mark.parametrize("spoil", UNTRUSTED.values(), ids=UNTRUSTED)
async def test_a_database_nobody_can_vouch_for_is_refused(
    database: Database, url: str, tmp_path: Path, box: SecretBox, spoil: str
) -> None:
    async with database._writer.begin() as connection:
        await connection.exec_driver_sql(spoil)
    with pytest.raises(StorageUnavailable, match=r"cannot be trusted.*restore the latest backup"):
        await Database.open(url, tmp_path / "data", box)


FAILING = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "9000", "{head}"

def upgrade():
    op.create_table("half", sa.Column("id", sa.Integer()))
    with op.batch_alter_table("combos", recreate="{recreate}") as batch:
        batch.add_column(sa.Column("more", sa.Text()))
    op.execute("UPDATE combos SET name = 'changed'")
    op.execute("INSERT INTO nowhere VALUES (1)")
"""


async def test_a_migration_that_fails_leaves_the_old_schema_whole(
    url: str, tmp_path: Path, box: SecretBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.open(url, tmp_path, box)
    async with database._writer.begin() as connection:
        await fill(connection, seed=1)
        before = await held(connection)
    await database.close()
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy)
    recreate = "always" if url.startswith("sqlite") else "never"
    failing = FAILING.format(head=HEAD, recreate=recreate)
    (copy / "versions/9000_fails.py").write_text(failing)
    asked = []

    async def backup(_: Database) -> None:
        asked.append(True)

    with monkeypatch.context() as patched:
        patched.setattr(migrate, "_VERSIONS", copy / "versions")
        patched.setattr(migrate, "HEAD", "9000")
        with pytest.raises(StorageUnavailable, match="taken back"):
            await Database.open(url, tmp_path, box, backup)
    database = await Database.open(url, tmp_path, box)
    async with database._reader.connect() as connection:
        assert await held(connection) == before
        assert await connection.run_sync(differences) == []
    await database.close()
    assert asked == [True]


async def test_a_table_that_is_copied_keeps_what_points_to_it(
    sqlite_url: str, tmp_path: Path, box: SecretBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.open(sqlite_url, tmp_path, box)
    async with database._writer.begin() as connection:
        await fill(connection, seed=1)
        before = await held(connection)
    await database.close()
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy)
    lines = FAILING.format(head=HEAD, recreate="always").splitlines()
    copied = "\n".join(line for line in lines if "execute" not in line)
    (copy / "versions/9000_copies.py").write_text(copied)
    monkeypatch.setattr(migrate, "_VERSIONS", copy / "versions")
    monkeypatch.setattr(migrate, "HEAD", "9000")
    database = await Database.open(sqlite_url, tmp_path, box)
    async with database._reader.connect() as connection:
        assert await held(connection) == before
    await database.close()
