"""The tools about memories, by a client: what they return, whose memories they touch."""

from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextContent
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.wire import call, key, set_setting

from omniroute.engine import Engine
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.door import parts

pytestmark = pytest.mark.anyio

SEARCH, ADD, CLEAR = (f"omniroute_memory_{verb}" for verb in ("search", "add", "clear"))
MINE = {"apiKeyId": "me"}
LIKES = {**MINE, "type": "factual", "key": "cheese", "content": "Likes brie"}
MADE = ("id", "createdAt", "updatedAt")


async def asked(engine: Engine, name: str, **arguments: Any) -> Any:
    """The structured answer of a call over stdio, or the text of its failure."""
    async with Client(parts(engine, Callers(Policy(), over_stdio=True), dict).server()) as client:
        result = await client.call_tool(name, arguments)
    if result.is_error:
        assert isinstance(result.content[0], TextContent)
        return result.content[0].text
    return result.structured_content


async def test_what_is_stored_is_found_and_cleared(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, _, _):
        added = await asked(engine, ADD, **LIKES, metadata={"a": 1}, sessionId="s")
        renewed = await asked(engine, ADD, **{**LIKES, "content": "Likes brie a lot"})
        await asked(engine, ADD, **{**LIKES, "key": "bread", "content": "Bakes bread"})
        found = await asked(engine, SEARCH, **MINE, query="brie?")
        newest = await asked(engine, SEARCH, **MINE, limit=1)
        cleared = await asked(engine, CLEAR, **MINE)
    memory = added["data"]["memory"]
    assert added["success"] is True
    assert {name: memory[name] for name in memory if name not in MADE} == {
        **LIKES,
        "sessionId": "s",
        "metadata": {"a": 1},
        "expiresAt": None,
    }
    assert renewed["data"]["memory"]["id"] == memory["id"]
    assert found == {
        "success": True,
        "data": {"memories": [renewed["data"]["memory"]], "count": 1, "totalTokens": 4},
    }
    assert [one["key"] for one in newest["data"]["memories"]] == ["bread"]
    assert (cleared["success"], cleared["data"]["deletedCount"]) == (True, 2)


FOUND: dict[str, tuple[dict[str, Any], list[str]]] = {
    "the newest first": ({}, ["c", "b", "a"]),
    "of a type": ({"type": "episodic"}, ["b"]),
    "type before limit": ({"type": "factual", "limit": 2}, ["c", "a"]),
    "as many as fit": ({"maxTokens": 25}, ["c", "b"]),
    "the first whatever its size": ({"maxTokens": 1}, ["c"]),
    "the best first": ({"query": "cake with olives"}, ["a", "c"]),
    "words of metadata": ({"query": "kitchen", "type": "episodic"}, ["b"]),
    "nothing to do with it": ({"query": "music"}, []),
    "operators are words": ({"query": '"* NOT & olives:*'}, ["a"]),
}


@pytest.mark.parametrize(("query", "keys"), FOUND.values(), ids=FOUND)
@pytest.mark.parametrize("strategy", ["hybrid", "recent"])
async def test_what_is_found(
    tmp_path: Path, strategy: str, query: dict[str, Any], keys: list[str]
) -> None:
    texts = {"a": "cake and olives", "b": "b" * 40, "c": f"no cake {'c' * 50}"}
    async with application(tmp_path) as (engine, _, _):
        await set_setting(engine, "memoryStrategy", strategy)
        for name, text in texts.items():
            kind = "episodic" if name == "b" else "factual"
            more = {"metadata": {"room": "Kitchen"}} if name == "b" else {}
            await asked(
                engine, ADD, **{**LIKES, "key": name, "content": text, "type": kind}, **more
            )
        found = await asked(engine, SEARCH, **MINE, **query)
    assert [one["key"] for one in found["data"]["memories"]] == keys


CLEARED: dict[str, tuple[dict[str, Any], int]] = {
    "all": ({}, 2),
    "of a type": ({"type": "episodic"}, 1),
    "older than long ago": ({"olderThan": "2020-01-01T00:00:00Z"}, 0),
    "older than some day": ({"olderThan": "2099-01-01"}, 2),
    "of somebody else": ({"apiKeyId": "you"}, 0),
}


@pytest.mark.parametrize(("query", "count"), CLEARED.values(), ids=CLEARED)
async def test_what_is_cleared(tmp_path: Path, query: dict[str, Any], count: int) -> None:
    async with application(tmp_path) as (engine, _, _):
        await asked(engine, ADD, **LIKES)
        await asked(engine, ADD, **{**LIKES, "key": "b", "type": "episodic"})
        cleared = await asked(engine, CLEAR, **{**MINE, **query})
        left = await asked(engine, SEARCH, **MINE)
    assert (cleared["data"]["deletedCount"], left["data"]["count"]) == (count, 2 - count)


FAILED: dict[str, tuple[str, dict[str, Any], str]] = {
    "no owner": (SEARCH, {}, "Error: apiKeyId: is required"),
    "an unknown type": (SEARCH, {**MINE, "type": "fact"}, "Error: type: must be one of"),
    "too many tokens": (SEARCH, {**MINE, "maxTokens": 8_001}, "Error: maxTokens"),
    "nothing to store": (ADD, {**LIKES, "content": ""}, "Error: content"),
    "no time": (CLEAR, {**MINE, "olderThan": "yesterday"}, "Error: olderThan: must be an ISO"),
}


@pytest.mark.parametrize(("name", "arguments", "told"), FAILED.values(), ids=FAILED)
async def test_failures(tmp_path: Path, name: str, arguments: dict[str, Any], told: str) -> None:
    async with application(tmp_path) as (engine, _, _):
        await asked(engine, ADD, **LIKES)
        assert (await asked(engine, name, **arguments)).startswith(told)
        assert (await asked(engine, SEARCH, **MINE))["data"]["count"] == 1


async def test_off_is_off_and_clearing_goes_on(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, _, _):
        await asked(engine, ADD, **LIKES)
        await set_setting(engine, "memoryEnabled", False)
        refused = [await asked(engine, ADD, **LIKES), await asked(engine, SEARCH, **MINE)]
        cleared = await asked(engine, CLEAR, **MINE)
    assert all("memoryEnabled" in text for text in refused)
    assert cleared["data"]["deletedCount"] == 1


async def test_keys_have_their_own_memories(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, client, _):
        scopes = ("mcp", "read:memory", "write:memory")
        mine, other = await key(engine, *scopes), await key(engine, *scopes)
        boss = await key(engine, "mcp", "manage")
        ids = [one.id for one in engine.snapshot.keys.values()]
        me, you = ids[0], ids[1]
        own = await call(client, ADD, {**LIKES, "apiKeyId": me}, headers=mine)
        refused = [
            await call(client, name, {**LIKES, "apiKeyId": me}, headers=other)
            for name in (SEARCH, ADD, CLEAR)
        ]
        theirs = await call(client, SEARCH, {"apiKeyId": you}, headers=other)
        seen = await call(client, SEARCH, {"apiKeyId": me}, headers=boss)
    assert "isError" not in own or own["isError"] is False
    assert [one["isError"] for one in refused] == [True] * 3
    assert all(f"You are '{you}'" in one["content"][0]["text"] for one in refused)
    assert theirs["structuredContent"]["data"]["count"] == 0
    assert seen["structuredContent"]["data"]["count"] == 1


async def test_nobody_without_a_key_is_anonymous(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, client, _):
        await engine_with_login(engine)
        refused = await call(client, ADD, LIKES)
        added = await call(client, ADD, {**LIKES, "apiKeyId": "anonymous"})
    assert "You are 'anonymous'" in refused["content"][0]["text"]
    assert added["structuredContent"]["data"]["memory"]["apiKeyId"] == "anonymous"


async def engine_with_login(engine: Engine) -> None:
    """Have managing need a credential."""
    async with engine.database.work() as work:
        await work.access.set_password_hash("x")
    await engine.configuration.load()


async def test_the_audit_does_not_say_what_memories_say(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, _, _):
        await asked(engine, ADD, **{**LIKES, "content": "canary"})
        await asked(engine, SEARCH, **MINE, query="canary")
        async with engine.database.reading() as work:
            rows, _ = await work.audit.page(10, 0)
    summaries = {row.tool_name: row.output_summary for row in rows}
    assert "canary" not in str(rows)
    assert summaries[SEARCH] == '{"count":1}'
    assert summaries[ADD].endswith("keys=[apiKeyId, content, key, type]")
