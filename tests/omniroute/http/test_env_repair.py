"""The env file over HTTP: read at start, its gaps named, its lines repaired, values never shown."""

from pathlib import Path

import pytest
from tests.omniroute.http.conftest import BOSS, ELSEWHERE, OpenSite

pytestmark = pytest.mark.anyio

PATH = "/api/system/env/repair"
SECRET = "value-nobody-may-see"


async def test_an_env_file_is_read_repaired_and_restored(site: OpenSite, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f'GITLAB_DUO_OAUTH_CLIENT_ID="{SECRET}\nOMNIROUTE_API_KEY={BOSS}\n')
    file.chmod(0o600)
    answers = []
    async with site() as opened, opened.as_peer(key=BOSS) as client:
        state = await client.get(PATH)
        assert state.json() == {
            "available": True,
            "missingCount": 0,
            "missingKeys": [],
            "created": False,
            "added": 0,
        }
        fixed = await client.post(PATH, json={"provider": "gitlab-duo"})
        told = fixed.json()
        assert (told["success"], told["repaired"]) == (True, ["GITLAB_DUO_OAUTH_CLIENT_ID"])
        assert Path(told["backupPath"]).parent == tmp_path
        assert f"GITLAB_DUO_OAUTH_CLIENT_ID={SECRET}\n" in file.read_text()
        begun = await client.get("/api/oauth/gitlab-duo/authorize")
        assert f"client_id={SECRET}&" in begun.json()["authUrl"]  # it holds at once
        file.write_text(f"OMNIROUTE_API_KEY={BOSS}\n")
        state = await client.get(PATH)
        assert state.json()["missingKeys"] == ["GITLAB_DUO_OAUTH_CLIENT_ID"]
        async with opened.as_peer(ELSEWHERE, key=BOSS) as stranger:
            restored = await stranger.post(PATH)
        assert restored.json()["repaired"] == ["GITLAB_DUO_OAUTH_CLIENT_ID"]
        assert restored.json()["backupPath"].startswith("env-repair-")
        again = await client.post(PATH)
        assert (again.json()["repaired"], again.json()["missingKeys"]) == ([], [])
        unknown = await client.post(PATH, json={"provider": "gitlap-duo"})
        assert (unknown.status_code, "gitlab-duo" in unknown.text) == (404, True)
        named = await client.post(PATH, json={"provider": "mistral"})
        assert named.json()["missingKeys"] == [
            "MISTRAL_OAUTH_CLIENT_ID",
            "MISTRAL_OAUTH_AUTHORIZE_URL",
            "MISTRAL_OAUTH_TOKEN_URL",
        ]
        audit = await client.get("/api/compliance/audit-log?action=system.env_repaired")
        assert len(audit.json()) == 2
        answers = [state, fixed, restored, again, unknown, named, audit]
    assert [one.text for one in answers if SECRET in one.text] == []


async def test_without_a_file_there_is_nothing_to_back_up(site: OpenSite, tmp_path: Path) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        told = (await client.post(PATH)).json()
        assert (told["repaired"], told["backupPath"], told["missingKeys"]) == ([], None, [])
        assert not (tmp_path / ".env").exists()
        async with opened.as_peer() as anybody:
            assert (await anybody.get(PATH)).status_code == 200
            assert (await anybody.post(PATH)).status_code == 401
