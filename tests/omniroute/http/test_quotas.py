"""Quotas over HTTP: asked of one account, known of all, kept, and shown to whom they concern."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite, Site

from omniroute.catalog.quota_report import QuotaReport, QuotaWindow

pytestmark = pytest.mark.anyio


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


async def account(client: httpx.AsyncClient, provider: str = "groq", **more: Any) -> str:
    """Add an account; its id."""
    body = {"provider": provider, "name": provider, "apiKey": "k", **more}
    made = (await client.post("/api/providers", json=body)).raise_for_status().json()
    identity: str = made["connection"]["id"]
    return identity


async def test_what_is_left_of_an_account_is_asked_and_kept(
    opened: Site, client: httpx.AsyncClient
) -> None:
    answer = (await client.get("/api/usage/demo")).raise_for_status().json()
    assert (answer["plan"], answer["message"], answer["available"]) == ("free", None, True)
    session = answer["quotas"]["session (5h)"]
    assert session.pop("resetAt").endswith("Z")
    assert session == {
        "used": 200,
        "total": 1000,
        "remaining": 800,
        "remainingPercentage": 80,
        "unlimited": False,
    }
    async with opened.engine.database.reading() as work:
        kept = await work.quotas.of("demo", 10)
    assert {row.window_key for row in kept} == {"session (5h)", "weekly (7d)"}


async def test_an_account_that_cannot_be_asked_says_why(client: httpx.AsyncClient) -> None:
    missing = await client.get("/api/usage/nobody")
    dumb = await client.get(f"/api/usage/{await account(client)}")
    data = {"quotaUrl": "http://127.0.0.1:9/quota"}
    dead = await client.get(
        f"/api/usage/{await account(client, 'mistral', providerSpecificData=data)}"
    )
    assert (missing.status_code, dumb.status_code, dead.status_code) == (404, 400, 500)
    assert "has no API that says what is left" in dumb.json()["error"]
    assert "could not be asked" in dead.json()["error"]


async def test_accounts_do_not_hide_what_stands_beside_them(client: httpx.AsyncClient) -> None:
    for path in ("/api/usage/budget", "/api/usage/budget/bulk", "/api/usage/quota"):
        assert (await client.get(path)).status_code == 200


async def test_quotas_are_for_operators(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer(ELSEWHERE) as stranger:
        for path in ("/api/usage/quota", "/api/usage/demo", "/api/providers/quota-windows"):
            assert (await stranger.get(path)).status_code == 401


async def test_the_overview_has_the_least_left_first(
    opened: Site, client: httpx.AsyncClient
) -> None:
    one, two = await account(client), await account(client, "mistral")
    await account(client, "cerebras")  # of which nothing is known
    reset_ms = opened.engine.now_ms() + 3_600_000
    quotas = opened.engine.live.quotas
    quotas.report(one, QuotaReport(windows={"daily": QuotaWindow(left=0.5, used=5, total=10)}))
    quotas.report(two, QuotaReport(windows={"weekly": QuotaWindow(left=0, reset_at_ms=reset_ms)}))
    whole = (await client.get("/api/usage/quota")).json()
    assert [
        (row["provider"], row["quotaUsed"], row["quotaTotal"], row["percentRemaining"])
        for row in whole["providers"]
    ] == [("mistral", 0, None, 0), ("groq", 5, 10, 50)]
    assert whole["providers"][0]["resetAt"] is not None
    assert {row["tokenStatus"] for row in whole["providers"]} == {"valid"}
    assert whole["meta"]["totalProviders"] == 2
    for query in (
        {"provider": "groq"},
        {"connectionId": one},
        {"connectionId": one, "provider": "x"},
    ):
        narrowed = (await client.get("/api/usage/quota", params=query)).json()
        assert [row["connectionId"] for row in narrowed["providers"]] == [one]
    assert narrowed["meta"]["filters"] == {"provider": "x", "connectionId": one}
    assert (await client.get("/api/usage/quota?connectionId=no")).json()["providers"] == []


async def test_windows_that_were_seen_can_be_named_in_cut_offs(client: httpx.AsyncClient) -> None:
    await client.get("/api/usage/demo")
    assert (await client.get("/api/providers/quota-windows")).json() == {
        "windows": {"demo": ["session (5h)", "weekly (7d)"]},
        "defaults": {"globalThresholdPercent": 2, "providerWindowDefaults": {}},
    }


async def test_an_account_keeps_its_cut_offs_and_shows_no_keys(client: httpx.AsyncClient) -> None:
    made = await account(
        client,
        quotaWindowThresholds={"weekly": 10},
        providerSpecificData={"extraApiKeys": ["second-key"], "quotaPath": "/q"},
    )
    shown = (await client.get(f"/api/providers/{made}")).json()["connection"]
    assert shown["quotaWindowThresholds"] == {"weekly": 10}
    assert shown["providerSpecificData"] == {"quotaPath": "/q"}


BAD_ACCOUNTS: dict[str, tuple[dict[str, Any], str]] = {
    "a cut-off over 100": ({"quotaWindowThresholds": {"w": 101}}, "quotaWindowThresholds"),
    "a window without a name": ({"quotaWindowThresholds": {"": 1}}, "quotaWindowThresholds"),
    "no address": ({"providerSpecificData": {"quotaUrl": "ftp://x"}}, "quotaUrl"),
    "no path": ({"providerSpecificData": {"quotaPath": "q"}}, "quotaPath"),
    "no list of keys": ({"providerSpecificData": {"extraApiKeys": "k"}}, "extraApiKeys"),
    "a blank key": ({"providerSpecificData": {"extraApiKeys": [" "]}}, "extraApiKeys"),
    "too many keys": ({"providerSpecificData": {"extraApiKeys": ["k"] * 51}}, "extraApiKeys"),
}


async def test_accounts_that_do_not_fit_are_named(client: httpx.AsyncClient) -> None:
    for name, (more, field) in BAD_ACCOUNTS.items():
        body = {"provider": "groq", "name": "x", "apiKey": "k", **more}
        answer = await client.post("/api/providers", json=body)
        assert (name, answer.status_code, field in answer.text) == (name, 400, True)


SETTINGS: dict[str, tuple[Any, int]] = {
    "a part": ({"warnThresholdPercent": 30}, 200),
    "all of it": (
        {
            "defaultThresholdPercent": 0,
            "warnThresholdPercent": 100,
            "providerWindowDefaults": {"groq": {"daily": 5}},
        },
        200,
    ),
    "a cut-off of all": ({"defaultThresholdPercent": 100}, 400),
    "an unknown name": ({"threshold": 1}, 400),
    "no percentage": ({"providerWindowDefaults": {"groq": {"daily": "5"}}}, 400),
    "a number": (2, 400),
}


async def test_the_preflight_setting_is_checked(client: httpx.AsyncClient) -> None:
    for name, (value, status) in SETTINGS.items():
        answer = await client.patch("/api/settings", json={"quotaPreflight": value})
        assert (name, answer.status_code) == (name, status)


async def test_watched_accounts_are_counted_for_all_and_named_for_operators(
    opened: Site, client: httpx.AsyncClient
) -> None:
    data = {"quotaMonitorEnabled": True, "quotaUrl": "http://127.0.0.1:9/quota"}
    made = await account(client, providerSpecificData=data)
    await opened.engine.quota_watch.tick()
    shown = (await client.get("/api/monitoring/health")).json()["quotaMonitor"]
    (monitor,) = shown.pop("monitors")
    counts = {
        "active": 1,
        "alerting": 0,
        "exhausted": 0,
        "errors": 1,
        "statusCounts": {"error": 1},
        "byProvider": {"groq": 1},
    }
    assert shown == counts
    assert (monitor["connectionId"], monitor["status"]) == (made, "error")
    async with opened.as_peer(ELSEWHERE) as stranger:
        seen = (await stranger.get("/api/monitoring/health")).json()["quotaMonitor"]
    assert seen == {**counts, "monitors": []}
