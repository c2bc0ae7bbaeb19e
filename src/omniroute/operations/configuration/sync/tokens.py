"""Tokens with which other gateways fetch the configuration. Source: 02 §16.4."""

import secrets
from typing import Annotated

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import NotFound, Unauthenticated, ValidationFailed
from omniroute.operations.access.audit import note
from omniroute.storage.sync_tokens import SyncToken

PREFIX = "ors_"


class TokenInput(Struct, frozen=True):
    """A new token."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]


class NewToken(Struct, frozen=True, kw_only=True, rename="camel"):
    """A token that was just made; its text is never shown again."""

    token: str
    sync_token: SyncToken


async def create_token(engine: Engine, caller: Caller, new: TokenInput) -> NewToken:
    """Make a token. Its text is in the answer and nowhere else.

    Raises:
        ValidationFailed: the name is blank.
    """
    name = new.name.strip()
    if not name:
        raise ValidationFailed([("name", "must not be blank")])
    text, now = PREFIX + secrets.token_urlsafe(32), iso(engine.now_ms())
    token = SyncToken(
        id=engine.new_id(),
        name=name,
        sync_api_key_id=caller.key_id,
        revoked_at=None,
        last_used_at=None,
        created_at=now,
        updated_at=now,
    )
    async with engine.database.work() as work:
        await work.sync_tokens.add(token, text)
    await note(engine, caller, "sync.token.created", name, id=token.id)
    return NewToken(token=text, sync_token=token)


async def list_tokens(engine: Engine, caller: Caller) -> list[SyncToken]:
    """All tokens, without their texts."""
    async with engine.database.reading() as work:
        return await work.sync_tokens.list()


async def revoke_token(engine: Engine, caller: Caller, token_id: str) -> SyncToken:
    """Have a token count no more.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.database.work() as work:
        token = await work.sync_tokens.revoke(token_id, iso(engine.now_ms()))
    if token is None:
        raise NotFound(f"There is no sync token with the id '{token_id}'.")
    await note(engine, caller, "sync.token.revoked", token.name, id=token.id)
    return token


async def require_token(engine: Engine, text: str | None) -> SyncToken:
    """The token somebody shows.

    Raises:
        Unauthenticated: it does not count.
    """
    token = None
    if text:
        async with engine.database.work() as work:
            token = await work.sync_tokens.used(text, iso(engine.now_ms()))
    if token is None:
        raise Unauthenticated(
            "This needs a sync token: make one with POST /api/sync/tokens and send it as "
            "'Authorization: Bearer <token>'.",
            code="AUTH_001",
        )
    return token
