"""Combos over HTTP: changed, ordered, probed, measured, and refused field by field."""

from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import OpenSite

pytestmark = pytest.mark.anyio


async def made(client: httpx.AsyncClient, name: str, *models: str, **more: Any) -> dict[str, Any]:
    """A new combo."""
    body = {"name": name, "models": list(models), **more}
    response = await client.post("/api/combos", json=body)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


async def ask(client: httpx.AsyncClient, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return await client.post("/v1/chat/completions", json=body)


TIERS = {"defaultTier": "a", "tiers": {"a": {"stepId": "nobody"}}}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": ({"config": {"maxRetrys": 1}}, "config"),
    "a number out of range": ({"config": {"maxRetries": 11}}, "config.maxRetries"),
    "a weight out of range": ({"config": {"weights": {"quota": 2}}}, "config.weights"),
    "tiers that lead nowhere": (
        {"config": {"compositeTiers": TIERS}},
        "config.compositeTiers.tiers.a.stepId",
    ),
    "a regular expression that is none": ({"tool_filter_regex": "("}, "tool_filter_regex"),
    "an unknown strategy": ({"strategy": "best"}, "strategy"),
}


@pytest.mark.parametrize(("more", "field"), BAD.values(), ids=BAD)
async def test_what_cannot_work_is_refused_by_field(
    site: OpenSite, more: dict[str, Any], field: str
) -> None:
    async with site() as opened, opened.as_peer() as client:
        body = {"name": "c", "models": ["demo/echo"], **more}
        created = await client.post("/api/combos", json=body)
        combo = await made(client, "other", "demo/echo")
        changed = await client.put(f"/api/combos/{combo['id']}", json=more)
    for response in (created, changed):
        assert response.status_code == 400
        details = response.json()["error"]["details"]
        assert details[0]["field"].startswith(field), details


async def test_a_change_keeps_what_it_does_not_name(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        combo = await made(client, "c", "demo/echo", system_message="Be brief.")
        path = f"/api/combos/{combo['id']}"
        changed = (await client.patch(path, json={"strategy": "random"})).json()
        assert (changed["strategy"], changed["system_message"]) == ("random", "Be brief.")
        assert changed["models"] == combo["models"]
        told = (await client.put(path, json={"compressionOverride": "lite"})).json()
        assert told["config"] == {"compressionMode": "lite"}
        told = (await client.put(path, json={"compressionOverride": ""})).json()
        assert told["config"] == {}
        off = (await client.put(path, json={"isActive": False})).json()
        assert off["isActive"] is False
        assert (await client.put(path, json={})).status_code == 400
        assert (await client.put("/api/combos/nobody", json={"strategy": "p2c"})).status_code == 404


async def test_a_new_name_is_written_into_references(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        inner = await made(client, "inner", "demo/echo")
        outer = await made(client, "outer", "inner")
        await client.put(f"/api/combos/{inner['id']}", json={"name": "core"})
        found = (await client.get(f"/api/combos/{outer['id']}")).json()
        assert found["models"][0]["comboName"] == "core"
        assert (await ask(client, "outer")).status_code == 200
        loop = await client.put(f"/api/combos/{inner['id']}", json={"models": ["outer"]})
        assert (loop.status_code, "refers to itself" in loop.text) == (400, True)
        taken = await client.put(f"/api/combos/{inner['id']}", json={"name": "outer"})
        assert taken.status_code == 400


async def test_combos_are_put_in_order(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        ids = {name: (await made(client, name, "demo/echo"))["id"] for name in "abc"}
        ordered = await client.post("/api/combos/reorder", json={"comboIds": [ids["c"], ids["a"]]})
        assert [row["name"] for row in ordered.json()["combos"]] == ["c", "a", "b"]
        for wrong in ([ids["a"], ids["a"]], ["nobody"], []):
            refused = await client.post("/api/combos/reorder", json={"comboIds": wrong})
            assert refused.status_code == 400


async def test_every_target_is_probed(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        await made(client, "c", "demo/flaky-500", "demo/echo")
        found = (await client.post("/api/combos/test", json={"comboName": "c"})).json()
        assert [row["status"] for row in found["results"]] == ["error", "ok"]
        assert found["results"][0]["statusCode"] == 500
        assert found["resolvedBy"] == "demo/echo"
        assert found["resolvedByTarget"]["executionKey"] == found["resolvedByExecutionKey"]
        missing = await client.post("/api/combos/test", json={"comboName": "nobody"})
        assert missing.status_code == 404
        await made(client, "empty")
        nothing = await client.post("/api/combos/test", json={"comboName": "empty"})
        assert nothing.status_code == 400


async def test_requests_and_attempts_are_measured(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        await made(client, "c", "demo/flaky-500", "demo/echo")
        before = (await client.get("/api/combos/metrics", params={"combo": "c"})).json()
        assert (before["metrics"], "Nobody" in before["message"]) == (None, True)
        for _ in range(3):
            assert (await ask(client, "c")).status_code == 200
        found = (await client.get("/api/combos/metrics", params={"combo": "c"})).json()["metrics"]
        assert (found["totalRequests"], found["totalAttempts"], found["fallbackRate"]) == (
            3,
            6,
            100,
        )
        assert (found["successRate"], found["strategy"]) == (100, "priority")
        assert found["byModel"]["demo/flaky-500"]["failures"] == 3
        assert [row["lastStatus"] for row in found["byTarget"].values()] == ["error", "ok"]
        every = (await client.get("/api/combos/metrics")).json()["metrics"]
        assert list(every) == ["c"]
        reset = await client.delete("/api/combos/metrics", params={"combo": "c"})
        assert reset.json()["success"] is True
        after = (await client.get("/api/combos/metrics", params={"combo": "c"})).json()
        assert after["metrics"] is None
        unknown = await client.get("/api/combos/metrics", params={"combo": "nobody"})
        assert unknown.status_code == 404


async def test_defaults_lie_under_every_combo(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        path = "/api/settings/combo-defaults"
        set_ = await client.patch(
            path, json={"comboDefaults": {"maxRetries": 1, "retryDelayMs": 0}}
        )
        assert set_.json()["comboDefaults"] == {"maxRetries": 1, "retryDelayMs": 0}
        await made(client, "c", "demo/flaky-500", "demo/echo")
        answer = await ask(client, "c")
        told = (await client.get(f"/api/routes/{answer.headers['x-request-id']}")).json()
        assert [row["status"] for row in told["trace"]["attempts"]] == [500, 500, 200]
        for wrong in ({"comboDefaults": {"maxRetries": 99}}, {}, {"comboDefaults": TIERS}):
            assert (await client.patch(path, json=wrong)).status_code == 400


async def test_metrics_can_be_switched_off_for_a_combo(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        await made(client, "quiet", "demo/echo", config={"trackMetrics": False})
        await ask(client, "quiet")
        found = (await client.get("/api/combos/metrics", params={"combo": "quiet"})).json()
        assert found == {"metrics": None, "message": "trackMetrics is off for 'quiet'."}
        assert (await client.get("/api/combos/metrics")).json() == {"metrics": {}}


async def test_the_strategy_of_a_combo_that_names_none_is_the_default(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        assert (await made(client, "a", "demo/echo"))["strategy"] == "priority"
        defaults = {"comboDefaults": {"strategy": "random"}}
        await client.patch("/api/settings/combo-defaults", json=defaults)
        assert (await made(client, "b", "demo/echo"))["strategy"] == "random"
        own = {"config": {"strategy": "p2c"}}
        assert (await made(client, "c", "demo/echo", **own))["strategy"] == "p2c"
        assert (await made(client, "d", "demo/echo", strategy="auto", **own))["strategy"] == "auto"
