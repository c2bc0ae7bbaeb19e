"""Whether memories work: one is stored, listed, found and deleted. Source: 02 §25.1."""

import time

import structlog
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError
from omniroute.operations.memory.views import MemoryInput, read_memory
from omniroute.storage.records.memories import MemoryFilter

log = structlog.get_logger(__name__)

_WORD = "omniroutememoryhealth"


class Part(Struct, frozen=True, omit_defaults=True):
    """Whether a part works; without `ok` that is not known."""

    ok: bool | None = None


class Plugin(Struct, frozen=True):
    """A part that is not there."""

    enabled: bool = False
    backend: str | None = None


class Vectors(Struct, frozen=True):
    """An index that is not there."""

    enabled: bool = False
    ok: bool | None = None


class MemoryHealth(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Whether memories work: `db` stores them, `fts` finds them by words."""

    working: bool
    latency_ms: int
    db: Part
    fts: Part
    embeddings: Plugin
    vector_index: Vectors
    error: str | None = None


async def memory_health(engine: Engine, caller: Caller) -> MemoryHealth:
    """Store, list, find and delete a memory, in one transaction that nobody else sees."""
    began = time.monotonic()
    stored, found, problem = False, False, None
    try:
        stored, found = await _round_trip(engine)
    except OmniRouteError as error:
        problem = str(error)
    except Exception:  # a trigger or an index that is gone, say: that is what is asked
        log.exception("memory_health_failed")
        problem = "The database refuses to store or to find a memory; the log names the cause."
    if problem is None and not (stored and found):
        problem = "A memory was stored and not found again; restore a backup or restart."
    return MemoryHealth(
        working=problem is None,
        latency_ms=int((time.monotonic() - began) * 1000),
        db=Part(ok=stored),
        fts=Part(ok=found),
        embeddings=Plugin(),
        vector_index=Vectors(),
        error=problem,
    )


async def _round_trip(engine: Engine) -> tuple[bool, bool]:
    """Whether a memory was listed, and whether it was found by a word."""
    given = MemoryInput(content=_WORD, key=engine.new_id(), api_key_id=_WORD)
    memory = read_memory(given, engine.new_id(), engine.now_ms())
    mine = MemoryFilter(api_key_id=_WORD)
    async with engine.database.work() as work:
        await work.memories.put(memory)
        listed = await work.memories.page(mine, 1)
        found = await work.memories.matching(mine, (_WORD,), 1)
        await work.memories.clear(mine)
    return listed == [memory], found == [memory]
