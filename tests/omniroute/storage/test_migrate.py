"""Migrations lead to the tables the code uses, once, however many processes start."""

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

import omniroute.storage.migrate
from omniroute.errors import StorageUnavailable
from omniroute.storage.database import Database
from omniroute.storage.engines import create_engines
from omniroute.storage.migrate import HEAD, run_migrations
from omniroute.storage.secret_box import SecretBox
from omniroute.storage.tables import metadata

pytestmark = pytest.mark.anyio

MIGRATIONS = Path(omniroute.storage.migrate.__file__).parent / "migrations"

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
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


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
