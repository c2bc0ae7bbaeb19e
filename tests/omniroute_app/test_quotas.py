"""Quotas over real sockets: an upstream that says little is left, a restart, a key refused."""

from pathlib import Path
from typing import Any

import httpx
from tests.support.processes import Gateway, Upstream

ASKED: dict[str, Any] = {
    "model": "lab/echo",
    "messages": [{"role": "user", "content": "hi"}],
}


def add_account(client: httpx.Client, name: str, priority: int, **options: Any) -> str:
    """An account of the upstream; its id."""
    body = {
        "provider": "lab",
        "name": name,
        "apiKey": "k",
        "priority": priority,
        "providerSpecificData": options,
    }
    made = client.post("/api/providers", json=body).raise_for_status().json()["connection"]
    identity: str = made["id"]
    return identity


def left(client: httpx.Client) -> dict[str, float]:
    """Percent left by account."""
    rows = client.get("/api/usage/quota").raise_for_status().json()["providers"]
    return {row["name"]: row["percentRemaining"] for row in rows}


def test_what_upstreams_say_is_left_decides_who_is_asked(
    tmp_path: Path, upstream: Upstream
) -> None:
    node = {"name": "Lab", "prefix": "lab", "apiType": "chat", "baseUrl": f"{upstream.url}/v1"}
    with Gateway(tmp_path) as first, httpx.Client(base_url=first.url, timeout=30) as client:
        client.post("/api/provider-nodes", json=node).raise_for_status()
        low = add_account(client, "low", 1, quotaPath="/quota/2", quotaPreflightEnabled=True)
        odd = add_account(
            client, "odd", 2, quotaPath="/quota/flaky-503", quotaPreflightEnabled=True
        )
        answer = client.post("/v1/chat/completions", json=ASKED).raise_for_status()
        told = client.get(f"/api/usage/{low}").raise_for_status().json()
        assert {row["remainingPercentage"] for row in told["quotas"].values()} == {2}
        route = f"/api/routes/{answer.headers['x-request-id']}"
        explained = client.get(route).raise_for_status().text
        assert "quota preflight" in explained.replace("_", " ")
        assert "scripted failure with status 503" in explained
        assert client.get(f"{route}/replay").json()["identical"] is True
        query = {"model": "lab/echo", "promptTokenEstimate": 1}
        dry = client.post("/api/routes/simulate", json=query).raise_for_status().json()
        assert [row["connection"] for row in dry["simulatedPath"]] == [odd]
        assert [(row["connection"], row["reason"]) for row in dry["excluded"]] == [
            (low, "quota_preflight")
        ]
        assert left(client) == {"low": 2, "odd": 100}
        assert first.stop() == 0
    with Gateway(tmp_path) as second, httpx.Client(base_url=second.url, timeout=30) as client:
        (names,) = client.get("/api/providers/quota-windows").json()["windows"].values()
        assert names == ["session (5h)", "weekly (7d)"]
        assert second.stop() == 0
