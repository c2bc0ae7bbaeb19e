"""Backups over HTTP: made while requests go on, restored whole or not at all, checked first."""

import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import BOSS, ELSEWHERE, OpenSite

pytestmark = pytest.mark.anyio

ACCOUNT = {"provider": "openai", "name": "main", "apiKey": "sk-canary-12345678"}
COMBO: dict[str, Any] = {"name": "fast", "models": ["demo/echo"]}
ASKED = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}


async def configured(client: httpx.AsyncClient) -> None:
    for path, body in (("/api/providers", ACCOUNT), ("/api/combos", COMBO)):
        assert (await client.post(path, json=body)).status_code == 201


async def ids(client: httpx.AsyncClient, reason: str) -> list[str]:
    rows = (await client.get("/api/db-backups")).json()["backups"]
    return [row["id"] for row in rows if row["reason"] == reason]


async def names(client: httpx.AsyncClient) -> list[str]:
    return [row["name"] for row in (await client.get("/api/combos")).json()["combos"]]


async def test_a_backup_brings_back_what_was_there(site: OpenSite) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await configured(client)
        made = (await client.put("/api/db-backups")).json()
        listed = (await client.get("/api/db-backups")).json()["backups"]
        (combo,) = (await client.get("/api/combos")).json()["combos"]
        assert (await client.delete(f"/api/combos/{combo['id']}")).status_code == 200
        assert await names(client) == []
        done = await client.post("/api/db-backups", json={"backupId": made["filename"]})
        served = await client.post("/v1/chat/completions", json=ASKED)
        (safety,) = await ids(client, "pre-restore")
        accounts = opened.engine.snapshot.connections.values()
        opens = [row.api_key for row in accounts if row.provider == "openai"]
        # The safety copy has the state from before, so a restore can be taken back.
        await client.post("/api/db-backups", json={"backupId": safety})
        undone = await names(client)
    assert listed[0] == {
        "id": made["filename"],
        "filename": made["filename"],
        "createdAt": listed[0]["createdAt"],
        "size": made["size"],
        "reason": "manual",
        "version": opened.engine.version,
        "connectionCount": 1,
        "holdsSecrets": True,
        "secretsReadable": True,
    }
    assert done.json() == {
        "restored": True,
        "backupId": made["filename"],
        "connectionCount": 1,
        "nodeCount": 0,
        "comboCount": 1,
        "apiKeyCount": 0,
        "safetyBackup": safety,
        "warnings": [],
    }
    assert served.status_code == 200
    assert opens == ["sk-canary-12345678"]
    assert undone == []


BAD_IDS = {
    "no id": ({}, 400),
    "another name": ({"backupId": "omniroute.db"}, 400),
    "a path": ({"backupId": "db_/../../secrets/x.sqlite"}, 400),
    "a path for Windows": ({"backupId": "db_\\..\\x.sqlite"}, 400),
    "a zero byte": ({"backupId": "db_\0.sqlite"}, 400),
    "a link to elsewhere": ({"backupId": "db_link.sqlite"}, 400),
    "unknown": ({"backupId": "db_2026-01-01T00-00-00-000Z_manual.sqlite"}, 404),
    "damaged": ({"backupId": "db_damaged.sqlite"}, 422),
    "of a stranger": ({"backupId": "db_stranger.sqlite"}, 422),
}


async def test_what_cannot_be_restored_changes_nothing(site: OpenSite, tmp_path: Path) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await configured(client)
        made = (await client.put("/api/db-backups")).json()["filename"]
        folder = tmp_path / "db_backups"
        whole = (folder / made).read_bytes()
        (folder / "db_damaged.sqlite").write_bytes(whole[:5000] + bytes(len(whole) - 5000))
        with closing(sqlite3.connect(folder / "db_stranger.sqlite")) as file:
            file.execute("CREATE TABLE notes (text)")
        (tmp_path / "elsewhere.sqlite").write_bytes(whole)
        (folder / "db_link.sqlite").symlink_to(tmp_path / "elsewhere.sqlite")
        found = {
            name: (await client.post("/api/db-backups", json=body)).status_code
            for name, (body, _) in BAD_IDS.items()
        }
        left = await names(client)
        safeties = await ids(client, "pre-restore")
    assert found == {name: status for name, (_, status) in BAD_IDS.items()}
    assert (left, safeties) == (["fast"], [])


def changed(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as file:
            for statement in statements:
                file.execute(statement)
            file.commit()

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4000])


def zeroed(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + bytes(len(whole) - 8192))


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "too small": (cut, "at least 4096"),
    "text": (lambda path: path.write_bytes(b"hello " * 1000), "not a SQLite database"),
    "damaged": (zeroed, "damaged"),
    "without combos": (
        changed("DROP TABLE model_combo_mappings", "DROP TABLE combos"),
        "no combos",
    ),
    "of a newer version": (changed("UPDATE alembic_version SET version_num = '9999'"), "newer"),
    "of two versions": (changed("INSERT INTO alembic_version VALUES ('0001')"), "several"),
    "of no version": (changed("DELETE FROM alembic_version"), "does not say of which"),
    "half-migrated": (
        changed("CREATE TABLE _alembic_tmp_combos (id)"),
        "unfinished migration",
    ),
    "lacking a table": (changed("DROP TABLE budgets"), "budgets"),
    "lacking a column": (changed("ALTER TABLE combos DROP COLUMN sort_order"), "combos.sort_order"),
    "where a migration fails": (
        changed("UPDATE alembic_version SET version_num = '0001'"),
        "cannot be migrated",
    ),
    "of dangling rows": (
        changed("INSERT INTO model_combo_mappings VALUES ('m','*','gone',0,1,'','','')"),
        "points to nothing",
    ),
    "of values that do not fit": (
        changed("UPDATE provider_connections SET priority = 'high'"),
        "wrong kind in provider_connections.priority",
    ),
    "of configuration that means nothing": (
        changed("INSERT INTO key_value VALUES ('customModels', 'x', '7')"),
        "cannot be read",
    ),
}


async def test_what_cannot_be_imported_is_refused_and_changes_nothing(
    site: OpenSite, tmp_path: Path
) -> None:
    said = {}
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await configured(client)
        exported = (await client.get("/api/db-backups/export")).content
        for name, (spoil, _) in REFUSED.items():
            path = tmp_path / "spoilt.sqlite"
            path.write_bytes(exported)
            spoil(path)
            form = {"file": ("spoilt.sqlite", path.read_bytes())}
            answer = await client.post("/api/db-backups/import", files=form)
            said[name] = (answer.status_code, str(answer.json()["error"]))
        left = await names(client)
        drafts = list((tmp_path / "db_backups").glob(".draft-*"))
    wrong = {
        name: said[name]
        for name, (_, words) in REFUSED.items()
        if said[name][0] != 400 or words not in said[name][1]
    }
    assert wrong == {}
    assert (left, drafts) == (["fast"], [])


async def test_what_is_sent_wrongly_is_refused(
    site: OpenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        post = client.post
        path = "/api/db-backups/import"
        answers = [
            await post(path, files={"other": ("a.sqlite", b"x" * 5000)}),
            await post(path, files={"file": ("a.db", b"SQLite format 3\0" + bytes(5000))}),
            await post(path, content=b"x" * 5000),
            await post(path, content=b"x" * 5000, params={"filename": "a.txt"}),
            await post(path, content=b"", params={"filename": "a.sqlite"}),
            await post(path, content=b"x", headers={"content-type": "multipart/form-data"}),
        ]
        monkeypatch.setattr("omniroute.http.management.backup_routes.LARGEST_BYTES", 10_000)
        monkeypatch.setattr("omniroute.storage.backups.checking.LARGEST_BYTES", 10_000)
        answers += [
            await post(path, files={"file": ("a.sqlite", bytes(20_000))}),
            await post(path, content=bytes(20_000), params={"filename": "a.sqlite"}),
        ]
    assert [answer.status_code for answer in answers] == [400] * 8
    assert "over" in answers[-1].text
    assert "over" in answers[-2].text


@pytest.mark.parametrize("form", [True, False], ids=["form", "body"])
async def test_an_export_can_be_imported(site: OpenSite, form: bool) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await configured(client)
        exported = await client.get("/api/db-backups/export")
        (combo,) = (await client.get("/api/combos")).json()["combos"]
        await client.delete(f"/api/combos/{combo['id']}")
        path = "/api/db-backups/import"
        if form:
            done = await client.post(path, files={"file": ("mine.sqlite", exported.content)})
        else:
            query = {"filename": "mine.sqlite"}
            done = await client.post(path, content=exported.content, params=query)
        left = await names(client)
        (safety,) = await ids(client, "pre-import")
    assert exported.headers["content-type"] == "application/octet-stream"
    assert exported.headers["content-length"] == str(len(exported.content))
    assert exported.headers["cache-control"] == "no-cache, no-store"
    assert "omniroute-backup-" in exported.headers["content-disposition"]
    assert b"sk-canary" not in exported.content
    assert done.json() == {
        "imported": True,
        "filename": "mine.sqlite",
        "connectionCount": 1,
        "nodeCount": 0,
        "comboCount": 1,
        "apiKeyCount": 0,
        "safetyBackup": safety,
        "warnings": [],
    }
    assert left == ["fast"]


async def test_a_file_from_elsewhere_is_loaded_with_a_warning(
    site: OpenSite, tmp_path: Path
) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await configured(client)
        await client.post("/api/keys", json={"name": "k"})
        exported = (await client.get("/api/db-backups/export")).content
        made = (await client.put("/api/db-backups")).json()["filename"]
    other = {"STORAGE_ENCRYPTION_KEY": "another", "API_KEY_SECRET": "another"}
    async with site(**other, OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        (row,) = [
            row
            for row in (await client.get("/api/db-backups")).json()["backups"]
            if row["id"] == made
        ]
        form = {"file": ("mine.sqlite", exported)}
        done = (await client.post("/api/db-backups/import", files=form)).json()
    assert (row["holdsSecrets"], row["secretsReadable"]) == (True, False)
    assert [warning.split(" ")[1] for warning in done["warnings"]] == ["credentials", "API"]


async def test_everything_in_one_archive(site: OpenSite) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await configured(client)
        await client.post("/v1/chat/completions", json=ASKED)
        answer = await client.get("/api/db-backups/exportAll")
    assert answer.headers["content-type"] == "application/gzip"
    with tarfile.open(fileobj=BytesIO(answer.content)) as archive:
        held = {name: archive.extractfile(name) for name in archive.getnames()}
        texts = {name: file.read() for name, file in held.items() if file is not None}
    assert set(texts) == {
        "storage.sqlite",
        "settings.json",
        "combos.json",
        "providers.json",
        "api-keys.json",
        "call_logs/call_logs.jsonl",
        "metadata.json",
    }
    assert texts["call_logs/call_logs.jsonl"].count(b"\n") == 1
    assert b"omniroute-full-backup-v1" in texts["metadata.json"]
    assert not any(b"sk-canary" in text for text in texts.values())


async def test_old_backups_go(site: OpenSite) -> None:
    async with site(DB_BACKUP_MAX_FILES="3") as opened, opened.as_peer(key=BOSS) as client:
        for _ in range(5):
            await client.put("/api/db-backups")
        kept = await ids(client, "manual")
        cleaned = await client.request("DELETE", "/api/db-backups", json={"keepLatest": 1})
        refused = await client.request("DELETE", "/api/db-backups", json={"keepLatest": 0})
        left = await ids(client, "manual")
    assert len(kept) == 3
    assert cleaned.json() == {
        "cleaned": True,
        "keepLatest": 1,
        "retentionDays": 0,
        "deletedBackupFamilies": 2,
        "deletedFiles": 2,
        "keptBackupFamilies": 1,
    }
    assert refused.status_code == 400
    assert left == kept[:1]


async def test_a_change_makes_a_backup_first_but_one_an_hour(site: OpenSite) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await client.post("/api/combos", json=COMBO)
        first = await ids(client, "pre-write")  # there was nothing to lose
        for name in "abc":
            await client.post("/api/combos", json={**COMBO, "name": name})
        then = await ids(client, "pre-write")
    async with (
        site(DISABLE_SQLITE_AUTO_BACKUP="true") as opened,
        opened.as_peer(key=BOSS) as client,
    ):
        (only,) = opened.engine.backups.folder.all()
        only.path.unlink()
        await client.post("/api/combos", json={**COMBO, "name": "d"})
        never = await ids(client, "pre-write")
    assert (len(first), len(then), len(never)) == (0, 1, 0)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/db-backups"),
        ("PUT", "/api/db-backups"),
        ("POST", "/api/db-backups"),
        ("DELETE", "/api/db-backups"),
        ("GET", "/api/db-backups/export"),
        ("GET", "/api/db-backups/exportAll"),
        ("POST", "/api/db-backups/import"),
    ],
)
async def test_strangers_may_not(site: OpenSite, method: str, path: str) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(ELSEWHERE) as client:
        assert (await client.request(method, path)).status_code == 401


async def test_a_restore_lets_nobody_in_who_could_not_come_in_before(site: OpenSite) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        made = (await client.put("/api/db-backups")).json()
        await client.put("/api/settings/require-login", json={"password": "correct horse"})
        restored = await client.post("/api/db-backups", json={"backupId": made["filename"]})
        async with opened.as_peer() as anybody:
            refused = await anybody.get("/api/combos")
            entered = await anybody.post("/api/auth/login", json={"password": "correct horse"})
    assert (restored.status_code, refused.status_code, entered.status_code) == (200, 401, 200)
