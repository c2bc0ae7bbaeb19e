"""New keys over HTTP: who may make them, what is said of them, and what ends with the old ones."""

import json
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from tests.omniroute.http.conftest import BOSS, OpenSite
from tests.omniroute.storage.conftest import fresh_schema
from tests.support.sealed_rows import plant, planted

from omniroute.operations.access.sign_in import ensure_password
from omniroute.storage.tables import api_keys, budget_leases

pytestmark = pytest.mark.anyio

PATH = "/api/settings/encryption"
LEASE = {
    "holder": "another-home:1-0",
    "scope_kind": "key",
    "scope_id": "k",
    "period": "day",
    "start_ms": 1,
    "micro_usd": 1,
    "seen_ms": 1,
}


async def test_a_rotation_and_what_is_said_of_it(site: OpenSite, tmp_path: Path) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await plant(opened.engine.database)
        secrets = await planted(opened.engine.database)
        before = (await client.get(PATH)).json()
        answer = await client.post(f"{PATH}/rotate", json={"keepOld": True})
        after = (await client.get(PATH)).json()
        again = (await client.post(f"{PATH}/rotate")).json()
        audited = (await client.get("/api/compliance/audit-log?action=secrets.rotated")).json()
        assert await planted(opened.engine.database) == secrets
    old, new = before["currentKey"], after["currentKey"]
    advice = (
        f"Old backups open with secrets/storage-key.retired-{old}. Remove it when none is worth"
        " restoring."
    )
    assert before["keys"] == [{"id": old, "use": "current", "values": 20, "kept": False}]
    assert answer.status_code == 200
    assert answer.json() == {
        "previousKey": old,
        "currentKey": new,
        "resealed": 13,
        "left": {},
        "advice": [advice],
    }
    assert after == {
        "source": "file",
        "currentKey": new,
        "rotating": False,
        "keys": [
            {"id": new, "use": "current", "values": 20, "kept": False},
            {"id": old, "use": "older", "values": 0, "kept": True},
        ],
        "unreadableCount": 0,
        "unreadable": [],
        "sessionSecretSource": "file",
    }
    assert again["previousKey"] == new
    details = [row["details"] for row in audited]
    assert [(one["previousKey"], one["left"]) for one in details] == [(new, {}), (old, {})]
    texts = [path.read_text().strip() for path in (tmp_path / "secrets").glob("storage-key*")]
    assert not any(text in json.dumps([before, after, again, audited]) for text in texts)


async def test_what_cannot_be_opened_is_named(site: OpenSite) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await plant(opened.engine.database)
        async with opened.engine.database._writer.begin() as connection:
            lost = "enc:v2:00000000:AAAA"
            await connection.execute(update(api_keys).values(sealed_key=lost))
        rotated = (await client.post(f"{PATH}/rotate", json={})).json()
        found = (await client.get(PATH)).json()
    assert rotated["left"] == {"00000000": 1}
    assert "1 values do not open" in rotated["advice"][0]
    assert (found["unreadableCount"], found["unreadable"]) == (1, ["api_keys:k:sealed_key"])
    missing = {"id": "00000000", "use": "missing", "values": 1, "kept": False}
    assert missing in found["keys"]


async def test_old_backups_say_whether_they_open(site: OpenSite) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await plant(opened.engine.database)

        async def readable() -> list[bool]:
            listed = (await client.get("/api/db-backups")).json()
            return [one["secretsReadable"] for one in listed["backups"]]

        assert (await client.put("/api/db-backups")).is_success
        assert await readable() == [True]
        await client.post(f"{PATH}/rotate", json={"keepOld": True})
        assert await readable() == [True]
        assert (await client.put("/api/db-backups")).is_success
        await client.post(f"{PATH}/rotate", json={})
        assert sorted(await readable()) == [False, True]


async def test_a_new_session_secret_ends_all_sessions(site: OpenSite) -> None:
    async with (
        site(OMNIROUTE_API_KEY=BOSS) as opened,
        opened.as_peer() as browser,
        opened.as_peer(key=BOSS) as boss,
    ):
        await ensure_password(opened.engine, "correct horse")
        signed = await browser.post("/api/auth/login", json={"password": "correct horse"})
        assert signed.is_success, signed.text
        within = await browser.get(PATH)
        ended = await boss.post(f"{PATH}/rotate-sessions")
        without = await browser.get(PATH)
    assert (within.status_code, ended.json(), without.status_code) == (200, {"success": True}, 401)


REFUSED = {
    "an unknown member": ("rotate", {}, {"keepOd": True}, 400, "keepOd"),
    "a key of the environment cannot be kept here": (
        "rotate",
        {"STORAGE_ENCRYPTION_KEY": "a passphrase"},
        {"keepOld": True},
        400,
        "STORAGE_ENCRYPTION_KEY",
    ),
    "a session secret of the environment": (
        "rotate-sessions",
        {"JWT_SECRET": "x" * 32},
        None,
        409,
        "JWT_SECRET",
    ),
}


@pytest.mark.parametrize(
    ("path", "environ", "body", "status", "told"), REFUSED.values(), ids=REFUSED
)
async def test_what_is_refused(
    site: OpenSite,
    path: str,
    environ: dict[str, str],
    body: dict[str, bool] | None,
    status: int,
    told: str,
) -> None:
    async with (
        site(OMNIROUTE_API_KEY=BOSS, **environ) as opened,
        opened.as_peer(key=BOSS) as client,
    ):
        answer = await client.post(f"{PATH}/{path}", json=body)
        found = (await client.get(PATH)).json()
    assert answer.status_code == status, answer.text
    assert told in answer.text
    assert len(found["keys"]) == 1


async def test_a_key_of_the_environment_is_not_made_here(site: OpenSite, tmp_path: Path) -> None:
    environ = {"OMNIROUTE_API_KEY": BOSS}
    async with site(**environ) as opened:
        await plant(opened.engine.database)
    old = (tmp_path / "secrets/storage-key").read_text().strip()
    environ |= {"STORAGE_ENCRYPTION_KEY": "new", "STORAGE_ENCRYPTION_KEY_PREVIOUS": old}
    async with site(**environ) as opened, opened.as_peer(key=BOSS) as client:
        before = (await client.get(PATH)).json()
        done = (await client.post(f"{PATH}/rotate")).json()
    assert [(one["use"], one["values"]) for one in before["keys"]] == [
        ("current", 0),
        ("older", 20),
    ]
    assert (done["resealed"], done["currentKey"]) == (13, before["currentKey"])
    assert "remove that variable" in done["advice"][0]


async def test_gateways_with_other_directories_are_not_left_behind(site: OpenSite) -> None:
    async with (
        fresh_schema() as url,
        site(OMNIROUTE_API_KEY=BOSS, DATABASE_URL=url) as opened,
        opened.as_peer(key=BOSS) as client,
    ):
        async with opened.engine.database._writer.begin() as connection:
            await connection.execute(insert(budget_leases).values(LEASE))
        answer = await client.post(f"{PATH}/rotate")
        found = (await client.get(PATH)).json()
    assert answer.status_code == 409
    assert "another-home" in answer.text
    assert [one["use"] for one in found["keys"]] == ["current"]
