"""The caches over HTTP: headers a client sees, figures an operator sees, and what empties them."""

import json

import pytest
from tests.omniroute.http.conftest import OpenSite

pytestmark = pytest.mark.anyio

BODY = {
    "model": "demo/echo",
    "temperature": 0,
    "messages": [{"role": "user", "content": "keep me"}],
}
CHAT = "/v1/chat/completions"


async def test_a_hit_is_told_in_headers_and_figures(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        first = await client.post(CHAT, json=BODY)
        second = await client.post(CHAT, json=BODY)
        assert (first.headers["x-omniroute-cache"], second.headers["x-omniroute-cache"]) == (
            "MISS",
            "HIT",
        )
        assert second.headers["x-omniroute-cache-hit"] == "true"
        assert second.json()["choices"] == first.json()["choices"]
        stream = await client.post(CHAT, json={**BODY, "stream": True})
        assert stream.headers["x-omniroute-cache"] == "HIT"
        frames = [line[6:] for line in stream.text.splitlines() if line.startswith("data: ")]
        assert frames[-1] == "[DONE]"
        said = [json.loads(one)["choices"] for one in frames[:-1]]
        assert "".join(c[0]["delta"].get("content") or "" for c in said if c) == "keep me"
        stats = (await client.get("/api/cache/stats")).json()["semanticCache"]
        assert (stats["hits"], stats["memorySize"], stats["dbSize"]) == (2, 1, 1)
        page = (await client.get("/api/cache/entries")).json()
        assert (page["total"], page["entries"][0]["model"]) == (1, "demo/echo")
        told = (await client.get(f"/api/routes/{second.headers['x-request-id']}")).json()
        assert "kept answer" in told["text"]


async def test_what_is_kept_survives_memory(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        await client.post(CHAT, json=BODY)
        cache = opened.engine.chat.answers.cache
        await cache.settled()
        cache.forget(next(iter(cache._memory)), stored=False)
        again = await client.post(CHAT, json=BODY)
        assert again.headers["x-omniroute-cache"] == "HIT"


async def test_caches_are_emptied(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        for word in ("one", "two"):
            message = {"role": "user", "content": word}
            await client.post(CHAT, json={**BODY, "messages": [message]})
        several = await client.delete("/api/cache", params={"model": "m", "signature": "s"})
        assert several.status_code == 400
        entry = (await client.get("/api/cache/entries")).json()["entries"][0]
        one = await client.delete("/api/cache", params={"signature": entry["signature"]})
        assert one.json() == {"ok": True, "invalidated": 1, "scope": "signature"}
        model = await client.delete("/api/cache/entries", params={"model": "demo/echo"})
        assert model.json()["invalidated"] == 1
        everything = await client.delete("/api/cache/stats")
        assert everything.json()["success"] is True
        overview = (await client.get("/api/cache")).json()
        assert overview["semanticCache"]["dbEntries"] == 0
        assert overview["config"] == {"semanticCacheEnabled": True}


async def test_a_repeated_request_is_told_in_a_header(site: OpenSite) -> None:
    headers = {"Idempotency-Key": "once"}
    body = {**BODY, "temperature": 1}
    async with site() as opened, opened.as_peer() as client:
        first = await client.post(CHAT, json=body, headers=headers)
        second = await client.post(CHAT, json=body, headers=headers)
        assert "x-omniroute-idempotent" not in first.headers
        assert second.headers["x-omniroute-idempotent"] == "true"
        assert second.content == first.content
        other = await client.post(CHAT, json={**body, "max_tokens": 3}, headers=headers)
        assert other.status_code == 422
        assert "Idempotency-Key" in other.json()["error"]["message"]
        active = (await client.get("/api/cache/stats")).json()["idempotency"]["activeKeys"]
        assert active == 1
