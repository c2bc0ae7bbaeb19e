"""Keys of the gateway itself: made once, shown once, stored as keyed hashes."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.clock import from_iso, iso
from omniroute.engine import Engine
from omniroute.errors import NotFound, ValidationFailed
from omniroute.storage.records import ApiKey

Scope = Annotated[str, Meta(min_length=1, max_length=64)]


class KeyInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A new key (02 §8.4)."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    scopes: Annotated[list[Scope], Meta(max_length=16)] = []
    no_log: bool = False
    allowed_models: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=1000)
    ] = []
    expires_at: str | None = None


class NewKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key that was just made; `key` is never shown again."""

    key: str
    name: str
    id: str
    machine_id: str
    no_log: bool


class KeyView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A stored key, masked (02 §8.1)."""

    id: str
    name: str
    key: str
    key_prefix: str
    machine_id: str
    scopes: tuple[str, ...]
    allowed_models: tuple[str, ...]
    allowed_connections: tuple[str, ...]
    no_log: bool
    auto_resolve: bool = False
    is_active: bool
    is_banned: bool
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    max_sessions: int = 0
    rate_limits: tuple[dict[str, int], ...] = ()
    access_schedule: dict[str, Any] | None = None
    ip_allowlist: tuple[str, ...] = ()
    created_at: str


async def create_key(engine: Engine, caller: Caller, new: KeyInput) -> NewKey:
    """Make a key. Its text is in the answer and nowhere else.

    Raises:
        ValidationFailed: the name is blank, or the expiry is no date.
    """
    name = new.name.strip()
    if not name:
        raise ValidationFailed([("name", "must not be blank")])
    _require_date("expiresAt", new.expires_at)
    text = engine.new_api_key()
    record = ApiKey(
        id=engine.new_id(),
        name=name,
        key_hash=engine.admission.hash_key(text),
        prefix=text[:8],
        suffix=text[-4:],
        machine_id=engine.machine_id,
        scopes=tuple(dict.fromkeys(new.scopes)),
        allowed_models=tuple(new.allowed_models),
        no_log=new.no_log,
        expires_at=new.expires_at,
        created_at=iso(engine.now_ms()),
    )
    async with engine.configuration.change() as work:
        await work.keys.save(record)
    return NewKey(
        key=text,
        name=record.name,
        id=record.id,
        machine_id=record.machine_id,
        no_log=record.no_log,
    )


async def list_keys(
    engine: Engine, caller: Caller, limit: int | None, offset: int
) -> tuple[list[KeyView], int]:
    """A page of keys, masked, and how many there are."""
    async with engine.database.reading() as work:
        rows = await work.keys.list(limit=limit, offset=offset)
        total = await work.keys.count()
    return [_view(row) for row in rows], total


async def get_key(engine: Engine, caller: Caller, key_id: str) -> KeyView:
    """One key, masked.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.database.reading() as work:
        row = await work.keys.get(key_id)
    if row is None:
        raise NotFound(f"There is no key with the id '{key_id}'.")
    return _view(row)


async def delete_key(engine: Engine, caller: Caller, key_id: str) -> None:
    """Delete a key; it stops working with the next request.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.configuration.change() as work:
        if not await work.keys.delete(key_id):
            raise NotFound(f"There is no key with the id '{key_id}'.")


def _require_date(field: str, text: str | None) -> None:
    if text is None:
        return
    try:
        from_iso(text)
    except (ValueError, OverflowError) as error:
        raise ValidationFailed([(field, "must be an ISO-8601 date")]) from error


def _view(row: ApiKey) -> KeyView:
    return KeyView(
        id=row.id,
        name=row.name,
        key=f"{row.prefix}****{row.suffix}",
        key_prefix=row.prefix,
        machine_id=row.machine_id,
        scopes=row.scopes,
        allowed_models=row.allowed_models,
        allowed_connections=row.allowed_connections,
        no_log=row.no_log,
        is_active=row.is_active,
        is_banned=row.is_banned,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        created_at=row.created_at,
    )
