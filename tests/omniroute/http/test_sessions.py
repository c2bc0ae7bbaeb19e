"""Sessions over HTTP: named in answers, listed for operators, limited by key, bound to money."""

import pytest
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite
from tests.omniroute.http.test_keys import ASKED, DIALECTS, bearer, made

pytestmark = pytest.mark.anyio

SESSION = "x-omniroute-session-id"
CHAT = "/v1/chat/completions"


async def test_answers_and_errors_name_the_session(site: OpenSite) -> None:
    unknown = {**ASKED, "model": "nobody/nothing"}
    async with site() as opened, opened.as_peer() as client:
        named = await client.post(CHAT, json=ASKED, headers={"x-session-id": "chat-42"})
        streamed = await client.post(CHAT, json={**ASKED, "stream": True})
        plain = await client.post(CHAT, json=ASKED)
        failed = await client.post(CHAT, json=unknown, headers={"x-session-id": "chat-42"})
        foreign = await client.post(CHAT, json=ASKED, headers=[(b"x-session-id", b"\xfc")])
        told = await client.get(f"/api/routes/{named.headers['x-request-id']}")
    assert (named.headers[SESSION], failed.headers[SESSION]) == ("ext:chat-42", "ext:chat-42")
    assert failed.status_code == 400
    assert plain.headers[SESSION] == streamed.headers[SESSION]
    assert len(plain.headers[SESSION]) == 16
    assert (foreign.status_code, SESSION in foreign.headers) == (200, False)
    assert "It belongs to session ext:chat-42." in told.json()["text"]


async def test_a_session_is_listed(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = await made(client)
        for _ in range(2):
            await client.post(CHAT, json=ASKED, headers={**bearer(key), "x-session-id": "a"})
        await client.post(CHAT, json=ASKED)
        page = (await client.get("/api/sessions")).json()
        health = (await client.get("/api/monitoring/health")).json()["sessions"]
        async with opened.as_peer(ELSEWHERE) as stranger:
            seen = (await stranger.get("/api/monitoring/health")).json()["sessions"]
            refused = await stranger.get("/api/sessions")
    first = next(row for row in page["sessions"] if row["sessionId"] == "ext:a")
    assert (first["requestCount"], first["connectionId"]) == (2, "demo")
    assert first["createdAt"] <= first["lastActive"]
    assert first["ageMs"] >= 0
    assert (page["count"], page["byApiKey"]) == (2, {key["id"]: 1})
    assert (health["activeCount"], health["stickyBoundCount"]) == (2, 1)
    assert health["byApiKey"] == {key["id"]: 1}
    assert health["top"][0]["sessionId"] == "ext:a"
    assert seen == {**health, "byApiKey": {}, "top": []}
    assert refused.status_code == 401


async def test_a_session_too_many_is_refused_in_every_dialect(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = await made(client, maxSessions=1)
        mine = {**bearer(key), "x-session-id": "first"}
        for path, body in DIALECTS.values():
            assert (await client.post(path, json=body, headers=mine)).status_code == 200
        for path, body in DIALECTS.values():
            other = await client.post(
                path, json=body, headers={**bearer(key), "x-session-id": "second"}
            )
            assert other.status_code == 429
            assert "1 sessions at a time" in other.text
            assert other.headers[SESSION] == "ext:second"
        chat = await client.post(CHAT, json=ASKED, headers=bearer(key))
    error = chat.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "SESSION_LIMIT_EXCEEDED")
