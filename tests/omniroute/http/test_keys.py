"""Keys over HTTP: what may be said about them, what is shown, and what they then may do."""

from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite

from omniroute.errors import ValidationFailed
from omniroute.operations.access.key_inputs import KeyChange, fields_of
from omniroute.operations.inputs import convert_input
from omniroute_app.settings import load_settings

pytestmark = pytest.mark.anyio

ASKED: dict[str, Any] = {
    "model": "demo/echo",
    "messages": [{"role": "user", "content": "hi"}],
}
HOURS = {"enabled": True, "from": "22:00", "until": "06:00", "days": [5, 1, 1], "tz": "UTC"}
ACCOUNT = "00000000-0000-4000-8000-000000000001"

EVERYTHING: dict[str, Any] = {
    "name": "new",
    "scopes": ["mcp"],
    "allowedModels": ["demo/*"],
    "allowedConnections": [ACCOUNT],
    "noLog": True,
    "autoResolve": True,
    "isActive": False,
    "isBanned": True,
    "expiresAt": "2030-01-01T00:00:00Z",
    "maxSessions": 4,
    "accessSchedule": HOURS,
    "rateLimits": [{"limit": 5, "window": 60}],
    "maxRequestsPerDay": 100,
    "maxRequestsPerMinute": 10,
    "ipAllowlist": ["10.0.0.1/8", "192.0.2.7"],
}
KEPT = {
    **EVERYTHING,
    "accessSchedule": {**HOURS, "days": [1, 5]},
    "ipAllowlist": ["10.0.0.0/8", "192.0.2.7"],
}


async def made(client: httpx.AsyncClient, **policy: Any) -> dict[str, Any]:
    response = await client.post("/api/keys", json={"name": "k", **policy})
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def bearer(key: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {key['key']}"}


@pytest.mark.parametrize("how", ["POST", "PATCH"])
async def test_every_field_is_stored_and_shown(site: OpenSite, how: str) -> None:
    async with site() as opened, opened.as_peer() as client:
        if how == "POST":
            key = await made(client, **EVERYTHING)
        else:
            key = await made(client)
            changed = await client.patch(f"/api/keys/{key['id']}", json=EVERYTHING)
            assert changed.status_code == 200
            assert changed.json() == {"message": "Key updated", **EVERYTHING}
        shown = (await client.get(f"/api/keys/{key['id']}")).json()
        assert {name: shown[name] for name in KEPT} == KEPT


async def test_what_is_not_named_stays_and_null_takes_a_limit_away(site: OpenSite) -> None:
    limits = ("expiresAt", "accessSchedule", "rateLimits", "maxRequestsPerDay")
    async with site() as opened, opened.as_peer() as client:
        key = await made(client, **EVERYTHING)
        change = dict.fromkeys(limits)
        await client.patch(f"/api/keys/{key['id']}", json=change)
        shown = (await client.get(f"/api/keys/{key['id']}")).json()
    assert {name: shown[name] for name in KEPT} == {**KEPT, **change}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown field": ({"colour": "red"}, "colour"),
    "a blank name": ({"name": "  "}, "name"),
    "null where nothing is no value": ({"maxSessions": None}, "maxSessions"),
    "too many sessions": ({"maxSessions": 10_001}, "maxSessions"),
    "a text for a switch": ({"isActive": "no"}, "isActive"),
    "no date": ({"expiresAt": "soon"}, "expiresAt"),
    "too many scopes": ({"scopes": [f"s{n}" for n in range(17)]}, "scopes"),
    "an empty model": ({"allowedModels": [""]}, "allowedModels"),
    "no account": ({"allowedConnections": ["mine"]}, "allowedConnections"),
    "a rule of nothing": ({"rateLimits": [{"limit": 0, "window": 60}]}, "rateLimits"),
    "a rule without time": ({"rateLimits": [{"limit": 1, "window": 0}]}, "rateLimits"),
    "too many rules": ({"rateLimits": [{"limit": 1, "window": 1}] * 51}, "rateLimits"),
    "no address": ({"ipAllowlist": ["10.0.0.1", "home"]}, "ipAllowlist.1"),
    "no hour": ({"accessSchedule": {**HOURS, "from": "24:00"}}, "accessSchedule.from"),
    "no day": ({"accessSchedule": {**HOURS, "days": []}}, "accessSchedule.days"),
    "an eighth day": ({"accessSchedule": {**HOURS, "days": [7]}}, "accessSchedule.days"),
    "half a schedule": ({"accessSchedule": {"enabled": True}}, "accessSchedule"),
}


@pytest.mark.parametrize(("change", "field"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        fields_of(convert_input(KeyChange, change))
    (named, told) = refused.value.problems[0]
    assert field in f"{named} {told}"


async def test_a_refused_change_changes_nothing(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = await made(client)
        before = (await client.get(f"/api/keys/{key['id']}")).json()
        for change in ({}, {"name": "new", "colour": "red"}, {"name": "new", "expiresAt": "soon"}):
            response = await client.patch(f"/api/keys/{key['id']}", json=change)
            assert response.status_code == 400, change
            assert response.json()["error"]["message"] == "Invalid request"
        assert (await client.get(f"/api/keys/{key['id']}")).json() == before


async def test_a_key_that_does_not_exist_is_404(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        assert (await client.patch("/api/keys/nobody", json={"noLog": True})).status_code == 404
        assert (await client.post("/api/keys/nobody/regenerate")).status_code == 404
        assert (await client.delete("/api/keys/nobody")).status_code == 404


async def test_a_new_text_replaces_the_old_one_at_once(site: OpenSite) -> None:
    async with site(REQUIRE_API_KEY="true") as opened, opened.as_peer() as client:
        old = await made(client)
        new = (await client.post(f"/api/keys/{old['id']}/regenerate")).json()
        assert new["id"] == old["id"]
        assert new["key"] != old["key"]
        answers = [
            await client.post("/v1/chat/completions", json=ASKED, headers=bearer(key))
            for key in (old, new)
        ]
        shown = (await client.get(f"/api/keys/{old['id']}")).json()
    assert [answer.status_code for answer in answers] == [401, 200]
    assert shown["keyPrefix"] == new["key"][:8]


DIALECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", ASKED),
    "responses": ("/v1/responses", {"model": "demo/echo", "input": "hi"}),
    "anthropic": ("/v1/messages", {**ASKED, "max_tokens": 9}),
    "gemini": (
        "/v1beta/models/demo/echo:generateContent",
        {"contents": [{"parts": [{"text": "hi"}]}]},
    ),
    "ollama": ("/api/chat", ASKED),
}
CLOSED = {"enabled": True, "from": "00:00", "until": "00:01", "days": [0], "tz": "UTC"}
REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "switched off": ({"isActive": False}, "switched off"),
    "banned": ({"isBanned": True}, "banned"),
    "expired": ({"expiresAt": "2020-01-01T00:00:00Z"}, "expired"),
    "outside its hours": ({"accessSchedule": CLOSED}, "from 00:00 until 00:01"),
    "elsewhere": ({"ipAllowlist": ["10.0.0.0/8"]}, "this address"),
    "another model": ({"allowedModels": ["openai/*"]}, "may not use the model"),
}


async def test_a_policy_holds_in_every_dialect(site: OpenSite) -> None:
    bodies = {}
    async with site() as opened, opened.as_peer() as client:
        for policy, told in REFUSALS.values():
            key = await made(client, **policy)
            for name, (path, body) in DIALECTS.items():
                refused = await client.post(path, json=body, headers=bearer(key))
                assert refused.status_code == 403, (name, policy, refused.text)
                assert told in refused.text, name
                bodies[name] = refused.json()
    assert bodies["openai"]["error"]["type"] == "permission_error"
    assert bodies["anthropic"]["error"]["type"] == "permission_error"
    assert bodies["gemini"]["error"]["status"] == "PERMISSION_DENIED"
    assert isinstance(bodies["ollama"]["error"], str)


async def test_a_proxy_says_where_a_request_comes_from(site: OpenSite) -> None:
    proxy = ("10.0.0.1", 50_000)
    async with site(OMNIROUTE_TRUSTED_PROXIES="10.0.0.0/8") as opened, opened.as_peer() as here:
        key = await made(here, ipAllowlist=[ELSEWHERE[0]])
        statuses = []
        for peer, named in ((ELSEWHERE, "10.0.0.9"), (proxy, ELSEWHERE[0]), (proxy, "192.0.2.9")):
            async with opened.as_peer(peer) as there:
                headers = {**bearer(key), "x-forwarded-for": named}
                answer = await there.post("/v1/chat/completions", json=ASKED, headers=headers)
            statuses.append(answer.status_code)
    assert statuses == [200, 200, 403]


async def test_a_managing_key_grants_what_it_has_and_keeps_what_it_is(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as here, opened.as_peer(ELSEWHERE) as there:
        mine = await made(here, scopes=["manage", "read:*"])
        other = await made(here, scopes=["write:budget"])
        all_of_it = await made(here, scopes=["*"])
        there.headers.update(bearer(mine))
        own = f"/api/keys/{mine['id']}"
        allowed = [
            await there.post("/api/keys", json={"name": "a", "scopes": ["read:health"]}),
            await there.patch(f"/api/keys/{other['id']}", json={"scopes": ["write:budget"]}),
            await there.patch(f"/api/keys/{other['id']}", json={"isBanned": True}),
            await there.patch(own, json={"name": "renamed", "scopes": ["manage"]}),
        ]
        refused = [
            await there.post("/api/keys", json={"name": "a", "scopes": ["admin"]}),
            await there.patch(f"/api/keys/{other['id']}", json={"scopes": ["mcp"]}),
            await there.post(f"/api/keys/{all_of_it['id']}/regenerate"),
            await there.patch(own, json={"scopes": ["read:health"]}),
            await there.patch(own, json={"isActive": False}),
            await there.patch(own, json={"isBanned": True}),
            await there.patch(own, json={"expiresAt": "2020-01-01"}),
            await there.delete(own),
        ]
        still = (await there.get(own)).json()
    assert [answer.status_code for answer in allowed] == [201, 200, 200, 200]
    assert [answer.status_code for answer in refused] == [409] * len(refused)
    assert (still["isActive"], still["isBanned"], still["scopes"]) == (True, False, ["manage"])


async def test_a_key_takes_its_budget_with_it(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = await made(client)
        budget = {"apiKeyId": key["id"], "dailyLimitUsd": 1}
        assert (await client.post("/api/usage/budget", json=budget)).status_code == 200
        assert (await client.delete(f"/api/keys/{key['id']}")).status_code == 200
        assert (await client.get("/api/usage/budget")).json() == {"budgets": {}}


async def test_a_rule_holds_in_every_dialect_and_names_itself(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = await made(client, rateLimits=[{"limit": len(DIALECTS), "window": 86_400}])
        for path, body in DIALECTS.values():
            assert (await client.post(path, json=body, headers=bearer(key))).status_code == 200
        bodies = {}
        for name, (path, body) in DIALECTS.items():
            refused = await client.post(path, json=body, headers=bearer(key))
            assert refused.status_code == 429, name
            assert "may ask 5 times a day" in refused.text
            assert 0 < int(refused.headers["retry-after"]) <= 86_400
            bodies[name] = refused.json()
        last = await client.post("/v1/chat/completions", json=ASKED, headers=bearer(key))
        shown = await client.get(f"/api/routes/{last.headers['x-request-id']}")
    assert "Told the caller: This API key may ask 5 times a day" in shown.json()["text"]
    error = bodies["openai"]["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert (error["limit"], error["window"]) == (5, 86_400)
    assert bodies["anthropic"]["error"]["type"] == "rate_limit_error"
    assert bodies["gemini"]["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert isinstance(bodies["ollama"]["error"], str)


async def test_streams_count_like_whole_answers(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = await made(client, maxRequestsPerDay=1)
        asked = {**ASKED, "stream": True}
        answers = [
            await client.post("/v1/chat/completions", json=asked, headers=bearer(key))
            for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [200, 429]


async def test_a_model_that_is_not_allowed_is_told_first_and_not_counted(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = await made(client, maxRequestsPerDay=1, allowedModels=["demo/echo"])
        statuses = [
            (
                await client.post(
                    "/v1/chat/completions", json={**ASKED, "model": model}, headers=bearer(key)
                )
            ).status_code
            for model in ("demo/tools", "demo/echo", "demo/echo", "demo/tools")
        ]
    assert statuses == [403, 200, 429, 403]


async def test_keys_without_limits_have_the_default(site: OpenSite) -> None:
    async with site(DEFAULT_RATE_LIMIT_PER_DAY="1") as opened, opened.as_peer() as client:
        keys = {
            "plain": await made(client),
            "own": await made(client, maxRequestsPerDay=9),
            "nobody": {"key": ""},
        }
        second = {}
        for name, key in keys.items():
            for _ in range(2):
                answer = await client.post("/v1/chat/completions", json=ASKED, headers=bearer(key))
            second[name] = answer.status_code
        shown = (await client.get("/api/rate-limit")).json()
    assert shown["defaultPerKeyPerDay"] == 1
    assert second == {"plain": 429, "own": 200, "nobody": 200}


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("0", 0), ("7", 7), ("many", 0), ("-3", 0), ("1.5", 0)]
)
def test_a_default_that_is_no_number_limits_nothing(text: str, expected: int) -> None:
    settings = load_settings({"DEFAULT_RATE_LIMIT_PER_DAY": text})
    assert settings.default_requests_per_day == expected
