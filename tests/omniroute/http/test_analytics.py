"""Usage over time, limits of accounts and the health of combos over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import OpenSite, Site

from omniroute.catalog.quota_report import QuotaReport, QuotaWindow

pytestmark = pytest.mark.anyio


@pytest.fixture
async def opened(site: OpenSite) -> AsyncIterator[Site]:
    async with site() as made:
        yield made


@pytest.fixture
async def client(opened: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with opened.as_peer() as made:
        yield made


async def asked(client: httpx.AsyncClient, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    return (await client.post("/v1/chat/completions", json=body)).status_code


async def read(client: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = (
        (await client.get(f"/api/usage/{path}", params=params)).raise_for_status().json()
    )
    return found


async def test_what_was_used_is_summed_by_day_and_name(client: httpx.AsyncClient) -> None:
    assert [await asked(client, model) for model in ("demo/echo", "demo/count-3")] == [200, 200]
    found = await read(client, "analytics", range="7d", presets="1d,all")
    summary = found["summary"]
    assert summary["requests"] == 2
    assert [row["requests"] for row in found["byDay"]] == [2]
    assert found["byDay"][0]["date"] == found["endDate"][:10]
    assert set(found["byModel"]) == {"echo (demo)", "count-3 (demo)"}
    assert found["byProvider"]["demo"]["requests"] == 2
    assert found["presets"] == {"1d": summary, "all": summary}
    others = await read(client, "analytics", apiKeyIds="nobody")
    assert (others["summary"]["requests"], others["byDay"]) == (0, [])
    past = await read(client, "analytics", startDate="2020-01-01", endDate="2020-01-31")
    assert (past["summary"]["requests"], past["startDate"][:10]) == (0, "2020-01-01")
    history = await read(client, "history")
    assert history["totalRequests"] == summary["requests"]


WRONG: dict[str, tuple[str, dict[str, str], str]] = {
    "a range": ("analytics", {"range": "1h"}, "range"),
    "a date": ("analytics", {"startDate": "soon"}, "startDate"),
    "backwards": ("analytics", {"startDate": "2026-02-01", "endDate": "2026-01-01"}, "endDate"),
    "a preset": ("analytics", {"presets": "1d,2w"}, "presets"),
    "a range of quotas": ("utilization", {"range": "week"}, "range"),
    "a range of combos": ("combo-health", {"range": "week"}, "range"),
}


async def test_ranges_that_are_none_are_refused(client: httpx.AsyncClient) -> None:
    for name, (path, params, told) in WRONG.items():
        answer = await client.get(f"/api/usage/{path}", params=params)
        assert (name, answer.status_code, told in answer.text) == (name, 400, True), answer.text


async def test_limits_are_what_providers_told(opened: Site, client: httpx.AsyncClient) -> None:
    body = {"provider": "groq", "name": "main", "apiKey": "k", "maxConcurrent": 3}
    account = (await client.post("/api/providers", json=body)).json()["connection"]["id"]
    (line,) = (await read(client, "provider-limits"))["limits"]
    assert (line["maxConcurrent"], line["quota"], line["askedAt"]) == (3, None, None)
    report = QuotaReport(plan="pro", windows={"daily": QuotaWindow(used=25, total=100, left=0.75)})
    engine = opened.engine
    engine.live.quotas.report(account, report)
    (line,) = (await read(client, "provider-limits"))["limits"]
    assert line["quota"]["plan"] == "pro"
    assert line["quota"]["quotas"]["daily"]["remainingPercentage"] == 75
    await client.get("/api/usage/demo")
    found = (await read(client, "utilization", provider="demo"))["windows"]
    assert {row["window"] for row in found} == {"session (5h)", "weekly (7d)"}
    assert [point["remainingPercentage"] for row in found for point in row["points"]] == [80, 80]
    assert (await read(client, "utilization", provider="groq"))["windows"] == []


async def test_combos_say_how_they_did(client: httpx.AsyncClient) -> None:
    for name, target in (("good", "demo/echo"), ("idle", "groq/x"), ("bad", "demo/flaky-500")):
        await client.post("/api/combos", json={"name": name, "models": [target]})
    assert await asked(client, "good") == 200
    assert await asked(client, "bad") >= 500
    rows = {row["name"]: row for row in (await read(client, "combo-health"))["combos"]}
    assert {name: (row["requests"], row["successRate"]) for name, row in rows.items()} == {
        "good": (1, 100),
        "idle": (0, None),
        "bad": (1, 0),
    }
    assert {row["status"] for row in rows.values()} == {"healthy"}
