"""`omniroute db ...` and `omniroute doctor`: what they find, what they repair, what they refuse."""

import json
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.omniroute_app.conftest import new_database
from tests.support.commands import omniroute
from tests.support.processes import Gateway, free_port

from omniroute.errors import Conflict, InvalidRequest, NotFound
from omniroute.storage.migrate import HEAD, create_schema
from omniroute.storage.secrets import Secrets
from omniroute_app.cli.db import Printing
from omniroute_app.desks.database import backup, migrate, restore
from omniroute_app.doctor import examine
from omniroute_app.settings import Settings, load_settings
from omniroute_app.wiring import open_engine

pytestmark = pytest.mark.anyio

NO_COMBO = "INSERT INTO model_combo_mappings VALUES ('m','*','gone',0,1,'','','')"
USAGE = (
    "INSERT INTO usage_history (id, request_id, attempt, timestamp, provider, model, connection_id,"
    " tokens_input, tokens_cache_read, tokens_cache_creation, tokens_output, tokens_reasoning,"
    " estimated, status, success, latency_ms) VALUES"
    " ('u', 'r', 1, 1700000000000, 'openai', 'm', 'c', 5, 0, 0, 7, 0, 0, 200, 1, 9)"
)
LEASE = "INSERT INTO budget_leases VALUES ('{home}:4194999-dead', 'key', 'k', 'daily', 0, 5, 0)"


class Said(Printing):
    """Keeps what is printed."""

    def __init__(self) -> None:
        super().__init__(as_json=True)
        self.lines: list[str] = []
        self.found: Any = None
        self.told = ""

    def progress(self, line: str) -> None:
        self.lines.append(line)

    def result(self, found: object, told: str) -> None:
        self.found, self.told = found, told


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    port = free_port()
    return load_settings({}, data_dir=tmp_path / "home", port=port, discover=False)


@pytest.fixture
async def used(settings: Settings) -> Settings:
    """A data directory that has been worked in, and has a backup."""
    async with open_engine(settings, {}) as engine, engine.database.work() as work:
        await work.settings.set("stickyRoundRobinLimit", 7)
        await work.settings.bump()
    await backup(settings, None, Said())
    return settings


def sql(settings: Settings, *statements: str) -> None:
    with closing(sqlite3.connect(settings.data_dir / "omniroute.db")) as file:
        for statement in statements:
            file.execute(statement)
        file.commit()


async def look(settings: Settings, *, repair: bool = False) -> dict[str, tuple[str, bool]]:
    """Level and whether it was repaired, by check; the worst of several."""
    said = Said()
    await examine(settings, repair=repair, printing=said)
    ranks = ("ok", "warning", "error")
    found: dict[str, tuple[str, bool]] = {}
    for one in said.found.findings:
        old = found.get(one.check, ("ok", False))
        worse = max(old[0], one.level, key=ranks.index)
        found[one.check] = (worse, old[1] or one.repaired)
        assert one.level == "ok" or one.next
    return found


HEALTHY = dict.fromkeys(
    (
        "directory",
        "permissions",
        "secrets",
        "schema",
        "integrity",
        "journal",
        "leases",
        "sums",
        "credentials",
        "leftovers",
        "backups",
        "disk",
        "port",
        "clock",
    ),
    ("ok", False),
)


async def test_a_directory_in_order_has_no_findings(used: Settings) -> None:
    assert await look(used) == HEALTHY


async def test_an_empty_directory_is_in_order_too(settings: Settings) -> None:
    found = await look(settings)
    assert {check for check, (level, _) in found.items() if level != "ok"} == {"backups"}
    assert not settings.data_dir.exists()


def opened_to_all(settings: Settings) -> None:
    (settings.data_dir / "secrets/storage-key").chmod(0o644)


def dangling(settings: Settings) -> None:
    sql(settings, NO_COMBO)


def wrong_sums(settings: Settings) -> None:
    sql(settings, USAGE)


def leased(settings: Settings) -> None:
    home = Secrets.load_or_create(settings.data_dir, {}).machine_id
    sql(settings, LEASE.format(home=home))


def left_drafts(settings: Settings) -> None:
    (settings.data_dir / "db_backups/.draft-4194999-x").mkdir(mode=0o700)
    (settings.data_dir / "holders/4194999-dead.lock").touch(0o600)
    (settings.data_dir / "runtime").mkdir(exist_ok=True)
    (settings.data_dir / "runtime/gateway.json").write_text('{"pid":4194999,"url":"http://x"}')


def left_records(settings: Settings) -> None:
    (settings.data_dir / "journal").mkdir(mode=0o700, exist_ok=True)
    path = settings.data_dir / "journal/4194999-x.jsonl"
    path.write_bytes(b"torn")
    path.chmod(0o600)


REPAIRED: dict[str, tuple[Callable[[Settings], None], str]] = {
    "files that others can read": (opened_to_all, "permissions"),
    "rows that point to nothing": (dangling, "integrity"),
    "sums that are wrong": (wrong_sums, "sums"),
    "money of dead processes": (leased, "leases"),
    "files of dead processes": (left_drafts, "leftovers"),
    "records of dead processes": (left_records, "journal"),
}


@pytest.mark.parametrize(("spoil", "check"), REPAIRED.values(), ids=REPAIRED)
async def test_what_can_be_repaired_is_found_repaired_and_gone(
    used: Settings, spoil: Callable[[Settings], None], check: str
) -> None:
    spoil(used)
    found = await look(used)
    done = await look(used, repair=True)
    after = await look(used)
    assert {name for name, (level, _) in found.items() if level != "ok"} == {check}
    assert {name for name, (_, repaired) in done.items() if repaired} == {check}
    assert {name for name, (level, _) in after.items() if level != "ok"} == set()


def without_key(settings: Settings) -> None:
    (settings.data_dir / "secrets/storage-key").unlink()


def no_backups(settings: Settings) -> None:
    for path in (settings.data_dir / "db_backups").glob("*.sqlite"):
        path.unlink()


def damaged_backup(settings: Settings) -> None:
    (path,) = (settings.data_dir / "db_backups").glob("*.sqlite")
    path.write_bytes(path.read_bytes()[:9000])


def newer(settings: Settings) -> None:
    sql(settings, "UPDATE alembic_version SET version_num = '9999'")


def older(settings: Settings) -> None:
    sql(settings, "UPDATE alembic_version SET version_num = '0012'")


def strange_credentials(settings: Settings) -> None:
    row = "'c','openai','apikey','n','enc:v2:00000000:AAAA',1,1,'unknown',0,'',''"
    columns = (
        "id, provider, auth_type, name, api_key, priority, is_active, test_status, backoff_level,"
        " created_at, updated_at"
    )
    sql(settings, f"INSERT INTO provider_connections ({columns}) VALUES ({row})")


def torn(settings: Settings) -> None:
    path = settings.data_dir / "omniroute.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))


TOLD: dict[str, tuple[Callable[[Settings], None], str, str]] = {
    "a secret is gone": (without_key, "secrets", "error"),
    "no backups": (no_backups, "backups", "warning"),
    "a damaged backup": (damaged_backup, "backups", "warning"),
    "a newer version": (newer, "database", "error"),
    "an older version": (older, "schema", "warning"),
    "credentials of another key": (strange_credentials, "credentials", "error"),
}


@pytest.mark.parametrize(("spoil", "check", "level"), TOLD.values(), ids=TOLD)
async def test_what_cannot_be_repaired_is_told_and_left(
    used: Settings, spoil: Callable[[Settings], None], check: str, level: str
) -> None:
    spoil(used)
    found = await look(used, repair=True)
    assert found[check] == (level, False)


def left_open(settings: Settings) -> None:
    """As a killed process leaves it: what was written ahead is not in the file."""
    path = settings.data_dir / "omniroute.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute("INSERT INTO key_value VALUES ('test', 'x', '1')")
        file.commit()
        saved = {
            side: path.with_name(path.name + side).read_bytes() for side in ("", "-wal", "-shm")
        }
    for side, content in saved.items():
        path.with_name(path.name + side).write_bytes(content)
        path.with_name(path.name + side).chmod(0o600)


async def test_what_was_written_ahead_is_taken_up(used: Settings) -> None:
    left_open(used)
    assert (await look(used))["wal"] == ("ok", True)
    assert "wal" not in await look(used)


async def test_a_backup_is_restored_by_name_as_latest_and_from_a_file(
    used: Settings, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.sqlite"
    said = Said()
    await backup(used, copy, said)
    for source in (said.found["filename"], "latest", str(copy)):
        sql(used, "DELETE FROM key_value WHERE key = 'stickyRoundRobinLimit'")
        said = Said()
        await restore(used, source, said)
        async with open_engine(used, {}) as engine:
            # `latest` is the safety copy of the restore before, in which it was deleted.
            limit = engine.snapshot.settings["stickyRoundRobinLimit"]
        assert limit == (3 if source == "latest" else 7)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert "checking the file" in said.lines
    with pytest.raises(Conflict, match="exists already"):
        await backup(used, copy, Said())
    with pytest.raises(NotFound):
        await restore(used, "db_x.sqlite", Said())
    with pytest.raises(InvalidRequest):
        await restore(used, "nothing", Said())


async def test_a_damaged_database_is_kept_and_replaced(used: Settings) -> None:
    torn(used)
    assert (await look(used))["database"][0] == "error"
    said = Said()
    await restore(used, "latest", said)
    async with open_engine(used, {}) as engine:
        assert engine.snapshot.settings["stickyRoundRobinLimit"] == 7
    assert len(list(used.data_dir.glob("omniroute.db.damaged-*"))) >= 1
    assert {level for level, _ in (await look(used)).values()} == {"ok"}


async def test_an_old_database_is_migrated_after_a_backup(settings: Settings) -> None:
    settings.data_dir.mkdir()
    create_schema(settings.data_dir / "omniroute.db", "0008")
    said, again = Said(), Said()
    await migrate(settings, said)
    await migrate(settings, again)
    assert (said.found["from"], said.found["to"]) == ("0008", HEAD)
    assert said.found["safetyBackup"].endswith("_pre-migration.sqlite")
    assert (again.found["migrated"], again.found["safetyBackup"]) == (False, None)


async def test_without_a_database_there_is_nothing_to_do(settings: Settings) -> None:
    for doing in (backup(settings, None, Said()), migrate(settings, Said())):
        with pytest.raises(NotFound, match="no database"):
            await doing


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, dict[str, str]]]:
    """A gateway that works on its data directory."""
    with (
        new_database(request.param) as environ,
        Gateway(tmp_path_factory.mktemp("doctor"), environ=environ) as gateway,
    ):
        yield gateway, environ


async def test_what_would_collide_with_a_running_gateway_is_refused(
    running: tuple[Gateway, dict[str, str]],
) -> None:
    gateway, environ = running
    settings = load_settings(environ, data_dir=gateway.data_dir, port=gateway.port)
    combo = {"name": "kept", "models": ["demo/echo"]}
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        assert (await client.post("/api/combos", json=combo)).status_code == 201
    said = Said()
    await backup(settings, None, said)
    for doing in (restore(settings, "latest", Said()), migrate(settings, Said())):
        with pytest.raises(Conflict, match="Stop it first"):
            await doing
    found = await look(settings, repair=True)
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        rows = (await client.get("/api/db-backups")).json()["backups"]
    assert said.found["filename"] in [row["id"] for row in rows]
    assert {level for level, _ in found.values()} == {"ok"}


def test_it_is_on_the_command_line(running: tuple[Gateway, dict[str, str]]) -> None:
    gateway, environ = running
    where = ("--data-dir", str(gateway.data_dir))
    done = omniroute("doctor", "--json", *where, environ=environ)
    report = json.loads(done.stdout)
    refused = omniroute("db", "restore", "latest", *where, environ=environ)
    assert (done.returncode, report["running"]) == (0, gateway.url)
    assert (refused.returncode, "Stop it first" in refused.stderr) == (2, True)
    assert "db-backups" in refused.stderr
