"""Accounts over HTTP: changed, tested, validated, added in bulk; on both databases."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import OpenSite, Site
from tests.support.databases import drop_postgres_database, new_postgres_database
from tests.support.upstreams import served

from omniroute.clock import iso
from omniroute.operations.accounts.account_keeper import AccountKeeper
from omniroute.routing.resilience.health import Cooldown, HealthView
from omniroute.storage.records.configuration import Connection

pytestmark = pytest.mark.anyio

PATH = "/api/providers"
KEY = "gsk_0123456789abcdef"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
        return
    url = new_postgres_database()
    yield {"DATABASE_URL": url}
    drop_postgres_database(url)


@pytest.fixture
async def opened(site: OpenSite, database_url: dict[str, str]) -> AsyncIterator[Site]:
    async with site(**database_url) as made:
        yield made


@pytest.fixture
async def client(opened: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with opened.as_peer() as made:
        yield made


async def added(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    body = {"provider": "groq", "name": "main", "apiKey": KEY, **more}
    response = await client.post(PATH, json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["connection"]
    return made


async def node(client: httpx.AsyncClient, url: str, **more: Any) -> dict[str, Any]:
    body = {"name": "Own", "prefix": "own", "apiType": "chat", "baseUrl": f"{url}/v1", **more}
    response = await client.post("/api/provider-nodes", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["node"]
    return made


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "name": ({"name": " other "}, {"name": "other"}),
    "priority": ({"priority": 9, "globalPriority": 3}, {"priority": 9, "globalPriority": 3}),
    "nothing global": ({"globalPriority": None}, {"globalPriority": None}),
    "off": ({"isActive": False}, {"isActive": False}),
    "group": ({"group": "night"}, {"group": "night"}),
    "no group": ({"group": None}, {"group": None}),
    "slots": ({"maxConcurrent": 2}, {"maxConcurrent": 2}),
    "protection": ({"rateLimitProtection": False}, {"rateLimitProtection": False}),
    "checks": ({"healthCheckInterval": 15}, {"healthCheckInterval": 15}),
    "model": ({"defaultModel": "m"}, {"defaultModel": "m"}),
    "project": ({"projectId": "p"}, {"projectId": "p"}),
    "windows": (
        {"quotaWindowThresholds": {"daily": 5, "weekly": 10}},
        {"quotaWindowThresholds": {"daily": 5, "weekly": 10}},
    ),
    "one window less": (
        {"quotaWindowThresholds": {"daily": None}},
        {"quotaWindowThresholds": {"weekly": 10}},
    ),
    "no window": ({"quotaWindowThresholds": None}, {"quotaWindowThresholds": None}),
    "options": (
        {"providerSpecificData": {"tag": "a", "excluded_models": "x*, y", "consoleApiKey": "s"}},
        {"providerSpecificData": {"tag": "a", "excludedModels": ["x*", "y"]}},
    ),
    "one option less": (
        {"providerSpecificData": {"tag": None}},
        {"providerSpecificData": {"excludedModels": ["x*", "y"]}},
    ),
    "a diagnosis": (
        {"testStatus": "failed", "lastError": "e", "lastErrorType": "t", "errorCode": "401"},
        {"testStatus": "failed", "lastError": "e", "lastErrorType": "t", "errorCode": "401"},
    ),
}


async def test_what_is_named_changes_and_the_rest_stays(client: httpx.AsyncClient) -> None:
    path = f"{PATH}/{(await added(client))['id']}"
    for method, (body, expected) in zip(
        ("PUT", "PATCH") * len(CHANGES), CHANGES.values(), strict=False
    ):
        before = (await client.get(path)).json()["connection"]
        changed = await client.request(method, path, json=body)
        assert changed.status_code == 200, changed.text
        assert "apiKey" not in changed.json()["connection"]
        after = (await client.get(path)).json()["connection"]
        assert {name: after.get(name) for name in expected} == expected
        for moment in (before, after):
            for name in (*expected, "updatedAt"):
                moment.pop(name, None)
        assert after == before
    events = (
        await client.get("/api/compliance/audit-log?action=provider.credentials.updated")
    ).text
    assert '"consoleApiKey"' not in events


REFUSED: dict[str, tuple[str, str, Any, int, str]] = {
    "nothing": ("PUT", "{id}", {}, 400, ""),
    "unknown": ("PUT", "nobody", {"priority": 1}, 404, "nobody"),
    "priority 0": ("PUT", "{id}", {"priority": 0}, 400, "priority"),
    "priority text": ("PUT", "{id}", {"priority": "high"}, 400, "priority"),
    "blank name": ("PUT", "{id}", {"name": "  "}, 400, "name"),
    "slots below zero": ("PUT", "{id}", {"maxConcurrent": -1}, 400, "maxConcurrent"),
    "share over 100": (
        "PUT",
        "{id}",
        {"quotaWindowThresholds": {"daily": 101}},
        400,
        "quotaWindowThresholds",
    ),
    "no date": ("PUT", "{id}", {"rateLimitedUntil": "soon"}, 400, "rateLimitedUntil"),
    "a name that is taken": ("PUT", "{id}", {"name": "second"}, 409, "second"),
    "options that are none": ("PUT", "{id}", {"providerSpecificData": []}, 400, "Specific"),
    "an address": (
        "PUT",
        "{id}",
        {"providerSpecificData": {"baseUrl": "ftp://x"}},
        400,
        "providerSpecificData.baseUrl",
    ),
    "everything excluded": (
        "PUT",
        "{id}",
        {"providerSpecificData": {"excludedModels": ["**"]}},
        400,
        "providerSpecificData.excludedModels",
    ),
    "an effort": (
        "PUT",
        "{id}",
        {"providerSpecificData": {"requestDefaults": {"reasoningEffort": "much"}}},
        400,
        "providerSpecificData.requestDefaults.reasoningEffort",
    ),
    "responses kept upstream": (
        "PUT",
        "{id}",
        {"providerSpecificData": {"openaiStoreEnabled": True}},
        400,
        "providerSpecificData.openaiStoreEnabled",
    ),
    "extra usage": (
        "PUT",
        "{id}",
        {"providerSpecificData": {"blockExtraUsage": True}},
        400,
        "providerSpecificData.blockExtraUsage",
    ),
    "a flag": (
        "PUT",
        "{id}",
        {"providerSpecificData": {"disableStreamOptions": "yes"}},
        400,
        "providerSpecificData.disableStreamOptions",
    ),
    "a long tag": (
        "PUT",
        "{id}",
        {"providerSpecificData": {"tags": ["x" * 65]}},
        400,
        "providerSpecificData.tags",
    ),
    "nobody to delete": ("DELETE", "", {"ids": []}, 400, "ids"),
    "too many to delete": ("DELETE", "", {"ids": ["x"] * 101}, 400, "ids"),
    "an unknown to test": ("POST", "nobody/test", {}, 404, "nobody"),
    "a test of a number": ("POST", "{id}/test", {"validationModelId": 3}, 400, "validationModelId"),
    "validating nothing": ("POST", "validate", {}, 400, "provider"),
    "validating a stranger": ("POST", "validate", {"provider": "grok-q"}, 400, "grok-q"),
    "validating a lost node": (
        "POST",
        "validate",
        {"provider": "openai-compatible-chat-x"},
        404,
        "openai-compatible-chat-x",
    ),
    "validating without key": ("POST", "validate", {"provider": "groq"}, 400, "apiKey"),
    "an unknown mode": ("POST", "test-batch", {"mode": "some"}, 400, "mode"),
    "a mode without its provider": ("POST", "test-batch", {"mode": "provider"}, 400, "providerId"),
    "an empty bulk": ("POST", "bulk", {"provider": "groq", "entries": []}, 400, "entries"),
    "a bulk for nobody": (
        "POST",
        "bulk",
        {"provider": "groqq", "entries": [{"name": "a", "apiKey": "k"}]},
        400,
        "groq",
    ),
    "a page of nothing": ("GET", "?limit=0", None, 400, "limit"),
    "a page before the first": ("GET", "?offset=-1", None, 400, "offset"),
}


async def test_what_cannot_be_is_refused_and_says_why(client: httpx.AsyncClient) -> None:
    first = await added(client)
    await added(client, name="second")
    for name, (method, place, body, status, told) in REFUSED.items():
        place = place.replace("{id}", first["id"])
        path = f"{PATH}{place}" if place.startswith("?") or not place else f"{PATH}/{place}"
        answer = await client.request(method, path, json=body)
        assert (name, answer.status_code, told in answer.text) == (name, status, True), answer.text
    for path in (f"{PATH}/{first['id']}", f"{PATH}/{first['id']}/test", f"{PATH}/bulk"):
        method = "PUT" if path.endswith(first["id"]) else "POST"
        answer = await client.request(method, path, content=b"{not json")
        assert (path, answer.status_code) == (path, 400), answer.text


async def test_several_are_deleted_at_once(client: httpx.AsyncClient) -> None:
    ids = [(await added(client, name=name))["id"] for name in "abc"]
    gone = await client.request("DELETE", PATH, json={"ids": [ids[0], ids[2], "nobody"]})
    assert gone.json() == {"message": "2 connections deleted", "deleted": 2}
    page = (await client.get(f"{PATH}?limit=5")).json()
    assert ([row["id"] for row in page["connections"]], page["total"]) == ([ids[1]], 1)


async def test_a_cooldown_is_set_and_cleared(opened: Site, client: httpx.AsyncClient) -> None:
    engine = opened.engine
    path = f"{PATH}/{(await added(client))['id']}"
    until = iso(engine.now_ms() + 60_000)
    resting = (await client.put(path, json={"rateLimitedUntil": until})).json()["connection"]
    assert (resting["rateLimitedUntil"], resting["testStatus"]) == (until, "unavailable")
    back = (await client.put(path, json={"rateLimitedUntil": None})).json()["connection"]
    assert ("rateLimitedUntil" in back, back["testStatus"]) == (False, "unknown")


REVIVALS: dict[str, tuple[str, str, Any]] = {
    "a new key": ("PUT", PATH + "/{id}", {"apiKey": "gsk_another_key_entirely"}),
    "a cooldown that is cleared": ("PUT", PATH + "/{id}", {"rateLimitedUntil": None}),
    "a reset": ("POST", "/api/resilience/reset", {}),
}


async def test_the_pause_a_provider_asked_for_ends_with_its_reason(
    opened: Site, client: httpx.AsyncClient
) -> None:
    account = (await added(client))["id"]
    engine = opened.engine
    turnstiles = engine.chat.turnstiles
    for name, (method, path, body) in REVIVALS.items():
        stile = turnstiles.at(engine.snapshot.connections[account], "m")
        stile.learn(429, {}, 3_600_000)
        assert stile.lane.pace.wait_ms(engine.now_ms(), None, 0) > 0
        answer = await client.request(method, path.replace("{id}", account), json=body)
        assert answer.status_code == 200, answer.text
        assert (name, stile.lane.pace.wait_ms(engine.now_ms(), None, 0)) == (name, 0)


PROBES: dict[str, tuple[str | None, bool, str, str, str | None]] = {
    "a key that is taken": ("good", True, "ok", "upstream", "200"),
    "a key that is refused": ("status-401", False, "upstream_auth_error", "upstream", "401"),
    "a key that is forbidden": ("status-403", False, "upstream_auth_error", "upstream", "403"),
    "too many requests": ("status-429", False, "upstream_rate_limited", "upstream", "429"),
    "a service that is down": ("status-503", False, "upstream_unavailable", "upstream", "503"),
    "something else": ("status-418", False, "upstream_error", "upstream", "418"),
}


async def test_a_test_says_what_is_wrong_and_is_kept(
    opened: Site, client: httpx.AsyncClient
) -> None:
    async with served() as url:
        await node(client, url)
        for key, valid, kind, source, code in PROBES.values():
            account = (await added(client, provider="own", apiKey=key))["id"]
            report = (await client.post(f"{PATH}/{account}/test")).json()
            assert (report["valid"], report["refreshed"], report["runtime"]) == (valid, False, None)
            assert (report["error"] is None, report["warning"]) == (valid, None)
            assert report["statusCode"] == int(code or 0)
            diagnosis = report["diagnosis"]
            assert [diagnosis[name] for name in ("type", "source", "code")] == [kind, source, code]
            kept = (await client.get(f"{PATH}/{account}")).json()["connection"]
            assert kept["testStatus"] == ("active" if valid else "error")
            assert kept["lastTested"] == report["testedAt"]
            assert kept.get("lastErrorType") == (None if valid else kind)
            assert kept.get("errorCode") == (None if valid else code)
        calls = (await client.get("/api/usage/call-logs?model=connection-test")).json()
        assert len(calls) == len(PROBES)
        assert {call["status"] for call in calls} == {200, 401, 403, 418, 429, 503}


async def test_a_test_that_passes_revives_an_account(
    opened: Site, client: httpx.AsyncClient
) -> None:
    async with served() as url:
        await node(client, url)
        account = (await added(client, provider="own"))["id"]
        engine = opened.engine
        rest = Cooldown(
            until_ms=0, level=3, reason="unauthorized", message="no", status=401, terminal="banned"
        )
        engine.health.restore(HealthView(0, cooldowns={account: rest}))
        assert (await client.get(f"{PATH}/{account}")).json()["connection"][
            "testStatus"
        ] == "banned"
        asked = await client.post(f"{PATH}/{account}/test", json={"validationModelId": "echo"})
        assert asked.json()["valid"], asked.text
        shown = (await client.get(f"{PATH}/{account}")).json()["connection"]
        assert (shown["testStatus"], shown["backoffLevel"]) == ("active", 0)


async def test_what_cannot_be_asked_says_so(opened: Site, client: httpx.AsyncClient) -> None:
    await node(client, "http://127.0.0.1:9", prefix="dead")
    dead = (await added(client, provider="dead"))["id"]
    found = (await client.post(f"{PATH}/{dead}/test")).json()["diagnosis"]
    assert (found["type"], found["source"]) == ("network_error", "upstream")
    now = opened.engine.now_ms()
    login = Connection(
        id=opened.engine.new_id(),
        provider="groq",
        name="login",
        auth_type="oauth",
        email="a@example.org",
        access_token="at",
        refresh_token="rt",
        id_token="it",
        expires_at=iso(now - 1_000),
    )
    async with opened.engine.configuration.noted() as work:
        await work.connections.save(login)
    found = (await client.post(f"{PATH}/{login.id}/test")).json()["diagnosis"]
    assert (found["type"], found["source"]) == ("token_refresh_failed", "oauth")
    shown = (await client.get(f"{PATH}/{login.id}")).json()["connection"]
    assert (shown["authType"], shown["email"]) == ("oauth", "a@example.org")
    assert not {"accessToken", "refreshToken", "idToken"} & shown.keys()
    async with opened.engine.database.reading() as work:
        assert await work.connections.get(login.id) == opened.engine.snapshot.connections[login.id]
        assert await work.connections.find_login("groq", "a@example.org") is not None
    ends = (await client.get(f"{PATH}/expiration")).json()
    assert ends["summary"] == {"total": 1, "valid": 0, "expiring": 0, "expired": 1}
    assert [(row["connectionId"], row["status"]) for row in ends["list"]] == [(login.id, "expired")]
    tokens = (await client.get("/api/token-health")).json()
    assert (tokens["total"], tokens["errored"], tokens["status"]) == (1, 1, "unhealthy")


async def test_a_key_is_tried_before_it_is_stored(client: httpx.AsyncClient) -> None:
    async with served() as url:
        made = await node(client, url)
        good = await client.post(f"{PATH}/validate", json={"provider": made["id"], "apiKey": "k"})
        assert good.json() == {"valid": True, "error": None, "warning": None, "method": "models"}
        bad = {"provider": "groq", "apiKey": "status-401", "baseUrl": f"{url}/v1"}
        refused = (await client.post(f"{PATH}/validate", json=bad)).json()
        assert (refused["valid"], refused["method"]) == (False, "models")
        asked = await client.post(f"{PATH}/validate", json={**bad, "apiKey": "k"})
        assert asked.json()["valid"]
        one = {**bad, "apiKey": "k", "validationModelId": "flaky-500"}
        assert (await client.post(f"{PATH}/validate", json=one)).json()["method"] == "chat"
    unreachable = {**bad, "baseUrl": "http://127.0.0.1:9/v1"}
    assert (await client.post(f"{PATH}/validate", json=unreachable)).status_code == 502
    metadata = {**bad, "baseUrl": "http://169.254.169.254/latest?secret=1"}
    blocked = await client.post(f"{PATH}/validate", json=metadata)
    assert blocked.status_code == 400
    checked = {"baseUrl": "http://169.254.169.254/latest?secret=1"}
    assert (await client.post("/api/provider-nodes/validate", json=checked)).status_code == 400
    events = (
        await client.get("/api/compliance/audit-log?action=provider.validation.ssrf_blocked")
    ).text
    assert events.count("ssrf_blocked") == 2
    assert "169.254.169.254/latest" in events
    assert "secret=1" not in events


async def test_many_are_added_and_tested_at_once(client: httpx.AsyncClient) -> None:
    async with served() as url:
        await node(client, url)
        entries = [
            {"name": "a", "apiKey": "k1"},
            {"name": "b", "apiKey": "status-401"},
            {"name": "a", "apiKey": "k2"},
            {"name": "  ", "apiKey": "k3"},
        ]
        body = {"provider": "own", "entries": entries, "validateKeys": True, "priority": 4}
        made = (await client.post(f"{PATH}/bulk", json=body)).json()
        assert [made[name] for name in ("success", "failed", "total")] == [1, 3, 4]
        assert [row["index"] for row in made["errors"]] == [1, 2, 3]
        assert [(row["name"], row["priority"]) for row in made["created"]] == [("a", 4)]
        assert made["created"][0]["testStatus"] == "active"
        await added(client, provider="own", name="bad", apiKey="status-401")
        await added(client, provider="own", name="off", isActive=False)
        report = (await client.post(f"{PATH}/test-batch", json={"mode": "compatible"})).json()
        assert report["summary"] == {"total": 2, "passed": 1, "failed": 1}
        assert {row["connectionName"]: row["valid"] for row in report["results"]} == {
            "a": True,
            "bad": False,
        }
        nobody = (await client.post(f"{PATH}/test-batch", json={"mode": "oauth"})).json()
        assert (nobody["results"], "summary" in nobody, nobody["providerId"]) == ([], False, None)


async def test_accounts_are_tested_as_often_as_they_say(
    opened: Site, client: httpx.AsyncClient
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    keeper = AccountKeeper(opened.engine, 3.0, sleep)
    async with served() as url:
        await node(client, url)
        good = await added(client, provider="own", name="good", healthCheckInterval=5)
        bad = await added(
            client, provider="own", name="bad", apiKey="status-401", healthCheckInterval=5
        )
        await added(client, provider="own", name="never")
        await added(client, provider="own", name="off", healthCheckInterval=5, isActive=False)
        assert await keeper.round() == 2
        assert pauses == [3.0]
        rows = {
            name: (await client.get(f"{PATH}/{row['id']}")).json()["connection"]
            for name, row in (("good", good), ("bad", bad))
        }
        assert {name: row["testStatus"] for name, row in rows.items()} == {
            "good": "active",
            "bad": "error",
        }
        assert all("lastHealthCheckAt" in row for row in rows.values())
        assert await keeper.round() == 0


async def test_a_changed_node_tells_its_accounts(client: httpx.AsyncClient) -> None:
    made = await node(client, "http://127.0.0.1:9", chatPath="/talk")
    path = f"/api/provider-nodes/{made['id']}"
    account = (await added(client, provider="own", providerSpecificData={"tag": "x"}))["id"]
    own = await added(
        client, provider="own", name="o", providerSpecificData={"baseUrl": "http://127.0.0.1:8/v1"}
    )
    new = {
        "name": "New",
        "prefix": "newer",
        "apiType": "responses",
        "baseUrl": "http://127.0.0.1:7/v2",
    }
    assert (await client.put(path, json=new)).status_code == 200
    shown = (await client.get(f"{PATH}/{account}")).json()["connection"]["providerSpecificData"]
    assert shown == {
        "prefix": "newer",
        "nodeName": "New",
        "apiType": "responses",
        "baseUrl": "http://127.0.0.1:7/v2",
        "tag": "x",
    }
    kept = (await client.get(f"{PATH}/{own['id']}")).json()["connection"]["providerSpecificData"]
    assert kept["baseUrl"] == "http://127.0.0.1:8/v1"
    for taken in ("openai", "groq", "demo"):
        assert (await client.put(path, json={**new, "prefix": taken})).status_code == 409
    second = await node(client, "http://127.0.0.1:9", prefix="second")
    clash = await client.put(f"/api/provider-nodes/{second['id']}", json=new)
    assert clash.status_code == 409
    pages = (await client.get("/api/provider-nodes?limit=1&offset=1")).json()
    assert (len(pages["nodes"]), pages["total"]) == (1, 2)


async def test_switched_off_accounts_are_not_asked(client: httpx.AsyncClient) -> None:
    async with served() as url:
        await node(client, url)
        account = (await added(client, provider="own"))["id"]
        body = {"model": "own/echo", "messages": [{"role": "user", "content": "Hi"}]}
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
        await client.put(f"{PATH}/{account}", json={"isActive": False})
        assert (await client.post("/v1/chat/completions", json=body)).status_code >= 400
        await client.put(f"{PATH}/{account}", json={"isActive": True})
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200


async def test_the_demo_takes_no_accounts(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        told = {}
        for name in ("demo", "dem0"):
            body = {"provider": name, "name": "n", "apiKey": "k"}
            refused = await client.post("/api/providers", json=body)
            assert refused.status_code == 400
            told[name] = refused.json()["error"]
    assert told == {
        "demo": "'demo' is built in and needs no account: ask for models such as 'demo/echo'.",
        "dem0": "There is no provider 'dem0'.",
    }
