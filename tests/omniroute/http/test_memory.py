"""Memories over HTTP: stored, listed in pages, looked at, deleted, and their settings."""

import logging
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite

pytestmark = pytest.mark.anyio

PATH = "/api/memory"
LIKES = {"apiKeyId": "k1", "key": "cheese", "content": "Likes brie", "type": "Semantic"}
MADE = {"createdAt", "updatedAt", "id"}


async def stored(client: httpx.AsyncClient, **changed: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={**LIKES, **changed})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_memory_is_stored_renewed_and_deleted(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        first = await stored(client, metadata={"a": 1})
        again = await stored(
            client, content="Hates brie", metadata={"b": 2}, expiresAt="2099-01-01"
        )
        place = f"{PATH}/{first['id']}"
        one = (await client.get(place)).json()
        gone = [(await client.delete(place)).json(), (await client.delete(place)).status_code]
    shown = {name: value for name, value in first["memory"].items() if name not in MADE}
    assert shown == {
        **LIKES,
        "type": "semantic",
        "sessionId": "",
        "metadata": {"a": 1},
        "expiresAt": None,
    }
    assert (first["success"], again["id"], one) == (True, first["id"], {"memory": again["memory"]})
    assert again["memory"]["metadata"] == {"a": 1, "b": 2}
    assert again["memory"]["expiresAt"] == "2099-01-01T00:00:00.000Z"
    assert gone == [{"success": True}, 404]


PAGES: dict[str, tuple[dict[str, Any], list[str], tuple[int, int, int, int]]] = {
    "all": ({}, ["m4", "m3", "m2", "m1", "m0"], (5, 1, 50, 1)),
    "a page": ({"page": 2, "limit": 2}, ["m2", "m1"], (5, 2, 2, 3)),
    "from an offset": ({"page": 1, "limit": 2, "offset": 4}, ["m0"], (5, 3, 2, 3)),
    "of a key": ({"apiKeyId": "odd"}, ["m3", "m1"], (2, 1, 50, 1)),
    "of a type": ({"type": "episodic"}, ["m4"], (1, 1, 50, 1)),
    "of a session": ({"sessionId": "s2"}, ["m2"], (1, 1, 50, 1)),
    "by a part of the text": ({"q": "ORY 3"}, ["m3"], (1, 1, 50, 1)),
    "nobody's": ({"apiKeyId": "nobody"}, [], (0, 1, 50, 0)),
}


@pytest.mark.parametrize(("query", "keys", "page"), PAGES.values(), ids=PAGES)
async def test_pages(
    site: OpenSite, query: dict[str, Any], keys: list[str], page: tuple[int, ...]
) -> None:
    async with site() as opened, opened.as_peer() as client:
        for place in range(5):
            await stored(
                client,
                key=f"m{place}",
                apiKeyId=("even", "odd")[place % 2],
                content=f"memory {place}",
                sessionId=f"s{place}",
                type="EPISODIC" if place == 4 else "factual",
            )
        found = (await client.get(PATH, params=query)).json()
    assert [one["key"] for one in found["data"]] == keys
    assert tuple(found[name] for name in ("total", "page", "limit", "totalPages")) == page
    assert found["stats"]["total"] == found["total"] == sum(found["stats"]["byType"].values())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown type": ({"type": "factuall"}, "Did you mean 'factual'"),
    "no content": ({"content": ""}, "content"),
    "too much content": ({"content": "x" * 16_001}, "content"),
    "a key that is too long": ({"key": "x" * 201}, "key"),
    "too much metadata": ({"metadata": {"a": "x" * 16_400}}, "metadata"),
    "no time": ({"expiresAt": "soon"}, "expiresAt"),
}


@pytest.mark.parametrize(("changed", "told"), REFUSED.values(), ids=REFUSED)
async def test_what_makes_no_sense_is_refused(
    site: OpenSite, changed: dict[str, Any], told: str
) -> None:
    async with site() as opened, opened.as_peer() as client:
        answer = await client.post(PATH, json={**LIKES, **changed})
    assert (answer.status_code, told in answer.text) == (400, True)


async def test_health_leaves_nothing_behind(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        health = (await client.get(f"{PATH}/health")).json()
        left = (await client.get(PATH)).json()["total"]
        async with opened.engine.database._writer.begin() as connection:
            await connection.exec_driver_sql("DROP TRIGGER memory_fts_insert")
        broken = await client.get(f"{PATH}/health")
    assert {**health, "latencyMs": 0} == {
        "working": True,
        "latencyMs": 0,
        "db": {"ok": True},
        "fts": {"ok": True},
        "embeddings": {"enabled": False, "backend": None},
        "vectorIndex": {"enabled": False, "ok": None},
    }
    assert left == 0
    assert (broken.status_code, broken.json()["working"]) == (500, False)
    assert broken.json()["error"]


async def test_settings_are_changed_one_by_one(site: OpenSite) -> None:
    path = "/api/settings/memory"
    async with site() as opened, opened.as_peer() as client:
        first = (await client.get(path)).json()
        second = (await client.put(path, json={"strategy": "recent", "enabled": False})).json()
        off = await client.post(PATH, json=LIKES)
        every = (await client.get("/api/settings")).json()
        refused = [
            (await client.put(path, json=one)).status_code
            for one in ({}, {"retention": 3}, {"maxTokens": 16_001}, {"strategy": "newest"})
        ]
    assert first == {
        "enabled": True,
        "maxTokens": 2000,
        "retentionDays": 30,
        "strategy": "hybrid",
        "skillsEnabled": False,
    }
    assert second == {**first, "strategy": "recent", "enabled": False}
    assert (off.status_code, "memoryEnabled" in off.text) == (503, True)
    assert (every["memoryStrategy"], every["memoryEnabled"]) == ("recent", False)
    assert refused == [400] * 4


async def test_a_key_takes_its_memories_along(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        made = (await client.post("/api/keys", json={"name": "k", "scopes": ["manage"]})).json()
        headers = {"authorization": f"Bearer {made['key']}"}
        await client.post(PATH, json={**LIKES, "apiKeyId": made["id"]}, headers=headers)
        await client.post(PATH, json=LIKES, headers=headers)
        other = (await client.post("/api/keys", json={"name": "o"}, headers=headers)).json()
        await client.post(PATH, json={**LIKES, "apiKeyId": other["id"]}, headers=headers)
        gone = await client.delete(f"/api/keys/{other['id']}", headers=headers)
        left = (await client.get(PATH, headers=headers)).json()
    assert gone.status_code == 200
    assert [one["apiKeyId"] for one in left["data"]] == ["k1", made["id"]]


async def test_strangers_see_nothing(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        made = (await client.post("/api/keys", json={"name": "k"})).json()
        async with opened.as_peer(ELSEWHERE, key=made["key"]) as stranger:
            answers = [await stranger.get(PATH), await stranger.get("/api/settings/memory")]
    assert [answer.status_code for answer in answers] == [403, 403]


async def test_logs_do_not_say_what_memories_say(
    site: OpenSite, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, logger="omniroute")
    async with site(LOG_LEVEL="debug") as opened, opened.as_peer() as client:
        await stored(client, content="canary-of-a-memory")
        await client.get(PATH, params={"q": "canary-of"})
        await client.get(f"{PATH}/health")
        audit = (await client.get("/api/compliance/audit-log")).text
    out, err = capfd.readouterr()
    assert "canary" not in caplog.text + out + err + audit
