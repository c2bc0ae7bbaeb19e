"""A memory as it is shown and as it is given, within which limits. Source: 02 §25.1."""

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

from omniroute.catalog.names import did_you_mean
from omniroute.clock import from_iso, iso
from omniroute.errors import ValidationFailed
from omniroute.storage.records.memories import MEMORY_TYPES, Memory, MemoryType

MOST_METADATA_BYTES = 16_384

Name: TypeAlias = Annotated[str, Meta(max_length=200)]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Content: TypeAlias = Annotated[str, Meta(min_length=1, max_length=16_000)]


class MemoryView(Struct, frozen=True, kw_only=True, rename="camel"):
    """One memory.

    Attributes:
        api_key_id: whose it is.
        key: the name its owner has given it.
        updated_at: when it was last stored, ISO-8601.
        expires_at: when it ends; null is never by itself.
    """

    id: str
    api_key_id: str
    session_id: str
    type: MemoryType
    key: str
    content: str
    metadata: dict[str, Any]
    created_at: str
    updated_at: str
    expires_at: str | None


class MemoryInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A memory to store.

    Attributes:
        type: factual, episodic, procedural or semantic, in any case.
        key: what is stored under it before is renewed.
        metadata: at most 16 KiB of JSON; what is not named of an older one stays.
        expires_at: when it ends, ISO-8601.
    """

    content: Content
    key: Key
    type: Annotated[str, Meta(max_length=20)] = "factual"
    session_id: Name = ""
    api_key_id: Name = ""
    metadata: dict[str, Any] = {}
    expires_at: Annotated[str, Meta(max_length=64)] | None = None


def view(memory: Memory) -> MemoryView:
    """A memory as it is shown."""
    return MemoryView(
        id=memory.id,
        api_key_id=memory.api_key_id,
        session_id=memory.session_id,
        type=memory.type,
        key=memory.key,
        content=memory.content,
        metadata=memory.metadata,
        created_at=iso(memory.created_at_ms),
        updated_at=iso(memory.updated_at_ms),
        expires_at=None if memory.expires_at_ms is None else iso(memory.expires_at_ms),
    )


def read_memory(given: MemoryInput, memory_id: str, now_ms: int) -> Memory:
    """What is given, as it is stored.

    Raises:
        ValidationFailed: a field makes no sense.
    """
    if len(msgspec.json.encode(given.metadata)) > MOST_METADATA_BYTES:
        raise ValidationFailed([("metadata", f"is over {MOST_METADATA_BYTES} bytes of JSON")])
    return Memory(
        id=memory_id,
        api_key_id=given.api_key_id,
        session_id=given.session_id,
        type=read_type(given.type),
        key=given.key,
        content=given.content,
        metadata=given.metadata,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        expires_at_ms=read_time("expiresAt", given.expires_at),
    )


def read_type(text: str) -> MemoryType:
    """A type in any case.

    Raises:
        ValidationFailed: there is none of this name.
    """
    for known in MEMORY_TYPES:
        if text.lower() == known:
            return known
    listed = ", ".join(repr(known) for known in MEMORY_TYPES)
    hint = did_you_mean(text, MEMORY_TYPES)
    raise ValidationFailed([("type", f"must be one of: {listed}{'.' if hint else ''}{hint}")])


def read_time(field: str, text: str | None) -> int | None:
    """An ISO-8601 time in epoch milliseconds.

    Raises:
        ValidationFailed: it is none.
    """
    if text is None:
        return None
    try:
        return from_iso(text)
    except (ValueError, OverflowError) as error:
        raise ValidationFailed([(field, "must be an ISO-8601 time")]) from error
