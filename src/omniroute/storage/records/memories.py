"""What agents want to know again: memories, and which of them are asked for."""

from typing import Any, Literal, TypeAlias

from msgspec import Struct

MemoryType: TypeAlias = Literal["factual", "episodic", "procedural", "semantic"]

MEMORY_TYPES: tuple[MemoryType, ...] = ("factual", "episodic", "procedural", "semantic")


class Memory(Struct, frozen=True, kw_only=True):
    """One memory. An owner, which `api_key_id` names, has one for each `key`.

    It ends at `expires_at_ms`; None is never by itself.
    """

    id: str
    api_key_id: str
    session_id: str
    type: MemoryType
    key: str
    content: str
    metadata: dict[str, Any]
    created_at_ms: int
    updated_at_ms: int
    expires_at_ms: int | None = None


class MemoryFilter(Struct, frozen=True, kw_only=True):
    """Which memories are meant; None is any. `text` is a part of the content or the key, in any
    case. `since_ms` and `before_ms` are about the last change, `living_at_ms` leaves out what has
    expired by then."""

    api_key_id: str | None = None
    type: MemoryType | None = None
    session_id: str | None = None
    text: str | None = None
    since_ms: int | None = None
    before_ms: int | None = None
    living_at_ms: int | None = None
