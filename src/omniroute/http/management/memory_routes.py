"""Memories as routes (02 §10.9, §25)."""

from typing import Annotated

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.done import Done
from omniroute.http.paging import PageLimit, PageNumber, PageOffset, pages
from omniroute.http.problems import delete, get, post, put
from omniroute.operations.memory import health, memories, settings
from omniroute.operations.memory.views import MemoryInput, MemoryView
from omniroute.storage.records.memories import MemoryType

OfKey = Annotated[str | None, QueryParameter(name="apiKeyId")]
OfType = Annotated[MemoryType | None, QueryParameter(name="type")]
OfSession = Annotated[str | None, QueryParameter(name="sessionId")]
Text = Annotated[str | None, QueryParameter(name="q")]


class MemoryPage(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of memories, newest first; `stats` counts those on all pages."""

    data: list[MemoryView]
    total: int
    page: int
    limit: int
    total_pages: int
    stats: memories.MemoryStats


class Stored(Struct, frozen=True, kw_only=True):
    """The memory as it is stored."""

    success: bool = True
    id: str
    memory: MemoryView


class OneMemory(Struct, frozen=True):
    """One memory."""

    memory: MemoryView


@get("/api/memory", tags=["Memory"], operation_id="list_memories")
async def list_memories(
    engine: TheEngine,
    operator: Operator,
    api_key_id: OfKey = None,
    of_type: OfType = None,
    session_id: OfSession = None,
    text: Text = None,
    page: PageNumber = 1,
    limit: PageLimit = 50,
    offset: PageOffset = None,
) -> MemoryPage:
    """Memories of all keys, newest first; `q` is a part of the content or the key."""
    start = (page - 1) * limit if offset is None else offset
    query = memories.MemoryQuery(
        api_key_id=api_key_id,
        type=of_type,
        session_id=session_id,
        text=text,
        limit=limit,
        offset=start,
    )
    found, stats = await memories.list_memories(engine, operator, query)
    return MemoryPage(
        data=found,
        total=stats.total,
        page=start // limit + 1,
        limit=limit,
        total_pages=pages(stats.total, limit),
        stats=stats,
    )


@post("/api/memory", tags=["Memory"], operation_id="add_memory", status_code=200)
async def add_memory(engine: TheEngine, operator: Operator, data: JSONBody[MemoryInput]) -> Stored:
    """Store a memory, or renew the one its owner has under its key."""
    added = await memories.add_memory(engine, operator, data)
    return Stored(id=added.memory.id, memory=added.memory)


@get("/api/memory/health", tags=["Memory"], operation_id="memory_health")
async def memory_health(engine: TheEngine, operator: Operator) -> Response[health.MemoryHealth]:
    """Store, find and delete a memory that nobody else sees; 500 where that fails."""
    found = await health.memory_health(engine, operator)
    return Response(found, status_code=200 if found.working else 500)


@get("/api/memory/{memory_id:str}", tags=["Memory"], operation_id="get_memory")
async def get_memory(engine: TheEngine, operator: Operator, memory_id: FromPath[str]) -> OneMemory:
    """One memory."""
    return OneMemory(await memories.get_memory(engine, operator, memory_id))


@delete(
    "/api/memory/{memory_id:str}", tags=["Memory"], operation_id="delete_memory", status_code=200
)
async def delete_memory(engine: TheEngine, operator: Operator, memory_id: FromPath[str]) -> Done:
    """Delete a memory."""
    await memories.delete_memory(engine, operator, memory_id)
    return Done()


@get("/api/settings/memory", tags=["Memory"], operation_id="get_memory_settings")
async def memory_settings(engine: TheEngine, operator: Operator) -> settings.MemorySettings:
    """What holds for memories and skills."""
    return await settings.memory_settings(engine, operator)


@put("/api/settings/memory", tags=["Memory"], operation_id="change_memory_settings")
async def change_memory_settings(
    engine: TheEngine, operator: Operator, data: JSONBody[settings.MemorySettingsChange]
) -> settings.MemorySettings:
    """Change what is named; in force from the next call on."""
    return await settings.change_memory_settings(engine, operator, data)


MEMORY: tuple[HTTPRouteHandler, ...] = (
    list_memories,
    add_memory,
    memory_health,
    get_memory,
    delete_memory,
    memory_settings,
    change_memory_settings,
)
"""Every route about memories."""
