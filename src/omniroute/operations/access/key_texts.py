"""The texts of gateway keys: made once, kept as keyed hashes, replaced with or without overlap."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import Forbidden, NotFound
from omniroute.operations.access.audit import note
from omniroute.operations.access.key_inputs import require_grantable
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import ApiKey

MOST_OVERLAP_S = 30 * 86_400
"""How long an old text of a key may go on counting, in seconds."""


class RegeneratedKey(Struct, frozen=True):
    """The new text of a key; it is never shown again."""

    message: str
    key: str
    id: str


class Rotation(Struct, frozen=True, kw_only=True, rename="camel"):
    """How a key gets a new text: `overlap_seconds` is how long the old one goes on counting."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=MOST_OVERLAP_S)] = 0


class RevealedKey(Struct, frozen=True):
    """The text of a key."""

    key: str


async def regenerate_key(
    engine: Engine, caller: Caller, key_id: str, rotation: Rotation | None = None
) -> RegeneratedKey:
    """Give a key a new text. The old one stops working with the next request, or after an
    overlap in which both count; a text from before that one never counts again.

    Raises:
        NotFound: there is none with this id.
        Conflict: the key has scopes that the caller's own key lacks.
    """
    text = engine.new_api_key()
    overlap_ms = (rotation or Rotation()).overlap_seconds * 1_000
    async with engine.configuration.change(caller, "apiKey.regenerated", key_id) as work:
        old = await stored_key(work, key_id)
        require_grantable(caller, old.scopes)
        rotated = msgspec.structs.replace(
            old,
            **text_of(engine, text),
            previous_key_hash=old.key_hash if overlap_ms else None,
            previous_until_ms=engine.now_ms() + overlap_ms if overlap_ms else None,
        )
        await work.keys.save(rotated)
        await work.keys.seal(key_id, text if engine.reveals_keys else None)
        work.details["overlapSeconds"] = overlap_ms // 1_000
    return RegeneratedKey(message="Key regenerated", key=text, id=key_id)


async def reveal_key(engine: Engine, caller: Caller, key_id: str) -> RevealedKey:
    """The text of a key, where the operator has it kept.

    Raises:
        Forbidden: keys are not revealed here.
        NotFound: there is none with this id, or its text was not kept.
    """
    if not engine.reveals_keys:
        raise Forbidden(
            "Keys are shown once and not kept. To keep those made from now on, start with "
            "ALLOW_API_KEY_REVEAL=true.",
            code="reveal_disabled",
        )
    async with engine.database.reading() as work:
        await stored_key(work, key_id)
        text = await work.keys.reveal(key_id)
    if text is None:
        raise NotFound(
            f"The text of the key '{key_id}' was not kept. Give it a new one: "
            f"POST /api/keys/{key_id}/regenerate."
        )
    await note(engine, caller, "apiKey.revealed", key_id)
    return RevealedKey(text)


def text_of(engine: Engine, text: str) -> dict[str, Any]:
    """What of a key's text is kept."""
    return {
        "key_hash": engine.admission.hash_key(text),
        "prefix": text[:8],
        "suffix": text[-4:],
    }


async def stored_key(work: Work, key_id: str) -> ApiKey:
    row = await work.keys.get(key_id)
    if row is None:
        raise unknown_key(key_id)
    return row


def unknown_key(key_id: str) -> NotFound:
    return NotFound(f"There is no key with the id '{key_id}'.")
