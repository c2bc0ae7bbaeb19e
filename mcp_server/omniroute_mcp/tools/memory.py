"""Tools about memories."""

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.memory import memories
from omniroute.operations.memory.views import Content, Key, MemoryInput, Name
from omniroute.operations.progress import Report
from omniroute.storage.records.memories import MemoryType
from omniroute_mcp.tools.row import ToolRow


class MemoryAdd(Struct, frozen=True, kw_only=True, rename="camel"):
    """A memory to store.

    Attributes:
        api_key_id: whose it is: the id of the caller's own key; operators may name any.
        key: a name for it; what is stored under that before is renewed.
        metadata: at most 16 KiB of JSON; what is not named of an older one stays.
    """

    api_key_id: Name
    session_id: Name = ""
    type: MemoryType
    key: Key
    content: Content
    metadata: dict[str, Any] = {}


class Found(Struct, frozen=True):
    """Memories that were found."""

    success: Literal[True]
    data: memories.MemoriesFound


class Added(Struct, frozen=True):
    """A memory that was stored."""

    success: Literal[True]
    data: memories.MemoryAdded


class Cleared(Struct, frozen=True):
    """Memories that were deleted."""

    success: Literal[True]
    data: memories.MemoriesCleared


async def _search(
    engine: Engine, caller: Caller, query: memories.MemorySearch, _report: Report
) -> Found:
    return Found(True, await memories.search_memories(engine, caller, query))


async def _add(engine: Engine, caller: Caller, given: MemoryAdd, _report: Report) -> Added:
    return Added(True, await memories.add_memory(engine, caller, MemoryInput(**asdict(given))))


async def _clear(
    engine: Engine, caller: Caller, query: memories.MemoryClear, _report: Report
) -> Cleared:
    return Cleared(True, await memories.clear_memories(engine, caller, query))


def _what_is_lost(query: memories.MemoryClear) -> str:
    which = f"{query.type} memories" if query.type else "memories"
    since = f" from before {query.older_than}" if query.older_than else ""
    return f"Delete all {which}{since} of {query.api_key_id}? They cannot be had back."


TOOLS = (
    ToolRow(
        number=31,
        name="omniroute_memory_search",
        title="Find memories",
        description="The stored memories that answer a question, as many as fit a token budget.",
        params=memories.MemorySearch,
        result=Found,
        scopes=frozenset({"read:memory"}),
        phase=2,
        audit="basic",
        call=_search,
        source_endpoints=("/api/memory",),
        # What memories say is nobody else's business.
        summary=lambda result: {"count": result["data"]["count"]},
    ),
    ToolRow(
        number=32,
        name="omniroute_memory_add",
        title="Store a memory",
        description="Store something to know it again, or renew what is stored under its key.",
        params=MemoryAdd,
        result=Added,
        scopes=frozenset({"write:memory"}),
        phase=2,
        audit="full",
        call=_add,
        source_endpoints=("/api/memory",),
        writes=True,
        idempotent=False,
        summary=lambda result: {"id": result["data"]["memory"]["id"]},
    ),
    ToolRow(
        number=33,
        name="omniroute_memory_clear",
        title="Delete memories",
        description="Delete stored memories: all, those of a type, or those from before a time.",
        params=memories.MemoryClear,
        result=Cleared,
        scopes=frozenset({"write:memory"}),
        phase=2,
        audit="full",
        call=_clear,
        source_endpoints=("/api/memory/{id}",),
        writes=True,
        destructive=True,
        confirm=_what_is_lost,
    ),
)
