"""Runs one operation again and again in children that kill themselves at a drawn step."""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from sqlalchemy import event, inspect, text
from sqlalchemy.engine import Engine
from tests.support.rows import fill, held
from tests.support.sealed_rows import plant, planted

from omniroute.caller import SYSTEM
from omniroute.operations.configuration.config_files import (
    apply_configuration,
    export_configuration,
)
from omniroute.operations.configuration.configuration_file.everything import read_owned
from omniroute.storage import migrate
from omniroute.storage.backups.files import BackupFolder
from omniroute.storage.backups.loading import LIVE
from omniroute.storage.backups.manifest import Keyring
from omniroute.storage.backups.store import Backups
from omniroute.storage.database import Database, Work
from omniroute.storage.key_files import KeyFiles
from omniroute.storage.retention import RULES, Keep
from omniroute.storage.rotation import Rotation
from omniroute.storage.secret_box import SecretBox
from omniroute.storage.tables import metadata
from omniroute_app.settings import Settings, load_settings
from omniroute_app.wiring import open_engine

NOW_MS = 1_800_000_000_000
BOX = SecretBox(bytes(32))
LATER = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "9000", "{head}"

def upgrade():
    op.create_table("more", sa.Column("id", sa.Integer(), primary_key=True))
    op.add_column("combos", sa.Column("more", sa.Text()))
    op.execute("UPDATE combos SET more = name")
    for number in range(20):
        op.execute(f"INSERT INTO more VALUES ({{number}})")
"""

# What a restore leaves as it is, at least in part.
KEPT = {*LIVE, "budget_windows"}

BEFORE = """
[settings]
debugMode = false
[combos.gone]
models = ["openai/a"]
[combos.changed]
models = ["openai/a"]
[keys.gone]
[budgets.key.gone]
daily_limit_usd = 1
"""
AFTER = """
[settings]
mcpEnabled = false
[accounts.openai.made]
api_key = "sk-made"
[combos.changed]
models = ["made", "openai/b"]
[combos.made]
models = ["openai/a"]
[keys.made]
[aliases]
quick = "openai/a"
[proxies.made]
host = "proxy.example"
port = 1
for = ["account:openai/made"]
"""

Rows = dict[str, list[int]]
BACK = (
    "DROP TABLE more",
    "ALTER TABLE combos DROP COLUMN more",
    "UPDATE alembic_version SET version_num = '{head}'",
)
NEXT = "9000"


class Steps:
    """Counts what a process does to disks and databases; at `last` it is killed."""

    def __init__(self) -> None:
        self.count = 0
        self.last: int | None = None

    def step(self, *_: object) -> None:
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def watch(self) -> None:
        event.listen(Engine, "before_cursor_execute", self.step)
        event.listen(Engine, "commit", self.step)
        for place, name in (
            (os, "fsync"),
            (Path, "replace"),
            (Path, "unlink"),
            (shutil, "copyfile"),
        ):
            setattr(place, name, self._counted(getattr(place, name)))

    def _counted(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            self.step()
            result = plain(*args, **named)
            self.step()
            return result

        return counted


async def anything(_: Work) -> None:
    """Every configuration will do."""


async def nothing(_source: Path, _target: Path) -> list[str]:
    raise AssertionError


class Scene:
    """A database with rows, and a backup of other rows."""

    def __init__(self, doing: str, url: str, directory: Path) -> None:
        self.doing, self.url, self.directory = doing, url, directory
        self.backups = Backups(
            folder=BackupFolder(directory),
            keyring=Keyring.of(BOX, "secret"),
            now_ms=lambda: NOW_MS,
            translate=nothing,
        )

    async def prepare(self) -> None:
        """The rows of seed 1 are in the backup `other.sqlite`, those of seed 2 in the database."""
        if self.doing == "rotate":
            async with self.rotation() as rotation:
                await plant(rotation._database, accounts=150)
            return
        database = await self.open()
        if self.doing == "apply":
            await self.prepare_file(database)
            return
        async with database._writer.begin() as connection:
            await fill(connection, seed=1)
        made = await self.backups.create(database, "manual")
        shutil.copyfile(made.path, self.directory / "other.sqlite")
        async with database._writer.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                await connection.execute(table.delete())
            await fill(connection, seed=2)
        await self.backups.create(database, "manual")
        shutil.copyfile(self.backups.folder.all()[0].path, self.directory / "first.sqlite")
        await database.close()

    async def prepare_file(self, database: Database) -> None:
        """What an earlier file left is in the database and in `first.sqlite`."""
        await database.close()
        await self.apply(BEFORE)
        database = await self.open()
        await self.backups.create(database, "manual")
        shutil.copyfile(self.backups.folder.all()[0].path, self.directory / "first.sqlite")
        await database.close()

    async def open(self) -> Database:
        return await Database.open(self.url, self.directory, BOX, self.backups.before_migration)

    async def act(self) -> None:
        """What is killed."""
        if self.doing == "apply":
            await self.apply(AFTER)
            return
        if self.doing == "rotate":
            await self.rotate()
            return
        if self.doing == "migration":
            self.to_next_version()
        database = await self.open()
        if self.doing == "backup":
            await self.backups.create(database, "manual")
        elif self.doing == "restore":
            other = self.directory / "other.sqlite"
            await self.backups.replace(database, other, "pre-restore", anything)
        elif self.doing == "import":
            await self.backups.replace(
                database, self.directory / "other.sqlite", "pre-import", anything
            )
        elif self.doing == "retention":
            for rule in RULES.values():
                async with database.reading() as work:
                    cutoff = await work.retention.cutoff_ms(rule, Keep(0, 3), NOW_MS)
                if cutoff is not None:
                    for _ in range(4):
                        async with database.work() as work:
                            await work.retention.delete_before(rule, cutoff, 1)
        await database.close()

    @asynccontextmanager
    async def rotation(self) -> AsyncGenerator[Rotation]:
        """The keys of the directory, and a database under them."""
        files = KeyFiles(self.directory, {})
        box = files.box()
        database = await Database.open(self.url, self.directory, box)
        yield Rotation(database, files, box)
        await database.close()

    async def rotate(self) -> None:
        """Rotate the storage key, or finish that; then one key seals everything."""
        async with self.rotation() as rotation:
            done = await rotation.rotate(keep_old=False, progress=lambda _: None)
            assert done.left == {}, done
            async with rotation._database.reading() as work:
                assert set(await work.sealed.count()) == {done.key}
        names = {path.name for path in (self.directory / "secrets").glob("storage-key*")}
        assert names == {"storage-key"}, names

    async def opens(self) -> Rows:
        """Every secret in clear text, as numbers."""
        async with self.rotation() as rotation:
            async with rotation._database.reading() as work:
                unreadable = await work.sealed.unreadable()
            assert unreadable == [], unreadable
            return {"secrets": [hash(await planted(rotation._database))]}

    async def apply(self, text: str) -> None:
        """Apply a configuration file."""
        async with open_engine(self.settings(), {}) as engine:
            await apply_configuration(engine, SYSTEM, text)

    async def applied(self) -> dict[str, list[int]]:
        """What is configured, and what of it belongs to files."""
        async with open_engine(self.settings(), {}) as engine:
            exported = await export_configuration(engine, SYSTEM)
            async with engine.database.reading() as work:
                owned = sorted(await read_owned(work))
        return {"text": [hash(exported.text)], "owned": [hash(repr(owned))]}

    def settings(self) -> Settings:
        """Those of a gateway on this scene."""
        return load_settings(
            {},
            data_dir=self.directory,
            database_url=self.url,
            discover=False,
            disable_auto_backup=True,
        )

    def to_next_version(self) -> None:
        """Be the program that comes after this one."""
        later = self.directory / "migrations/versions/9000_next.py"
        if not later.exists():
            plain = Path(migrate.__file__).parent / "migrations"
            shutil.copytree(plain, self.directory / "migrations", dirs_exist_ok=True)
            later.write_text(LATER.format(head=migrate.HEAD))
        migrate._VERSIONS = later.parent
        migrate.HEAD = NEXT

    async def digest(self) -> dict[str, list[int]]:
        """What the database holds when it is opened anew, as numbers, by table."""
        if self.doing == "apply":
            return await self.applied()
        if self.doing == "rotate":
            secrets = await self.opens()
            await self.rotate()
            assert await self.opens() == secrets
            return secrets
        if self.doing == "migration":
            self.to_next_version()
            await self.require_one_version()
        database = await self.open()
        async with database.reading() as work:
            problems = await work.whole.problems()
        assert problems == [], problems
        async with database._reader.connect() as connection:
            found = await held(connection)
        await database.close()
        return {
            name: [hash(repr(row)) for row in rows]
            for name, rows in found.items()
            if name not in KEPT
        }

    async def require_one_version(self) -> None:
        """The schema is the old one or the new one, and says which."""
        database = Database.connect(self.url, BOX)
        revision = await database.state()
        async with database._reader.connect() as connection:
            names = await connection.run_sync(lambda one: inspect(one).get_table_names())
            columns = await connection.run_sync(lambda one: inspect(one).get_columns("combos"))
        await database.close()
        new = revision == NEXT
        found = "more" in names, any(column["name"] == "more" for column in columns)
        assert found == (new, new), (revision, found)

    async def put_back(self) -> None:
        """As `prepare` left it."""
        if self.doing == "migration":
            database = Database.connect(self.url, BOX)
            async with database._writer.begin() as connection:
                for statement in BACK:
                    await connection.execute(text(statement.format(head=migrate.HEAD)))
            await database.close()
            return
        if self.doing == "rotate":
            return
        database = await self.open()
        first = self.directory / "first.sqlite"
        await self.backups.replace(database, first, "pre-restore", anything)
        await database.close()


def in_child(doing: Callable[[], Awaitable[Any]]) -> tuple[int, bytes]:
    """Run in a forked process; its exit status and what it wrote last."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            result: Any = asyncio.run(doing())  # type: ignore[arg-type]
            os.write(writing, json.dumps(result).encode()[-60_000:])
        except BaseException as error:  # noqa: BLE001 - a forked child must end here
            os.write(writing, f"{type(error).__name__}: {error}".encode())
            os._exit(1)
        os._exit(0)
    os.close(writing)
    said = b""
    while chunk := os.read(reading, 65_536):
        said += chunk
    os.close(reading)
    return os.waitpid(pid, 0)[1], said


def main() -> None:
    doing, url, directory, kills = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    scene, steps = Scene(doing, url, directory), Steps()

    async def count() -> int:
        steps.watch()
        await scene.act()
        return steps.count

    async def killed_at(last: int) -> None:
        steps.last = last
        await count()

    def run(what: Callable[[], Awaitable[Any]]) -> Any:
        status, said = in_child(what)
        if status:
            raise SystemExit(f"{what}: {status} {said.decode()}")
        return json.loads(said)

    run(scene.prepare)
    before = run(scene.digest)
    if doing == "migration":
        run(scene.put_back)
    total = run(count)
    after = run(scene.digest)
    draw = random.Random(f"{doing} {url.partition(':')[0]}")
    outcomes = []
    for _ in range(kills):
        run(scene.put_back)
        last = draw.randrange(total)
        status, _ = in_child(partial(killed_at, last))
        try:
            problem = mixture(doing, run(scene.digest), before, after)
        except SystemExit as error:
            problem = str(error)
        told = None if problem is None else f"killed at {last} of {total}: {problem}"
        outcomes.append({"killed": os.WIFSIGNALED(status), "problem": told})
    sys.stdout.write(json.dumps(outcomes) + "\n")


def mixture(doing: str, found: Rows, before: Rows, after: Rows) -> str | None:
    """What is neither as it was nor as it was to become; None where all is well."""
    if doing != "retention":
        return None if found in (before, after) else "neither the old rows nor the new ones"
    del found["key_value"], before["key_value"]  # says since when usage is whole
    strange = {
        name
        for name, rows in found.items()
        if not set(after[name]) <= set(rows) <= set(before[name])
    }
    before["key_value"] = after["key_value"]
    return f"rows that must stay are gone: {sorted(strange)}" if strange else None


if __name__ == "__main__":
    main()
