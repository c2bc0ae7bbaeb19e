"""Memories are found by their words, the same on both databases."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from omniroute.storage.backups.copying import copy_database
from omniroute.storage.database import Database
from omniroute.storage.records.memories import Memory, MemoryFilter
from omniroute.storage.words import asked_words

pytestmark = pytest.mark.anyio

ANY = MemoryFilter()


def memory(name: str, content: str, at_ms: int = 0, **changed: Any) -> Memory:
    made = Memory(
        id=f"id-{name}",
        api_key_id="k1",
        session_id="s1",
        type="factual",
        key=name,
        content=content,
        metadata={},
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
    )
    return replace(made, **changed)


CHEESE = memory("cheese", "Prefers Käse to cake; never olives", 1)
CAKE = memory("cake", "Bakes a cake on Sundays", 2, type="episodic")
TOWER = memory("東京", "東京タワーに行きたい", 3, session_id="s2")
OTHER = memory("cheese", "Prefers brie", 4, api_key_id="k2", id="id-other", expires_at_ms=50)
MEMORIES = (CHEESE, CAKE, TOWER, OTHER)


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.work() as work:
        for one in MEMORIES:
            assert await work.memories.put(one) == one
    return database


FOUND: dict[str, tuple[str, list[Memory]]] = {
    "a word": ("sundays", [CAKE]),
    "whatever its case and accents": ("KÄSE", [CHEESE]),
    "written without accents": ("kase", [CHEESE]),
    "a beginning": ("prefer", [OTHER, CHEESE]),
    "no beginning that is too short": ("ca", []),
    "no middle": ("refers", []),
    "a word of the key": ("cheese", [OTHER, CHEESE]),
    "the most words first, then the newest": ("cake käse olives", [CHEESE, CAKE]),
    "the newest of equals": ("prefers nothing", [OTHER, CHEESE]),
    "scripts without spaces": ("東京", [TOWER]),
    "operators are words": ('cake AND "NOT* (olives', [CHEESE, CAKE]),
    "columns are words": ("terms:cake", [CAKE, CHEESE]),
    "operators of the other kind": ("cake & !käse:* <-> 'x''", [CHEESE, CAKE]),
    "no words at all": ("\"'*()-^:\\", []),
    "NUL and halves of letters": ("cake\x00\ud800", [CAKE, CHEESE]),
}


@pytest.mark.parametrize(("query", "found"), FOUND.values(), ids=FOUND)
async def test_words_find(filled: Database, query: str, found: list[Memory]) -> None:
    async with filled.reading() as work:
        assert await work.memories.matching(ANY, asked_words(query), 10) == found


FILTERED: dict[str, tuple[MemoryFilter, list[Memory]]] = {
    "everything, newest first": (ANY, [OTHER, TOWER, CAKE, CHEESE]),
    "of an owner": (MemoryFilter(api_key_id="k1"), [TOWER, CAKE, CHEESE]),
    "of a type": (MemoryFilter(type="episodic"), [CAKE]),
    "of a session": (MemoryFilter(session_id="s2"), [TOWER]),
    "with a part of the content": (MemoryFilter(text="REFERS b"), [OTHER]),
    "with a part of the key": (MemoryFilter(text="hees"), [OTHER, CHEESE]),
    "signs of patterns are signs": (MemoryFilter(text="%"), []),
    "since": (MemoryFilter(since_ms=3), [OTHER, TOWER]),
    "before": (MemoryFilter(before_ms=2), [CHEESE]),
    "living": (MemoryFilter(living_at_ms=50), [TOWER, CAKE, CHEESE]),
}


@pytest.mark.parametrize(("wanted", "found"), FILTERED.values(), ids=FILTERED)
async def test_filters(filled: Database, wanted: MemoryFilter, found: list[Memory]) -> None:
    async with filled.work() as work:
        assert await work.memories.page(wanted, 10) == found
        assert sum((await work.memories.counts(wanted)).values()) == len(found)
        assert await work.memories.clear(wanted) == len(found)
        left = await work.memories.page(ANY, 10)
    assert {one.id for one in left} == {one.id for one in MEMORIES if one not in found}


async def test_a_key_is_renewed(filled: Database) -> None:
    first = memory("cheese", "Prefers Käse", 5, id="id-new", metadata={"a": 1, "b": {"c": 1}})
    second = replace(first, content="Hates it", updated_at_ms=6, metadata={"b": {"d": 2}})
    async with filled.work() as work:
        await work.memories.put(first)
        renewed = await work.memories.put(replace(second, id="id-newest"))
        assert await work.memories.get(CHEESE.id) == renewed
        assert await work.memories.get("id-new") is None
        assert await work.memories.matching(ANY, ("olives",), 10) == []
        assert await work.memories.matching(ANY, ("hates",), 10) == [renewed]
    assert renewed == replace(
        second, id=CHEESE.id, created_at_ms=1, metadata={"a": 1, "b": {"d": 2}}
    )


async def test_what_is_deleted_is_found_no_more(filled: Database) -> None:
    async with filled.work() as work:
        assert await work.memories.delete(CAKE.id)
        assert not await work.memories.delete(CAKE.id)
        assert await work.memories.matching(ANY, ("cake",), 10) == [CHEESE]
        assert await work.memories.counts(ANY) == {"factual": 3}


async def test_a_restored_backup_is_searched_too(filled: Database, tmp_path: Path) -> None:
    await copy_database(filled.reader, tmp_path / "copy.sqlite", lambda _: None)
    async with filled.work() as work:
        await work.memories.clear(ANY)
        await work.memories.put(memory("new", "a cake that goes"))
    async with filled.work() as work:
        await work.whole.load(tmp_path / "copy.sqlite", lambda _: None)
        assert await work.memories.matching(ANY, ("cake",), 10) == [CAKE, CHEESE]
        newest = memory("newest", "cake", 9)
        await work.memories.put(newest)
        assert await work.memories.matching(ANY, ("cake",), 10) == [newest, CAKE, CHEESE]


async def test_writers_of_one_key_at_once_lose_nothing(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.work() as work:
            await work.memories.put(
                memory("same", "x", number, id=f"id-{number}", metadata={f"m{number}": number})
            )

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(write, number)
    async with database.reading() as work:
        (found,) = await work.memories.page(ANY, 10)
    assert found.metadata == {f"m{number}": number for number in range(8)}
