"""Memories: what agents store to know it again. Owners are API keys, who see their own only."""

from typing import Annotated

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import Disabled, NotFound
from omniroute.operations.access.ownership import require_own
from omniroute.operations.memory.views import (
    MemoryInput,
    MemoryView,
    Name,
    read_memory,
    read_time,
    view,
)
from omniroute.pipeline.memory.recall import recalled, tokens, within
from omniroute.storage.records.memories import MEMORY_TYPES, MemoryFilter, MemoryType
from omniroute.storage.retention import DAY_MS


class MemoryAdded(Struct, frozen=True):
    """The memory as it is stored."""

    memory: MemoryView
    message: str


class MemorySearch(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is looked for among the memories of an owner.

    Attributes:
        api_key_id: whose memories: the id of the caller's own key; operators may name any.
        query: words to look for; without them the newest come first.
        max_tokens: memories together have at most so many tokens, a quarter of their characters.
    """

    api_key_id: Name
    query: Annotated[str, Meta(max_length=2_000)] | None = None
    type: MemoryType | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=8_000)] = 2_000
    limit: Annotated[int, Meta(ge=1, le=100)] | None = None


class MemoriesFound(Struct, frozen=True, rename="camel"):
    """Memories, best first, and their tokens together."""

    memories: list[MemoryView]
    count: int
    total_tokens: int


class MemoryClear(Struct, frozen=True, kw_only=True, rename="camel"):
    """What of an owner's memories goes.

    Attributes:
        api_key_id: whose memories: the id of the caller's own key; operators may name any.
        older_than: only what was last stored before this time, ISO-8601.
    """

    api_key_id: Name
    type: MemoryType | None = None
    older_than: Annotated[str, Meta(max_length=64)] | None = None


class MemoriesCleared(Struct, frozen=True, rename="camel"):
    """How many memories are gone."""

    deleted_count: int
    message: str


class MemoryQuery(Struct, frozen=True, kw_only=True):
    """Which memories are listed. `text` is a part of the content or the key, in any case."""

    api_key_id: str | None = None
    type: MemoryType | None = None
    session_id: str | None = None
    text: str | None = None
    limit: int = 50
    offset: int = 0


class MemoryStats(Struct, frozen=True, rename="camel"):
    """How many memories there are."""

    total: int
    by_type: dict[MemoryType, int]


async def add_memory(engine: Engine, caller: Caller, given: MemoryInput) -> MemoryAdded:
    """Store a memory, or renew the one its owner has under its key.

    Raises:
        Forbidden: it would belong to somebody else.
        ValidationFailed: a field makes no sense.
        Disabled: memories are switched off.
    """
    require_own(caller, given.api_key_id)
    _require_enabled(engine)
    memory = read_memory(given, engine.new_id(), engine.now_ms())
    async with engine.database.work() as work:
        stored = await work.memories.put(memory)
    told = "stored" if stored.id == memory.id else "renewed"
    return MemoryAdded(view(stored), f"The memory is {told}.")


async def search_memories(engine: Engine, caller: Caller, query: MemorySearch) -> MemoriesFound:
    """The memories of an owner that answer a question, as many as fit; without one the newest.

    Expired ones, and those not stored again within `memoryRetentionDays`, are not found.

    Raises:
        Forbidden: they belong to somebody else.
        Disabled: memories are switched off.
    """
    require_own(caller, query.api_key_id)
    _require_enabled(engine)
    settings, now_ms = engine.snapshot.settings, engine.now_ms()
    wanted = MemoryFilter(
        api_key_id=query.api_key_id,
        type=query.type,
        since_ms=now_ms - settings["memoryRetentionDays"] * DAY_MS,
        living_at_ms=now_ms,
    )
    async with engine.database.reading() as work:
        found = await recalled(work, wanted, query.query or "", settings["memoryStrategy"])
    kept = within(found[: query.limit], query.max_tokens)
    return MemoriesFound(
        [view(one) for one in kept], len(kept), sum(tokens(one.content) for one in kept)
    )


async def clear_memories(engine: Engine, caller: Caller, query: MemoryClear) -> MemoriesCleared:
    """Delete memories of an owner: all, those of a type, those from before a time.

    Raises:
        Forbidden: they belong to somebody else.
        ValidationFailed: the time is none.
    """
    require_own(caller, query.api_key_id)
    wanted = MemoryFilter(
        api_key_id=query.api_key_id,
        type=query.type,
        before_ms=read_time("olderThan", query.older_than),
    )
    async with engine.database.work() as work:
        count = await work.memories.clear(wanted)
    told = "1 memory is" if count == 1 else f"{count} memories are"
    return MemoriesCleared(count, f"{told} deleted.")


async def list_memories(
    engine: Engine, caller: Caller, query: MemoryQuery
) -> tuple[list[MemoryView], MemoryStats]:
    """A page of all memories, newest first, and how many there are on all pages."""
    wanted = MemoryFilter(
        api_key_id=query.api_key_id,
        type=query.type,
        session_id=query.session_id,
        text=query.text,
    )
    async with engine.database.reading() as work:
        found = await work.memories.page(wanted, query.limit, query.offset)
        counts = await work.memories.counts(wanted)
    by_type = {kind: counts.get(kind, 0) for kind in MEMORY_TYPES}
    return [view(one) for one in found], MemoryStats(sum(counts.values()), by_type)


async def get_memory(engine: Engine, caller: Caller, memory_id: str) -> MemoryView:
    """One memory.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.database.reading() as work:
        found = await work.memories.get(memory_id)
    if found is None:
        raise _unknown(memory_id)
    return view(found)


async def delete_memory(engine: Engine, caller: Caller, memory_id: str) -> None:
    """Delete a memory.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.database.work() as work:
        if not await work.memories.delete(memory_id):
            raise _unknown(memory_id)


def _unknown(memory_id: str) -> NotFound:
    return NotFound(f"There is no memory '{memory_id[:100]}'; GET /api/memory lists them.")


def _require_enabled(engine: Engine) -> None:
    if not engine.snapshot.settings["memoryEnabled"]:
        raise Disabled("Memories are switched off; the setting memoryEnabled switches them on.")
