"""The configuration, pushed to a server of the operator's own: every outcome of 02 §16.1."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace as changed
from typing import Any

import anyio
import httpx
import pytest
from tests.omniroute.http.conftest import BOSS, ELSEWHERE, OpenSite, Site
from tests.support.cloud_server import Cloud, cloud_server

from omniroute.operations.configuration.sync import cloud_keeper, push
from omniroute.operations.configuration.sync.bundle import versioned
from omniroute.operations.configuration.sync.cloud_keeper import CloudKeeper
from omniroute.storage.records.configuration import Connection
from omniroute.upstream.cloud_server import address_problem

pytestmark = pytest.mark.anyio

PATH = "/api/sync/cloud"
LOGIN = Connection(
    id="login",
    provider="groq",
    name="l",
    auth_type="oauth",
    access_token="at-old",
    refresh_token="rt-old",
    updated_at="2026-01-01T00:00:00.000Z",
)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look at a server that does not know the gateway comes at once; what the gateway
    does by itself never comes, unless a test says so."""
    monkeypatch.setattr(push, "VERIFY_PAUSE_S", 0.0)
    monkeypatch.setattr(cloud_keeper, "PAUSE_S", 3_600.0)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with cloud_server() as made:
        yield made


@pytest.fixture
async def opened(site: OpenSite, cloud: Cloud) -> AsyncIterator[Site]:
    async with site(NEXT_PUBLIC_CLOUD_URL=f"{cloud.url}/") as made:
        yield made


@pytest.fixture
async def client(opened: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with opened.as_peer() as made:
        body = {"provider": "groq", "name": "main", "apiKey": "gsk_0123456789abcdef"}
        assert (await made.post("/api/providers", json=body)).status_code == 201
        yield made


async def act(client: httpx.AsyncClient, action: str) -> httpx.Response:
    return await client.post(PATH, json={"action": action})


async def test_nothing_is_pushed_before_somebody_wants_it(
    opened: Site, cloud: Cloud, client: httpx.AsyncClient
) -> None:
    assert (await client.get(PATH)).json() == {"enabled": False}
    assert (await client.get("/api/settings")).json()["cloudConfigured"] is True
    keyless = await act(client, "sync")
    assert (keyless.status_code, "enable" in keyless.json()["error"]) == (409, True)
    await CloudKeeper(opened.engine).round()
    assert cloud.asked == []
    for bad in ({}, {"action": "start"}, {"action": 1}):
        refused = await client.post(PATH, json=bad)
        assert (refused.status_code, "details" in refused.json()["error"]) == (400, True)


async def test_enabled_pushed_verified_and_disabled(
    opened: Site, cloud: Cloud, client: httpx.AsyncClient
) -> None:
    cloud.answers["POST"] = [(200, {"changes": {"providers": 1}})]
    machine = opened.engine.installation.machine_id
    done = (await act(client, "enable")).json()
    sent = cloud.asked[0]
    assert (sent.method, sent.path) == ("POST", f"/sync/{machine}")
    assert sent.body["bundle"]["providers"][0]["apiKey"] == "gsk_0123456789abcdef"
    assert sent.body["version"] == done["version"]
    told = {name: done[name] for name in ("success", "changes", "cloudUrl", "verified")}
    assert told == {
        "success": True,
        "changes": {"providers": 1},
        "cloudUrl": cloud.url,
        "verified": True,
    }
    assert [one.path for one in cloud.asked[1:]] == [f"/{machine}/v1/verify"]

    keys = (await client.get("/api/keys")).json()["keys"]
    assert [(key["name"], key["scopes"]) for key in keys] == [("Default Key", [])]
    with_it = {"authorization": f"Bearer {sent.key}"}
    async with opened.as_peer(ELSEWHERE) as agent:
        assert (await agent.post("/api/cloud/auth", headers=with_it)).status_code == 200
        assert (await agent.get(PATH, headers=with_it)).status_code == 403

    state = (await client.get(PATH)).json()
    assert (state["enabled"], state["connected"], bool(state["lastSync"])) == (True, True, True)
    assert (await act(client, "sync")).json()["version"] == done["version"]
    assert (await act(client, "enable")).json()["verified"] is True
    assert {one.key for one in cloud.asked} == {sent.key}, "one key is enough"

    assert (await act(client, "disable")).json()["success"] is True
    assert (cloud.asked[-1].method, cloud.asked[-1].path) == ("DELETE", f"/sync/{machine}")
    assert (await client.get(PATH)).json() == {"enabled": False}
    assert await push.last_push(opened.engine) is None
    audit = (await client.get("/api/compliance/audit-log?resourceType=cloud_sync")).json()
    assert [row["action"] for row in audit] == [
        "sync.cloud.disabled",
        *["sync.cloud.enabled"] * 2,
    ]


async def test_the_key_of_the_environment_is_shown_where_there_is_one(
    site: OpenSite, cloud: Cloud
) -> None:
    environ = {"CLOUD_URL": cloud.url, "OMNIROUTE_API_KEY": BOSS}
    async with site(**environ) as opened, opened.as_peer(key=BOSS) as client:
        assert (await act(client, "enable")).json()["verified"] is True
        assert {one.key for one in cloud.asked} == {BOSS}
        assert (await client.get("/api/keys")).json()["keys"] == []


async def test_a_server_that_does_not_know_the_gateway(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    cloud.answers["GET"] = [(404, {"error": "unknown machine"})]
    done = (await act(client, "enable")).json()
    assert (done["success"], done["verified"]) == (True, False)
    assert done["verifyError"] == "The cloud answered 404: unknown machine"
    assert cloud.count("GET") == push.VERIFY_TRIES
    state = (await client.get(PATH)).json()
    assert (state["enabled"], state["connected"]) == (True, False)
    cloud.answers["GET"] = [(503, {}), (200, {})]
    assert (await act(client, "enable")).json()["verified"] is True, "at the second look"


async def test_a_server_that_refuses(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.answers["POST"] = [(403, {"error": {"message": "wrong key"}})]
    refused = await act(client, "enable")
    assert refused.status_code == 502
    assert refused.json() == {"error": "The cloud answered 403: wrong key"}
    assert (await client.get(PATH)).json() == {"enabled": False}
    for answer, told in (
        ((302, {}), "The cloud answered 302."),
        ((200, []), "What the cloud answered is not a JSON object."),
    ):
        cloud.answers["POST"] = [answer]
        assert (await act(client, "enable")).json() == {"error": told}
    cloud.answers.clear()
    await act(client, "enable")
    cloud.answers["DELETE"] = [(500, {"error": cloud.asked[0].key})]
    stuck = await act(client, "disable")
    assert stuck.status_code == 502
    assert cloud.asked[0].key not in stuck.text
    assert "keeps what it has" in stuck.json()["error"]
    assert (await client.get(PATH)).json() == {"enabled": False}, "nothing is pushed in any case"
    cloud.answers["DELETE"] = [(404, {})]
    assert (await act(client, "disable")).status_code == 200, "it has nothing: as wanted"


async def test_a_server_that_is_not_there(site: OpenSite) -> None:
    async with cloud_server() as gone:
        url = gone.url
    async with site(CLOUD_URL=url) as opened, opened.as_peer() as client:
        for action in ("enable", "sync", "disable"):
            refused = await act(client, action)
            assert refused.status_code == 502
            assert "cannot be reached" in refused.json()["error"]
        await client.patch("/api/settings", json={"cloudEnabled": True})
        state = (await client.get(PATH)).json()
        assert (state["enabled"], state["connected"], state["lastSync"]) == (True, False, None)


async def test_no_server_or_one_without_tls(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        for action in ("enable", "sync", "disable"):
            refused = await act(client, action)
            assert (refused.status_code, "CLOUD_URL" in refused.text) == (409, True)
        bad = {"cloudUrl": "http://cloud.example.com"}
        answer = await client.patch("/api/settings", json=bad)
        assert answer.status_code == 400
        assert answer.json()["error"]["details"][0]["field"] == "cloudUrl"
        assert (await client.get("/api/keys")).json()["keys"] == []


ADDRESSES: dict[str, bool] = {
    "https://cloud.example.com": True,
    "https://cloud.example.com:8443/base": True,
    "http://127.0.0.1:9": True,
    "http://[::1]:9": True,
    "http://localhost": True,
    "http://localhost.example.com": False,
    "http://cloud.example.com": False,
    "http://192.168.0.1": False,
    "https://me:secret@cloud.example.com": False,
    "https://cloud.example.com?x=1": False,
    "https://cloud.example.com:99999": False,
    "https://": False,
    "ftp://cloud.example.com": False,
    "cloud.example.com": False,
}


@pytest.mark.parametrize(("url", "good"), ADDRESSES.items())
async def test_where_keys_and_tokens_may_go(url: str, good: bool) -> None:
    assert (address_problem(url) is None) is good


async def test_a_setting_says_where_before_the_variable_does(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    async with cloud_server() as other:
        await client.patch("/api/settings", json={"cloudUrl": f"{other.url}/"})
        assert (await act(client, "enable")).json()["cloudUrl"] == other.url
        assert (other.count("POST"), cloud.asked) == (1, [])


NEWER: dict[str, tuple[Any, str]] = {
    "renewed over there": (
        {"updatedAt": "2026-02-01T00:00:00.000Z", "accessToken": "at-new", "expiresIn": 60},
        "at-new",
    ),
    "older": ({"updatedAt": "2025-01-01T00:00:00.000Z", "accessToken": "at-new"}, "at-old"),
    "no time": ({"accessToken": "at-new"}, "at-old"),
    "not a time": ({"updatedAt": "soon", "accessToken": "at-new"}, "at-old"),
    "no token": ({"updatedAt": "2026-02-01T00:00:00.000Z", "accessToken": ""}, "at-old"),
    "no row": (7, "at-old"),
}


@pytest.mark.parametrize(("row", "token"), NEWER.values(), ids=NEWER)
async def test_newer_tokens_come_back(
    opened: Site, cloud: Cloud, client: httpx.AsyncClient, row: Any, token: str
) -> None:
    async with opened.engine.configuration.noted() as work:
        await work.connections.save(LOGIN)
    listed = [{**row, "id": "login"}] if isinstance(row, dict) else [row]
    main = next(one for one in opened.engine.snapshot.connections if one != "login")
    for providers in ({"login": row, main: row, "nobody": row}, listed):
        cloud.answers["POST"] = [(200, {"data": {"providers": providers}})]
        assert (await act(client, "enable")).status_code == 200
    found = opened.engine.snapshot.connections
    assert (found["login"].access_token, found["login"].refresh_token) == (token, "rt-old")
    assert (found[main].access_token, found[main].api_key) == (None, "gsk_0123456789abcdef")


async def test_tokens_renewed_here_meanwhile_stay(opened: Site, cloud: Cloud) -> None:
    engine = opened.engine
    async with engine.configuration.noted() as work:
        await work.connections.save(LOGIN)
    key = await push.cloud_key(engine) or "k"
    newer = {"updatedAt": "2026-02-01T00:00:00.000Z", "accessToken": "at-theirs"}
    cloud.answers["POST"] = [(200, {"data": {"providers": {"login": newer}}})]

    class Meanwhile:
        """Renews the token while the push is under way."""

        async def push(self, url: str, key: str, body: bytes) -> Any:
            told = await engine.cloud.push(url, key, body)
            async with engine.configuration.noted() as work:
                await work.connections.save(
                    Connection(
                        id="login",
                        provider="groq",
                        name="l",
                        auth_type="oauth",
                        access_token="at-ours",
                        updated_at="2026-01-02T00:00:00.000Z",
                    )
                )
            return told

    slow: Any = changed(engine, cloud=Meanwhile())  # type: ignore[arg-type]
    bundle = versioned(slow, credentials=True)
    await push.push(slow, cloud.url, key, bundle)
    assert engine.snapshot.connections["login"].access_token == "at-ours"


async def test_changes_are_pushed_together_a_moment_later(
    opened: Site, cloud: Cloud, client: httpx.AsyncClient
) -> None:
    await act(client, "enable")
    cloud.pushed.clear()
    waiting, go, done = asyncio.Event(), asyncio.Semaphore(0), asyncio.Event()

    class Watched(CloudKeeper):
        async def round(self) -> bool:
            try:
                return await super().round()
            finally:
                done.set()

    async def sleep(_: float) -> None:
        waiting.set()
        await go.acquire()

    with anyio.fail_after(20):
        async with Watched(opened.engine, sleep).lifespan():
            await waiting.wait()
            for name in ("one", "two"):
                body = {"alias": name, "model": "demo/echo"}
                assert (await client.put("/api/models/alias", json=body)).status_code == 200
            go.release()
            await done.wait()
            assert cloud.count("POST") == 2
            assert set(cloud.pushes[-1]["bundle"]["modelAliases"]) == {"one", "two"}
    keeper = CloudKeeper(opened.engine)
    assert await keeper.round() is True
    assert cloud.count("POST") == 2, "the server has that version"

    cloud.answers["POST"] = [(500, {})]
    await client.put("/api/models/alias", json={"alias": "three", "model": "demo/echo"})
    assert await keeper.round() is False, "to be tried again"
    cloud.answers.clear()
    assert (await keeper.round(), cloud.count("POST")) == (True, 4)


async def test_the_gateway_pushes_by_itself(
    site: OpenSite, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_keeper, "PAUSE_S", 0.0)
    async with site(CLOUD_URL=cloud.url) as opened, opened.as_peer() as client:
        await act(client, "enable")
        cloud.pushed.clear()
        body = {"alias": "quick", "model": "demo/echo"}
        assert (await client.put("/api/models/alias", json=body)).status_code == 200
        with anyio.fail_after(20):
            await cloud.pushed.wait()
        assert cloud.pushes[-1]["bundle"]["modelAliases"] == {"quick": "demo/echo"}


async def test_nothing_needs_to_be_started(client: httpx.AsyncClient) -> None:
    path = "/api/sync/initialize"
    state = (await client.get(path)).json()
    assert (state["initialized"], state["modelSyncInitialized"]) == (True, False)
    started = (await client.post(path)).json()
    assert (started["success"], "already" in started["message"]) == (True, True)
