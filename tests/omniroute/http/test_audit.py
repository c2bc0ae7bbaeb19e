"""The audit log: every change of configuration is in it, by whom and from where."""

from typing import Any

import pytest
from tests.omniroute.http.conftest import OpenSite

pytestmark = pytest.mark.anyio

CHANGES: dict[str, tuple[str, str, dict[str, Any] | None, str, str | None]] = {
    "an account": (
        "POST",
        "/api/providers",
        {"provider": "openai", "name": "main", "apiKey": "sk-canary-0123456789abcdef"},
        "provider.credentials.created",
        "openai:main",
    ),
    "a setting": ("PATCH", "/api/settings", {"a2aEnabled": True}, "settings.updated", None),
    "a combo": ("POST", "/api/combos", {"name": "fast"}, "combo.created", "fast"),
    "a key": ("POST", "/api/keys", {"name": "ci"}, "apiKey.created", "ci"),
    "an alias": (
        "POST",
        "/api/models/alias",
        {"alias": "small", "model": "demo/echo"},
        "alias.updated",
        "small",
    ),
}


@pytest.mark.parametrize(
    ("method", "path", "body", "action", "target"), CHANGES.values(), ids=CHANGES
)
async def test_a_change_is_in_the_log(
    site: OpenSite, method: str, path: str, body: Any, action: str, target: str | None
) -> None:
    async with site() as here, here.as_peer() as client:
        changed = await client.request(method, path, json=body)
        assert changed.status_code in (200, 201)
        answer = await client.get("/api/compliance/audit-log")
    entry = answer.json()[0]
    assert (entry["action"], entry["target"], entry["actor"]) == (action, target, "local")
    assert entry["requestId"] == entry["request_id"] == changed.headers["x-request-id"]
    assert entry["ip"] == entry["ip_address"] == "127.0.0.1"
    assert entry["status"] == "success"
    assert "sk-canary" not in answer.text


async def test_what_fails_is_no_change(site: OpenSite) -> None:
    async with site() as here, here.as_peer() as client:
        await client.delete("/api/combos/nothing")
        assert (await client.get("/api/compliance/audit-log")).json() == []


async def test_a_key_is_the_actor(site: OpenSite) -> None:
    async with site() as here, here.as_peer() as client:
        made = (await client.post("/api/keys", json={"name": "boss", "scopes": ["manage"]})).json()
        headers = {"authorization": f"Bearer {made['key']}"}
        await client.post("/api/combos", json={"name": "fast"}, headers=headers)
        found = await client.get(f"/api/compliance/audit-log?actor=KEY:{made['id']}")
    assert [entry["action"] for entry in found.json()] == ["combo.created"]
    assert found.json()[0]["metadata"] == {"door": "http", "credential": "key"}


FILTERS = {
    "action=COMBO": 2,
    "action=combo.deleted": 0,
    "target=fas": 1,
    "status=success": 3,
    "resource_type=combo": 2,
    "resourceType=combo": 2,
    "since=2100-01-01": 0,
    "from=2000-01-01&to=2100-01-01": 3,
    "until=2000-01-01T00:00:00Z": 0,
    "action=%25": 0,  # no wildcard: a character
    "limit=1": 1,
    "limit=0": 1,
    "limit=100000&offset=2": 1,
    "offset=-4": 3,
}


async def test_entries_can_be_looked_for(site: OpenSite) -> None:
    async with site() as here, here.as_peer() as client:
        for name in ("fast", "slow"):
            await client.post("/api/combos", json={"name": name})
        await client.patch("/api/settings", json={"a2aEnabled": True})
        found = {query: await client.get(f"/api/compliance/audit-log?{query}") for query in FILTERS}
        refused = await client.get("/api/compliance/audit-log?since=yesterday")
    assert {query: len(answer.json()) for query, answer in found.items()} == FILTERS
    assert found["limit=1"].headers["x-page-limit"] == "1"
    assert found["limit=100000&offset=2"].headers["x-page-limit"] == "500"
    assert found["offset=-4"].headers["x-page-offset"] == "0"
    assert found["limit=0"].headers["x-total-count"] == "3"
    assert refused.status_code == 400
