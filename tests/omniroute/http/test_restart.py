"""What keys may do and whose turn it is goes on after a restart as if there had been none."""

from typing import Any

import pytest
from tests.omniroute.http.conftest import OpenSite
from tests.omniroute.http.test_keys import ASKED, bearer, made

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


async def test_rates_sessions_and_last_use_survive(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = await made(client, maxRequestsPerDay=3, maxSessions=1)
        mine = {**bearer(key), "x-session-id": "mine"}
        first = [(await client.post(CHAT, json=ASKED, headers=mine)).status_code for _ in "12"]
    async with site() as opened, opened.as_peer() as client:
        other = await client.post(CHAT, json=ASKED, headers={**mine, "x-session-id": "other"})
        second = await client.post(CHAT, json=ASKED, headers=mine)
        (row,) = (await client.get("/api/sessions")).json()["sessions"]
        shown = (await client.get(f"/api/keys/{key['id']}")).json()
    assert first == [200, 200]
    assert other.json()["error"]["code"] == "SESSION_LIMIT_EXCEEDED"
    # The refused session was a request, too: the third of three.
    assert second.json()["error"]["code"] == "rate_limit_exceeded"
    assert (row["sessionId"], row["requestCount"]) == ("ext:mine", 2)
    assert shown["lastUsedAt"] > shown["createdAt"]


async def test_turns_and_bindings_go_on(site: OpenSite) -> None:
    combo: dict[str, Any] = {
        "name": "around",
        "strategy": "round-robin",
        "models": ["demo/echo", "demo/tools", "demo/reasoning"],
    }
    asked = {**ASKED, "model": "around"}
    served = []
    for start in range(3):
        async with site() as opened, opened.as_peer() as client:
            if not start:
                assert (await client.post("/api/combos", json=combo)).status_code == 201
            answer = await client.post(CHAT, json=asked, headers={"x-session-id": "s"})
            served.append(answer.headers["x-omniroute-model"])
            health = (await client.get("/api/monitoring/health")).json()["sessions"]
            assert health["stickyBoundCount"] == 1
    async with site() as opened:
        assert len(opened.engine.live.affinity) == 1
    assert served == ["echo", "tools", "reasoning"]
