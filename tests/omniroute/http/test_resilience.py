"""The resilience routes: settings in every spelling, breakers closed, models unlocked."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite, Site

from omniroute.routing.resilience.verdicts import Failure, classify

pytestmark = pytest.mark.anyio

DOWN = Failure(cause="status", status=503)
MISSING = Failure(cause="status", status=404)


@pytest.fixture
async def here(site: OpenSite) -> AsyncIterator[tuple[Site, httpx.AsyncClient]]:
    async with site() as opened, opened.as_peer() as client:
        yield opened, client


@pytest.fixture
def client(here: tuple[Site, httpx.AsyncClient]) -> httpx.AsyncClient:
    return here[1]


@pytest.fixture
def opened(here: tuple[Site, httpx.AsyncClient]) -> Site:
    return here[0]


async def test_the_settings_begin_as_the_table_says(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/resilience")).json() == {
        "requestQueue": {
            "autoEnableApiKeyProviders": True,
            "requestsPerMinute": None,
            "minTimeBetweenRequestsMs": 0,
            "concurrentRequests": None,
            "maxWaitMs": 120_000,
        },
        "connectionCooldown": {
            "oauth": {
                "baseCooldownMs": 5_000,
                "useUpstreamRetryHints": False,
                "useUpstream429BreakerHints": None,
                "maxBackoffSteps": 8,
            },
            "apikey": {
                "baseCooldownMs": 3_000,
                "useUpstreamRetryHints": True,
                "useUpstream429BreakerHints": None,
                "maxBackoffSteps": 5,
            },
        },
        "providerBreaker": {
            "oauth": {"failureThreshold": 8, "resetTimeoutMs": 60_000},
            "apikey": {"failureThreshold": 12, "resetTimeoutMs": 30_000},
        },
        "waitForCooldown": {"enabled": True, "maxRetries": 3, "maxRetryWaitSec": 30},
        "legacy": {
            "profiles": {
                "oauth": {
                    "transientCooldown": 5_000,
                    "rateLimitCooldown": 5_000,
                    "maxBackoffLevel": 8,
                    "circuitBreakerThreshold": 8,
                    "circuitBreakerReset": 60_000,
                },
                "apikey": {
                    "transientCooldown": 3_000,
                    "rateLimitCooldown": 0,
                    "maxBackoffLevel": 5,
                    "circuitBreakerThreshold": 12,
                    "circuitBreakerReset": 30_000,
                },
            },
            "defaults": {
                "requestsPerMinute": None,
                "minTimeBetweenRequests": 0,
                "concurrentRequests": None,
            },
        },
    }


APIKEY_3 = {"providerBreaker": {"apikey": {"failureThreshold": 3}}}
CHANGES: dict[str, tuple[dict[str, Any], str, Any]] = {
    "one value": (APIKEY_3, "providerBreaker.apikey.failureThreshold", 3),
    "the rest stays": (APIKEY_3, "providerBreaker.oauth.failureThreshold", 8),
    "a preset": ({"preset": "aggressive"}, "connectionCooldown.oauth.baseCooldownMs", 30_000),
    "a preset sets a limit": ({"preset": "balanced"}, "requestQueue.requestsPerMinute", 100),
    "a preset, refined": (
        {"preset": "balanced", **APIKEY_3},
        "providerBreaker.apikey.failureThreshold",
        3,
    ),
    "waiting without patience is off": (
        {"waitForCooldown": {"maxRetries": 0}},
        "waitForCooldown.enabled",
        False,
    ),
    "an older client's pause": (
        {"profiles": {"apikey": {"transientCooldown": 7, "rateLimitCooldown": 9}}},
        "connectionCooldown.apikey.baseCooldownMs",
        9,
    ),
    "an older client's hints": (
        {"profiles": {"apikey": {"rateLimitCooldown": 9}}},
        "connectionCooldown.apikey.useUpstreamRetryHints",
        False,
    ),
    "an older client's queue": (
        {"defaults": {"minTimeBetweenRequests": 50}},
        "requestQueue.minTimeBetweenRequestsMs",
        50,
    ),
}


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(("change", "path", "value"), CHANGES.values(), ids=CHANGES)
async def test_a_change_changes_what_it_names(
    client: httpx.AsyncClient, method: str, change: dict[str, Any], path: str, value: object
) -> None:
    answer = await client.request(method, "/api/resilience", json=change)
    assert answer.status_code == 200
    found = answer.json()
    assert found.pop("ok") is True
    assert found == (await client.get("/api/resilience")).json()
    for name in path.split("."):
        found = found[name]
    assert found == value


REFUSED: dict[str, tuple[object, str]] = {
    "nothing": ({}, ""),
    "no object": ([], ""),
    "an unknown section": ({"queue": {}}, ""),
    "an unknown name": ({"requestQueue": {"rpm": 1}}, "requestQueue"),
    "an unknown category": ({"providerBreaker": {"local": {}}}, "providerBreaker"),
    "a section that is none": ({"requestQueue": 5}, "requestQueue"),
    "a value over its range": (
        {"providerBreaker": {"oauth": {"failureThreshold": 1_001}}},
        "providerBreaker.oauth.failureThreshold",
    ),
    "a value that is no number": (
        {"waitForCooldown": {"maxRetries": "many"}},
        "waitForCooldown.maxRetries",
    ),
    "nothing where something is needed": (
        {"requestQueue": {"maxWaitMs": None}},
        "requestQueue.maxWaitMs",
    ),
    "an unknown preset": ({"preset": "reckless"}, "preset"),
    "a preset that is no name": ({"preset": ["balanced"]}, "preset"),
    "an older name that never was": ({"profiles": {"apikey": {"x": 1}}}, "profiles.apikey"),
}


@pytest.mark.parametrize(("change", "field"), REFUSED.values(), ids=REFUSED)
async def test_what_does_not_fit_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, change: object, field: str
) -> None:
    before = (await client.get("/api/resilience")).json()
    answer = await client.patch("/api/resilience", json=change)
    assert answer.status_code == 400
    if field:
        assert answer.json()["error"]["details"][0]["field"] == field
    assert (await client.get("/api/resilience")).json() == before


async def test_a_change_holds_for_the_next_failure(opened: Site, client: httpx.AsyncClient) -> None:
    threshold = {"providerBreaker": {"apikey": {"failureThreshold": 1, "resetTimeoutMs": 7_000}}}
    await client.patch("/api/resilience", json=threshold)
    health = opened.engine.health
    health.failed("openai", "a", "m", DOWN, classify(DOWN))
    assert health.view().breaker("openai") == "OPEN"
    assert health.view().breakers["openai"].open_ms == 7_000
    longer = {"providerBreaker": {"apikey": {"resetTimeoutMs": 9_000}}}
    await client.patch("/api/resilience", json=longer)
    assert health.view().breakers["openai"].open_ms == 9_000


async def test_whom_to_trust_starts_all_breakers_afresh(
    opened: Site, client: httpx.AsyncClient
) -> None:
    opened.engine.health.failed("openai", "a", "m", DOWN, classify(DOWN))
    hints = {"connectionCooldown": {"apikey": {"useUpstream429BreakerHints": False}}}
    await client.patch("/api/resilience", json=hints)
    assert opened.engine.health.view().breakers == {}
    unset = {"connectionCooldown": {"apikey": {"useUpstream429BreakerHints": None}}}
    found = (await client.patch("/api/resilience", json=unset)).json()
    assert found["connectionCooldown"]["apikey"]["useUpstream429BreakerHints"] is None


async def test_the_environment_says_where_thresholds_begin(site: OpenSite) -> None:
    told = {"OMNIROUTE_CIRCUIT_BREAKER_OAUTH_THRESHOLD": "4", "RATE_LIMIT_MAX_WAIT_MS": "9"}
    async with site(**told) as opened, opened.as_peer() as client:
        found = (await client.get("/api/resilience")).json()
        assert found["providerBreaker"]["oauth"]["failureThreshold"] == 4
        assert found["requestQueue"]["maxWaitMs"] == 9
        changed = {"providerBreaker": {"oauth": {"failureThreshold": 6}}}
        found = (await client.patch("/api/resilience", json=changed)).json()
        assert found["providerBreaker"]["oauth"]["failureThreshold"] == 6


async def test_breakers_are_closed_one_by_one_or_all(
    opened: Site, client: httpx.AsyncClient
) -> None:
    health = opened.engine.health
    for provider in ("openai", "groq", "mistral"):
        health.failed(provider, "a", "m", DOWN, classify(DOWN))
    one = await client.post("/api/resilience/reset", json={"provider": "groq"})
    assert one.json() == {"ok": True, "resetCount": 1, "message": "1 circuit breaker reset"}
    rest = await client.delete("/api/monitoring/health")
    assert rest.json() == {"success": True, "resetCount": 2, "message": "2 circuit breakers reset"}
    none = await client.post("/api/resilience/reset")
    assert none.json()["resetCount"] == 0


async def test_locked_models_are_listed_and_unlocked(
    opened: Site, client: httpx.AsyncClient
) -> None:
    health = opened.engine.health
    for connection, model in (("a", "m"), ("b", "m"), ("a", "n")):
        health.failed("openai", connection, model, MISSING, classify(MISSING))
    path = "/api/resilience/model-cooldowns"
    items = (await client.get(path)).json()["items"]
    assert sorted((row["connectionId"], row["model"]) for row in items) == [
        ("a", "m"),
        ("a", "n"),
        ("b", "m"),
    ]
    assert items[0].keys() == {
        "provider",
        "connectionId",
        "model",
        "reason",
        "remainingMs",
        "failureCount",
    }
    which = b'{"provider":"openai","model":"m","connectionId":"b"}'
    one = await client.request("DELETE", path, content=which)
    assert one.json() == {"ok": True, "removed": True}
    again = await client.request("DELETE", path, content=which)
    assert again.json() == {"ok": True, "removed": False}
    every = await client.request("DELETE", path, json={"all": True})
    assert every.json() == {"ok": True, "clearedAll": True}
    assert (await client.get(path)).json() == {"items": []}


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"{", b'{"provider":"openai"}', b'{"all":1}'])
async def test_unlocking_nothing_in_particular_is_refused(
    client: httpx.AsyncClient, body: bytes
) -> None:
    answer = await client.request("DELETE", "/api/resilience/model-cooldowns", content=body)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/resilience"),
        ("PATCH", "/api/resilience"),
        ("POST", "/api/resilience/reset"),
        ("DELETE", "/api/resilience/model-cooldowns"),
        ("DELETE", "/api/monitoring/health"),
    ],
)
async def test_strangers_are_turned_away(site: OpenSite, method: str, path: str) -> None:
    async with site() as opened, opened.as_peer(ELSEWHERE) as stranger:
        assert (await stranger.request(method, path, content=b"x")).status_code == 401


async def test_an_account_is_seen_at_work_and_its_queue_switched(client: httpx.AsyncClient) -> None:
    made = await client.post(
        "/api/providers", json={"provider": "openai", "name": "a", "apiKey": "k"}
    )
    account = made.json()["connection"]["id"]
    line = {
        "connectionId": account,
        "provider": "openai",
        "name": "a",
        "rateLimitProtection": True,
        "enabled": True,
        "active": True,
        "queued": 0,
        "running": 0,
        "executing": 0,
        "done": 0,
        "rateLimitedUntil": None,
    }
    empty: dict[str, Any] = {"overview": {}, "lockouts": [], "cacheStats": {}}
    assert (await client.get("/api/rate-limits")).json() == {"connections": [line], **empty}
    off = await client.post("/api/rate-limits", json={"connectionId": account, "enabled": False})
    assert off.json() == {"success": True, "connectionId": account, "enabled": False}
    line |= {"rateLimitProtection": False, "enabled": False}
    assert (await client.get("/api/rate-limits")).json() == {"connections": [line], **empty}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"connectionId": "nobody", "enabled": True}, 404),
        ({"connectionId": "demo", "enabled": True}, 404),
        ({"connectionId": "", "enabled": True}, 400),
        ({"connectionId": "a"}, 400),
        ({"connectionId": "a", "enabled": "yes"}, 400),
    ],
)
async def test_a_queue_of_nobody_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], status: int
) -> None:
    assert (await client.post("/api/rate-limits", json=body)).status_code == status


async def test_the_limits_of_all_queues_are_told(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/rate-limit")).json() == {
        "autoEnableApiKeyProviders": True,
        "requestsPerMinute": None,
        "minTimeBetweenRequestsMs": 0,
        "concurrentRequests": None,
        "maxWaitMs": 120_000,
        "defaultPerKeyPerDay": None,
    }
    moved = await client.post("/api/rate-limit", json={})
    assert (moved.status_code, moved.headers["location"]) == (308, "/api/rate-limits")


async def test_operators_see_locked_models_and_what_providers_said(
    site: OpenSite,
) -> None:
    async with site(REQUIRE_API_KEY="true") as gateway:
        gateway.engine.health.takes_tools("openai", 64)
        failure = Failure(cause="status", status=404)
        gateway.engine.health.failed("openai", "a", "m", failure, classify(failure))
        async with gateway.as_peer() as client:
            seen = (await client.get("/api/monitoring/health")).json()
        async with gateway.as_peer(ELSEWHERE) as stranger:
            hidden = (await stranger.get("/api/monitoring/health")).json()
    assert [(row["provider"], row["model"]) for row in seen["lockouts"]] == [("openai", "m")]
    assert seen["learnedLimits"] == {"openai": {"maxTools": 64}}
    assert seen["dedup"] == {"inflightRequests": 0}
    assert (hidden["lockouts"], hidden["learnedLimits"]) == ([], {})


async def test_auto_without_any_model_says_what_to_do(site: OpenSite) -> None:
    node = {
        "type": "openai-compatible",
        "name": "mine",
        "prefix": "mine",
        "apiType": "chat",
        "baseUrl": "http://127.0.0.1:9/v1",
    }
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    async with site() as gateway, gateway.as_peer() as client:
        made = (await client.post("/api/provider-nodes", json=node)).json()["node"]
        account = {"provider": made["id"], "name": "a", "apiKey": "k"}
        (await client.post("/api/providers", json=account)).raise_for_status()
        answer = await client.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ALL_ACCOUNTS_INACTIVE")
    assert "defaultModel" in answer.json()["error"]["message"]
