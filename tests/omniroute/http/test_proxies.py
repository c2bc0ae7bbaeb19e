"""Outbound proxies over HTTP: the registry, the layers, and requests that go through them."""

import json
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite, Site
from tests.support.proxies import TestProxy, running
from tests.support.small_upstream import SmallUpstream, small_upstream

from omniroute.chat import ChatRequest, Image, Message
from omniroute.errors import InvalidRequest, UpstreamFailed
from omniroute.pipeline.accounts.quota_question import ask
from omniroute.pipeline.inlining import inlined

pytestmark = pytest.mark.anyio

PROXIES = "/v1/management/proxies"
ASSIGNMENTS = f"{PROXIES}/assignments"
LAYERS = "/api/settings/proxy"
NEW = {"name": "Office", "host": "proxy.test", "port": 3128}
either_base = pytest.mark.parametrize(
    "base", [PROXIES, f"/api{PROXIES}", "/api/settings/proxies"], ids=["v1", "api v1", "settings"]
)


async def made(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    response = await client.post(PROXIES, json={**NEW, **more})
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


async def said(response: httpx.Response) -> tuple[int, str, list[str]]:
    """Status, type and fields of an error in its envelope."""
    body = response.json()
    assert body["requestId"] == response.headers["x-request-id"]
    fields = [one["field"] for one in body["error"].get("details", [])]
    return response.status_code, body["error"]["type"], fields


@either_base
async def test_a_proxy_lives_in_the_registry(site: OpenSite, base: str) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        new = {**NEW, "port": "3128", "type": "SOCKS5", "username": "me", "password": "secret"}
        response = await client.post(base, json={**new, "region": "eu"})
        proxy = response.json()
        assert response.status_code == 201
        assert proxy == {
            "id": proxy["id"],
            "name": "Office",
            "type": "socks5",
            "host": "proxy.test",
            "port": 3128,
            "username": "***",
            "password": "***",
            "region": "eu",
            "notes": None,
            "status": "active",
            "createdAt": proxy["createdAt"],
            "updatedAt": proxy["createdAt"],
        }
        page = (await client.get(base)).json()
        assert page == {"items": [proxy], "page": {"limit": 50, "offset": 0, "total": 1}}
        assert (await client.get(base, params={"limit": 1, "offset": 1})).json()["items"] == []
        assert (await client.get(base, params={"id": proxy["id"]})).json() == proxy
        change = {"id": proxy["id"], "username": "", "password": "***", "region": None}
        changed = (await client.patch(base, json=change)).json()
        assert changed == {**proxy, "region": None, "updatedAt": changed["updatedAt"]}
        stored = gateway.engine.snapshot.proxying.outbound.proxies[0]
        assert (stored.username, stored.password) == ("me", "secret")
        bare = await client.patch(base, json={"id": proxy["id"], "password": None})
        assert (bare.json()["username"], bare.json()["password"]) == ("***", "")
        gone = await client.delete(base, params={"id": proxy["id"]})
        assert gone.json() == {"success": True}
        assert (await client.get(base)).json()["page"]["total"] == 0


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown field": ({"ports": 1}, ["ports"]),
    "no such port": ({"port": 65536}, ["port"]),
    "no such port, as text": ({"port": "0"}, ["port"]),
    "no such type": ({"type": "socks4"}, ["type"]),
    "a URL for a host": ({"host": "http://proxy.test"}, ["host"]),
    "a host with a port": ({"host": "proxy.test:1"}, ["host"]),
    "metadata": ({"host": "169.254.169.254"}, ["host"]),
    "metadata in decimal": ({"host": "2852039166"}, ["host"]),
    "a blank name": ({"name": " "}, ["name"]),
    "a name too long": ({"name": "x" * 121}, ["name"]),
    "a user name with a colon": ({"username": "a:b"}, ["username"]),
    "a password with a line break": ({"password": "a\r\nb"}, ["password"]),
    "no such status": ({"status": "resting"}, ["status"]),
}


async def test_what_cannot_be_a_proxy_is_refused_by_name(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        for name, (part, fields) in REFUSED.items():
            response = await client.post(PROXIES, json={**NEW, **part})
            assert await said(response) == (400, "invalid_request", fields), name


async def test_on_a_gateway_for_others_proxies_on_private_addresses_need_leave(
    site: OpenSite,
) -> None:
    public = {"OMNIROUTE_HOST": "0.0.0.0", "OMNIROUTE_API_KEY": "k"}
    async with site(**public) as gateway, gateway.as_peer() as client:
        response = await client.post(PROXIES, json={**NEW, "host": "10.0.0.1"})
        assert await said(response) == (400, "invalid_request", ["host"])


async def test_what_is_not_there_cannot_be_changed(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        for response in (
            await client.get(PROXIES, params={"id": "x"}),
            await client.get(PROXIES, params={"id": "x", "where_used": 1}),
            await client.patch(PROXIES, json={"id": "x"}),
            await client.delete(PROXIES, params={"id": "x"}),
            await client.put(ASSIGNMENTS, json={"scope": "global", "proxyId": "x"}),
            await client.get(ASSIGNMENTS, params={"resolve_connection_id": "x"}),
            await client.get(LAYERS, params={"resolve": "x"}),
        ):
            assert await said(response) == (404, "not_found", [])
        assert await said(await client.delete(PROXIES)) == (400, "invalid_request", ["id"])


async def test_an_assigned_proxy_is_deleted_by_force_only(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        proxy = await made(client)
        given = {"scope": "provider", "scopeId": "openai", "proxyId": proxy["id"]}
        assignment = (await client.put(ASSIGNMENTS, json=given)).json()["assignment"]
        used = await client.get(PROXIES, params={"id": proxy["id"], "where_used": "1"})
        assert used.json() == {"count": 1, "assignments": [assignment]}
        gone = await client.delete(PROXIES, params={"id": proxy["id"]})
        assert await said(gone) == (409, "conflict", [])
        gone = await client.delete(PROXIES, params={"id": proxy["id"], "force": "1"})
        assert gone.json() == {"success": True}
        assert (await client.get(ASSIGNMENTS)).json()["items"] == []


async def test_a_scope_has_one_proxy_and_can_lose_it(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        one, two = (await made(client))["id"], (await made(client))["id"]
        scope = {"scope": "key", "scopeId": "demo"}
        for proxy in (one, two):
            response = await client.put(ASSIGNMENTS, json={**scope, "proxyId": proxy})
            assert response.json()["assignment"]["scope"] == "account"
        wanted = {"scope": "key", "scope_id": "demo", "proxy_id": two}
        page = (await client.get(ASSIGNMENTS, params=wanted)).json()
        assert [row["proxyId"] for row in page["items"]] == [two]
        assert page["page"] == {"limit": 100, "offset": 0, "total": 1}
        taken = await client.put(ASSIGNMENTS, json=scope)
        assert taken.json() == {"success": True, "assignment": None}
        assert (await client.get(ASSIGNMENTS)).json()["items"] == []


UNASSIGNED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no id": ({"scope": "provider"}, ["scopeId"]),
    "an unknown provider": ({"scope": "provider", "scopeId": "openay"}, ["scopeId"]),
    "an unknown account": ({"scope": "account", "scopeId": "x"}, ["scopeId"]),
    "an unknown combo": ({"scope": "combo", "scopeId": "x"}, ["scopeId"]),
    "an unknown field": ({"scope": "global", "proxy": "x"}, ["proxy"]),
    "an unknown scope": ({"scope": "planet"}, ["scope"]),
}


async def test_nothing_is_assigned_to_what_does_not_exist(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        proxy = await made(client)
        for name, (given, fields) in UNASSIGNED.items():
            response = await client.put(ASSIGNMENTS, json={"proxyId": proxy["id"], **given})
            assert await said(response) == (400, "invalid_request", fields), name


async def test_many_scopes_at_once(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        proxy = (await made(client))["id"]
        ids = ["openai", "groq", "openai", "nobody"]
        given = {"scope": "provider", "scopeIds": ids, "proxyId": proxy}
        done = (await client.put(f"{PROXIES}/bulk-assign", json=given)).json()
        assert (done["success"], done["scope"]) == (False, "provider")
        assert (done["requested"], done["updated"]) == (3, 2)
        assert [row["scopeId"] for row in done["failed"]] == ["nobody"]
        assert "nobody" in done["failed"][0]["reason"]
        everything = {"scope": "global", "proxyId": proxy}
        done = (await client.put(f"{PROXIES}/bulk-assign", json=everything)).json()
        assert (done["success"], done["updated"]) == (True, 1)
        nothing = await client.put(f"{PROXIES}/bulk-assign", json={"scope": "account"})
        assert await said(nothing) == (400, "invalid_request", ["scopeIds"])
        assert (await client.get(ASSIGNMENTS)).json()["page"]["total"] == 3


async def test_an_import_replaces_what_is_known_at_the_same_place(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        old = await made(client, username="me", password="secret")
        items = [{**NEW, "name": "Renamed"}, {**NEW, "port": 3129}]
        path = "/api/settings/proxies/bulk-import"
        done = (await client.post(path, json={"items": items})).json()
        assert (done["created"], done["updated"]) == (1, 1)
        assert done["items"][0]["id"] == old["id"]
        assert done["items"][0]["name"] == "Renamed"
        assert done["items"][0]["password"] == "***"
        broken = await client.post(path, json={"items": [NEW, {**NEW, "host": "a b"}]})
        assert await said(broken) == (400, "invalid_request", ["items.1.host"])
        assert (await said(await client.post(path, json={"items": []})))[0] == 400


async def test_layers_are_set_shown_and_taken_away(site: OpenSite) -> None:
    layer = {"host": "proxy.test", "port": "1080", "type": "Socks5", "password": "secret"}
    shown = {
        "type": "socks5",
        "host": "proxy.test",
        "port": 1080,
        "username": "",
        "password": "***",
    }
    empty: dict[str, Any] = {"global": None, "providers": {}, "combos": {}, "keys": {}}
    async with site() as gateway, gateway.as_peer() as client:
        assert (await client.get(LAYERS)).json() == empty
        both = {"global": layer, "providers": {"openai": layer}}
        whole = (await client.put(LAYERS, json=both)).json()
        assert whole == {**empty, "global": shown, "providers": {"openai": shown}}
        one = {"level": "key", "id": "demo", "proxy": layer}
        assert (await client.patch(LAYERS, json=one)).json()["keys"] == {"demo": shown}
        kept = {"level": "global", "proxy": {**layer, "port": 1081, "password": "***"}}
        assert (await client.put(LAYERS, json=kept)).json()["global"] == {**shown, "port": 1081}
        stored = gateway.engine.snapshot.proxying.outbound.layers["global", ""]
        assert (stored.port, stored.password) == (1081, "secret")
        at = (await client.get(LAYERS, params={"level": "provider", "id": "openai"})).json()
        assert at == {"level": "provider", "id": "openai", "proxy": shown}
        none = await client.put(LAYERS, json={"providers": {"openai": None}, "global": None})
        assert none.json() == {**empty, "keys": {"demo": shown}}
        gone = await client.delete(LAYERS, params={"level": "key", "id": "demo"})
        assert gone.json() == empty


BAD_LAYERS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, [""]),
    "an unknown field": ({"provider": {}}, ["provider"]),
    "a level without a proxy": ({"level": "global"}, ["proxy"]),
    "a level without its id": ({"level": "key", "proxy": None}, ["id"]),
    "a proxy without a level": ({"proxy": None}, ["level"]),
    "no such type": ({"global": {"host": "h", "port": 1, "type": "ftp"}}, ["global.type"]),
}


async def test_layers_that_do_not_fit_are_refused_by_name(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        for name, (body, fields) in BAD_LAYERS.items():
            response = await client.put(LAYERS, json=body)
            assert await said(response) == (400, "invalid_request", fields), name


async def test_socks5_can_be_switched_off(site: OpenSite) -> None:
    layer = {"global": {"host": "h", "port": 1, "type": "socks5"}}
    async with site(ENABLE_SOCKS5_PROXY="false") as gateway, gateway.as_peer() as client:
        refused = await client.put(LAYERS, json=layer)
        assert await said(refused) == (400, "invalid_request", ["global.type"])
    async with site() as gateway, gateway.as_peer() as client:
        assert (await client.put(LAYERS, json=layer)).status_code == 200
        await client.patch("/api/settings", json={"enableSocks5Proxy": False})
        refused = await client.put(LAYERS, json=layer)
        assert await said(refused) == (400, "invalid_request", ["global.type"])


async def test_strangers_learn_nothing(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer(ELSEWHERE) as stranger:
        for method, path in (
            ("GET", PROXIES),
            ("POST", PROXIES),
            ("GET", f"{PROXIES}/nothing"),
            ("GET", LAYERS),
            ("DELETE", f"/api{PROXIES}"),
        ):
            response = await stranger.request(method, path)
            assert (await said(response))[:2] == (401, "invalid_request")
            key = {"authorization": "Bearer nonsense"}
            assert (await stranger.request(method, path, headers=key)).status_code == 403


# Requests that go through proxies.


async def account(
    client: httpx.AsyncClient,
    upstream: SmallUpstream,
    name: str,
    prefix: str = "up",
    priority: int = 1,
) -> str:
    node = {"name": prefix, "prefix": prefix, "apiType": "chat", "baseUrl": upstream.url}
    found = await client.post("/api/provider-nodes", json=node)
    provider = prefix if found.status_code == 409 else found.json()["node"]["id"]
    new = {"provider": provider, "name": name, "apiKey": f"key-{name}", "priority": priority}
    response = await client.post("/api/providers", json=new)
    made_id: str = response.json()["connection"]["id"]
    return made_id


async def assigned(client: httpx.AsyncClient, proxy: TestProxy, scope: str, scope_id: str) -> str:
    described = {
        "name": "T",
        "type": proxy.kind,
        "host": "127.0.0.1",
        "port": proxy.port,
        "username": proxy.username or "",
        "password": proxy.password,
    }
    proxy_id: str = (await made(client, **described))["id"]
    given = {"scope": scope, "scopeId": scope_id, "proxyId": proxy_id}
    (await client.put(ASSIGNMENTS, json=given)).raise_for_status()
    return proxy_id


async def chat(client: httpx.AsyncClient, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}
    with anyio.fail_after(20):
        return await client.post("/v1/chat/completions", json=body)


async def trace(client: httpx.AsyncClient, response: httpx.Response) -> list[dict[str, Any]]:
    found = await client.get(f"/api/routes/{response.headers['x-request-id']}")
    attempts: list[dict[str, Any]] = found.json()["trace"]["attempts"]
    return attempts


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_chats_streams_and_lists_of_an_account_go_through_its_proxy(
    site: OpenSite, kind: Any
) -> None:
    async with (
        small_upstream() as upstream,
        running(TestProxy(kind, "me", "secret")) as proxy,
        site() as gateway,
        gateway.as_peer() as client,
    ):
        connection = await account(client, upstream, "a")
        await assigned(client, proxy, "account", connection)
        whole = await chat(client, "up/m")
        assert whole.json()["choices"][0]["message"]["content"] == "Hello"
        streamed = await chat(client, "up/m", stream=True, temperature=0.5)
        assert "Hel" in streamed.text
        assert "[DONE]" in streamed.text
        listed = await client.get(f"/api/providers/{connection}/models?refresh=true")
        assert listed.json()["source"] == "api"
        tested = await client.post(f"/api/providers/{connection}/test", json={})
        assert tested.json()["valid"] is True
        snapshot = gateway.engine.snapshot
        seen = msgspec.structs.replace(
            snapshot.connections[connection], options={"quotaUrl": f"{upstream.url}/left"}
        )
        provider = snapshot.providers[seen.provider]
        with pytest.raises(UpstreamFailed):  # it says something else than what is left
            await ask(gateway.engine.quota_desk.through, provider, seen, "omniroute", 0)
        pictured = Image(media_type="image/png", url="http://203.0.113.1/x.png")
        asked = ChatRequest("m", (Message("user", (pictured,)),))
        route = snapshot.proxying.route(seen)
        with pytest.raises(InvalidRequest, match="refused"):  # judged before the proxy hears of it
            await inlined(asked, gateway.engine.chat.gate, route.to)
        assert [path for path, _ in upstream.asked] == [
            "/v1/chat/completions",
            "/v1/chat/completions",
            "/v1/models",
            "/v1/models",
            "/v1/left",
        ]
        assert upstream.connections == len(proxy.asked) > 0
        assert set(proxy.asked) == {f"127.0.0.1:{upstream.port}"}
        via = [row["proxy"] for row in await trace(client, whole)]
        assert via == [f"{kind}://127.0.0.1:{proxy.port}"]
        found = (await client.get(LAYERS, params={"resolve": connection})).json()
        assert (found["level"], found["levelId"]) == ("account", connection)
        assert found["proxy"]["password"] == "***"


async def test_two_accounts_of_a_combo_have_different_proxies(site: OpenSite) -> None:
    async with (
        small_upstream() as upstream,
        running(TestProxy("http")) as one,
        running(TestProxy("socks5", "me", "it")) as two,
        site() as gateway,
        gateway.as_peer() as client,
    ):
        first = await account(client, upstream, "a", "first")
        second = await account(client, upstream, "b", "second")
        await assigned(client, one, "account", first)
        await assigned(client, two, "account", second)
        combo = {"name": "team", "models": ["first/m", "second/m"], "strategy": "round-robin"}
        (await client.post("/api/combos", json=combo)).raise_for_status()
        for number in range(4):
            await chat(client, "team", seed=number)
        assert {key for _, key in upstream.asked} == {"key-a", "key-b"}
        assert (len(one.asked), len(two.asked)) == (1, 1)


async def test_a_combos_own_proxy_is_for_requests_in_it(site: OpenSite) -> None:
    async with (
        small_upstream() as upstream,
        running(TestProxy("http")) as proxy,
        site() as gateway,
        gateway.as_peer() as client,
    ):
        await account(client, upstream, "a")
        combo = {"name": "team", "models": ["up/m"]}
        (await client.post("/api/combos", json=combo)).raise_for_status()
        await assigned(client, proxy, "combo", "team")
        await chat(client, "up/m")
        assert proxy.connections == 0
        await chat(client, "team", seed=1)
        assert proxy.connections == 1


FAILING: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "it is down": ({"dies": True}, 503, "proxy_unreachable", "PROXY_UNREACHABLE"),
    "it hangs up": ({"mood": "hangs-up"}, 503, "proxy_unreachable", "PROXY_UNREACHABLE"),
    "it hangs": ({"mood": "hangs"}, 503, "proxy_unreachable", "PROXY_UNREACHABLE"),
    "it refuses": ({"mood": "refuses"}, 502, "proxy_refused", "PROXY_REFUSED"),
    "it wants other credentials": ({"locks": True}, 502, "proxy_auth_failed", "PROXY_AUTH_FAILED"),
}


@pytest.mark.parametrize(("fault", "status", "verdict", "code"), FAILING.values(), ids=FAILING)
async def test_a_failing_proxy_is_an_error_of_its_own_and_nothing_goes_directly(
    site: OpenSite, fault: dict[str, Any], status: int, verdict: str, code: str
) -> None:
    async with (
        small_upstream() as upstream,
        running(TestProxy("http", "me", "secret", mood=fault.get("mood", "willing"))) as proxy,
        site(FETCH_CONNECT_TIMEOUT_MS="200") as gateway,
        gateway.as_peer() as client,
    ):
        connection = await account(client, upstream, "a")
        await assigned(client, proxy, "account", connection)
        if "dies" in fault:
            proxy.die()
        if "locks" in fault:
            proxy.password = "changed"
        response = await chat(client, "up/m")
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (status, code)
        assert response.headers.get("retry-after") == ("2" if status == 503 else None)
        attempts = await trace(client, response)
        assert {row["verdict"] for row in attempts} == {verdict}
        assert upstream.asked == []
        view = gateway.engine.health.view()
        assert (view.breakers, view.cooldowns, view.lockouts) == ({}, {}, {})
        assert "secret" not in response.text + json.dumps(attempts)


async def test_another_account_serves_where_a_proxy_does_not(site: OpenSite) -> None:
    async with (
        small_upstream() as upstream,
        running(TestProxy("http")) as proxy,
        site() as gateway,
        gateway.as_peer() as client,
    ):
        first = await account(client, upstream, "a")
        await account(client, upstream, "b", priority=2)
        await assigned(client, proxy, "account", first)
        proxy.die()
        response = await chat(client, "up/m")
        assert response.status_code == 200
        assert [row["verdict"] for row in await trace(client, response)] == [
            "proxy_unreachable",
            None,
        ]
        assert upstream.asked == [("/v1/chat/completions", "key-b")]


async def test_health_counts_what_went_through(site: OpenSite) -> None:
    async with (
        small_upstream() as upstream,
        running(TestProxy("http")) as proxy,
        site() as gateway,
        gateway.as_peer() as client,
    ):
        connection = await account(client, upstream, "a")
        proxy_id = await assigned(client, proxy, "account", connection)
        await chat(client, "up/m")
        proxy.die()
        await chat(client, "up/m", seed=1)
        # The proxy is found dead; before that its tunnel, unless its end was seen already.
        await _written(gateway, "The proxy cannot be reached")
        health = (await client.get(f"{PROXIES}/health", params={"hours": 9000})).json()
        item = health["items"][0]
        assert (health["total"], health["windowHours"]) == (1, 720)
        assert (item["proxyId"], item["host"], item["port"]) == (proxy_id, "127.0.0.1", proxy.port)
        total, good, bad = (item[name] for name in ("totalRequests", "successCount", "errorCount"))
        assert (good, total - bad, bad in (1, 2)) == (1, 1, True)
        assert item["successRate"] == round(100 / total, 2)
        assert item["lastSeenAt"] is not None
        async with gateway.engine.database.reading() as work:
            rows = await work.proxy_logs.newest(3)
        told = {(row.status, row.error) for row in rows}
        assert ("error", "The proxy cannot be reached") in told
        row = next(row for row in rows if row.status == "success")
        assert (row.level, row.level_id, row.account) == ("account", connection, "a")
        assert row.target_url == f"http://127.0.0.1:{upstream.port}"


async def _written(gateway: Site, error: str) -> None:
    """Wait until the proxy log tells of an error, and so of everything before it."""
    with anyio.fail_after(10):
        while True:
            async with gateway.engine.database.reading() as work:
                if error in {row.error for row in await work.proxy_logs.newest(10)}:
                    return
            await anyio.lowlevel.checkpoint()


async def test_a_proxy_is_tested_by_the_address_others_see(site: OpenSite) -> None:
    async with (
        small_upstream() as upstream,
        running(TestProxy("http", "me", "secret")) as proxy,
        site(PROXY_TEST_URL=f"{upstream.url}/ip") as gateway,
        gateway.as_peer() as client,
    ):
        described = {"host": "127.0.0.1", "port": proxy.port}
        locked = {**described, "username": "me", "password": "secret"}
        stored = await made(client, **locked)
        url = f"http://***@127.0.0.1:{proxy.port}"
        for body in ({"proxy": locked}, {"proxyId": stored["id"]}):
            found = (await client.post(f"{LAYERS}/test", json=body)).json()
            assert found == {
                "success": True,
                "publicIp": "203.0.113.9",
                "latencyMs": found["latencyMs"],
                "proxyUrl": url,
            }
        found = (await client.post(f"{LAYERS}/test", json={"proxy": described})).json()
        assert (found["success"], found["proxyUrl"]) == (False, url.replace("***@", ""))
        assert "credentials" in found["error"]
        bad = await client.post(f"{LAYERS}/test", json={"proxy": {"host": "h"}})
        assert await said(bad) == (400, "invalid_request", ["proxy.port"])
        bad = await client.post(f"{LAYERS}/test", json={"proxy": {**described, "type": "ftp"}})
        assert await said(bad) == (400, "invalid_request", ["proxy.type"])


async def test_the_environment_holds_where_nothing_is_configured(site: OpenSite) -> None:
    async with running(TestProxy("http")) as proxy:
        environ = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}", "NO_PROXY": "api.groq.com"}
        async with site(**environ) as gateway, gateway.as_peer() as client:
            new = {"provider": "openai", "name": "a", "apiKey": "x"}
            connection = (await client.post("/api/providers", json=new)).json()["connection"]["id"]
            found = (await client.get(LAYERS, params={"resolve": connection})).json()
            assert (found["level"], found["source"]) == ("global", "environment")
            assert found["proxy"]["port"] == proxy.port
            new = {"provider": "groq", "name": "b", "apiKey": "x"}
            exempt = (await client.post("/api/providers", json=new)).json()["connection"]["id"]
            found = (await client.get(LAYERS, params={"resolve": exempt})).json()
            assert found == {"proxy": None, "level": "direct", "levelId": None}


async def test_changes_are_in_the_audit_log_without_secrets(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        proxy = await made(client, username="me-myself", password="hush")
        layer = {"global": {"host": "h.test", "port": 1, "password": "hush"}}
        await client.put(LAYERS, json=layer)
        await client.put(ASSIGNMENTS, json={"scope": "global", "proxyId": proxy["id"]})
        log = await client.get("/api/compliance/audit-log")
        actions = [row["action"] for row in log.json()]
        assert actions == ["proxy.assigned", "proxy.config.updated", "proxy.created"]
        assert "hush" not in log.text
        assert "me-myself" not in log.text
