"""Budgets over HTTP: set, shown, enforced, removed, and refused in words of their own."""

from typing import Any

import pytest
from tests.omniroute.http.conftest import OpenSite

pytestmark = pytest.mark.anyio

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no limit": ({"apiKeyId": "k"}, "dailyLimitUsd"),
    "a limit of nothing": ({"apiKeyId": "k", "dailyLimitUsd": 0}, "dailyLimitUsd"),
    "no key": ({"dailyLimitUsd": 1}, "apiKeyId"),
    "the old shape": ({"keyId": "k", "limit": 1, "period": "daily"}, "apiKeyId"),
    "an hour nobody has": (
        {"apiKeyId": "k", "dailyLimitUsd": 1, "resetTime": "24:00"},
        "resetTime",
    ),
    "an unknown action": ({"apiKeyId": "k", "dailyLimitUsd": 1, "action": "explode"}, "action"),
}


@pytest.mark.parametrize(("body", "field"), BAD.values(), ids=BAD)
async def test_what_is_not_a_budget_is_refused(
    site: OpenSite, body: dict[str, Any], field: str
) -> None:
    async with site() as opened, opened.as_peer() as client:
        response = await client.post("/api/usage/budget", json=body)
    assert response.status_code == 400
    assert field in response.text


async def test_a_budget_is_set_shown_and_removed(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        saved = await client.post(
            "/api/usage/budget", json={"apiKeyId": "k", "dailyLimitUsd": 1.5, "monthlyLimitUsd": 20}
        )
        assert saved.status_code == 200
        assert saved.json()["budget"]["dailyLimitUsd"] == 1.5
        summary = (await client.get("/api/usage/budget", params={"apiKeyId": "k"})).json()
        assert (summary["dailyLimitUsd"], summary["monthlyLimitUsd"]) == (1.5, 20)
        assert [row["period"] for row in summary["windows"]] == ["daily", "monthly"]
        assert summary["budgetCheck"]["allowed"] is True
        assert summary["nextResetAt"] > summary["periodStartAt"]
        for path in ("/api/usage/budget", "/api/usage/budget/bulk"):
            assert "k" in (await client.get(path)).json()["budgets"]
        removed = await client.delete("/api/usage/budget", params={"apiKeyId": "k"})
        assert removed.json() == {"success": True}
        again = await client.delete("/api/usage/budget", params={"apiKeyId": "k"})
        assert again.status_code == 404


async def test_sessions_runs_and_tasks_have_budgets(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        for kind in ("session", "run", "task"):
            named = {"scope": kind, "scopeId": "r-1"}
            saved = await client.post(
                "/api/usage/budget/scopes", json={**named, "totalLimitUsd": 2}
            )
            assert saved.status_code == 200
            (row,) = (await client.get("/api/usage/budget/scopes")).json()["budgets"]
            assert (row["scope"], row["apiKeyId"], row["totalLimitUsd"]) == (kind, "r-1", 2)
            assert row["windows"][0]["resetAt"] is None
            gone = await client.delete("/api/usage/budget/scopes", params=named)
            assert gone.status_code == 200
