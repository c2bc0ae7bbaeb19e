"""Keys of the gateway itself: made once, shown once, stored as keyed hashes."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from omniroute.caller import Caller, RateRule
from omniroute.clock import from_iso, iso
from omniroute.engine import Engine
from omniroute.errors import Conflict, ValidationFailed
from omniroute.operations.access.key_inputs import (
    KeyChange,
    KeyInput,
    KeyPolicy,
    fields_of,
    require_grantable,
)
from omniroute.operations.access.key_texts import stored_key, text_of, unknown_key
from omniroute.pipeline.callers.admission import OPERATOR_SCOPES
from omniroute.storage.records.configuration import AccessSchedule, ApiKey
from omniroute.storage.records.memories import MemoryFilter


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
    auto_resolve: bool
    is_active: bool
    is_banned: bool
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    max_sessions: int
    rate_limits: tuple[RateRule, ...] | None
    max_requests_per_day: int | None
    max_requests_per_minute: int | None
    access_schedule: AccessSchedule | None
    ip_allowlist: tuple[str, ...]
    disabled_guardrails: tuple[str, ...]
    previous_valid_until: str | None
    created_at: str


class KeyChanged(KeyPolicy, frozen=True, kw_only=True, rename="camel"):
    """What was done to a key, and its new values."""

    message: str
    name: str | msgspec.UnsetType = UNSET


async def create_key(engine: Engine, caller: Caller, new: KeyInput) -> NewKey:
    """Make a key. Its text is in the answer and nowhere else.

    Raises:
        ValidationFailed: the name is blank, or a date or an address cannot be read.
        Conflict: the caller's own key lacks a scope it would grant.
    """
    said: dict[str, Any] = fields_of(new)
    require_grantable(caller, said.get("scopes", ()))
    text = engine.new_api_key()
    record = ApiKey(
        id=engine.new_id(),
        machine_id=engine.installation.machine_id,
        created_at=iso(engine.now_ms()),
        **text_of(engine, text),
        **said,
    )
    async with engine.configuration.change(caller, "apiKey.created", record.name) as work:
        await work.keys.save(record)
        await work.keys.seal(record.id, text if engine.reveals_keys else None)
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
        return _view(await stored_key(work, key_id))


async def change_key(engine: Engine, caller: Caller, key_id: str, change: KeyChange) -> KeyChanged:
    """Change what is named of a key; it holds from the next request on.

    Raises:
        ValidationFailed: nothing is named, or a value does not fit.
        NotFound: there is none with this id.
        Conflict: the caller's own key would take its rights away, or grant some it lacks.
    """
    said: dict[str, Any] = fields_of(change)
    if not said:
        raise ValidationFailed([("", "at least one field is needed")])
    async with engine.configuration.change(caller, _action_of(said), key_id) as work:
        old = await stored_key(work, key_id)
        new = msgspec.structs.replace(old, **said)
        require_grantable(caller, new.scopes, old.scopes)
        if caller.key_id == key_id:
            require_still_operator(new, engine.now_ms())
        await work.keys.save(new)
        work.details["changed"] = sorted(said)
    echoed = {name: getattr(change, name) for name in KeyPolicy.__struct_fields__}
    return KeyChanged(message="Key updated", name=said.get("name", UNSET), **echoed)


async def delete_key(engine: Engine, caller: Caller, key_id: str) -> None:
    """Delete a key with its budget, its memories and its skills; it stops working at once.

    Raises:
        NotFound: there is none with this id.
        Conflict: it is the caller's own.
    """
    if caller.key_id == key_id:
        raise Conflict("An API key cannot delete itself.", code="own_key")
    async with engine.configuration.change(caller, "apiKey.deleted", key_id) as work:
        if not await work.keys.delete(key_id):
            raise unknown_key(key_id)
        for kind in ("key", "guard"):
            await work.budgets.delete(kind, key_id)
        await work.rates.drop_key(key_id)
        await work.sessions.drop_key(key_id)
        await work.skills.drop_key(key_id)
        await work.memories.clear(MemoryFilter(api_key_id=key_id))
    for kind in ("key", "guard"):
        engine.ledger.forget(kind, key_id)


def _action_of(said: Mapping[str, Any]) -> str:
    """What the audit log calls a change: switching a key off or on has names of its own."""
    if "is_banned" in said:
        return "apiKey.ban" if said["is_banned"] else "apiKey.unban"
    if "is_active" in said:
        return "apiKey.activate" if said["is_active"] else "apiKey.deactivate"
    return "apiKey.updated"


def require_still_operator(key: ApiKey, now_ms: int) -> None:
    """Whoever manages with a key cannot lock themselves out with it.

    Raises:
        Conflict: with this policy they would.
    """
    expired = key.expires_at is not None and from_iso(key.expires_at) < now_ms
    scoped = bool(OPERATOR_SCOPES.intersection(key.scopes))
    if expired or key.is_banned or not key.is_active or not scoped:
        raise Conflict("An API key cannot take its own rights away.", code="own_key")


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
        auto_resolve=row.auto_resolve,
        is_active=row.is_active,
        is_banned=row.is_banned,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        max_sessions=row.max_sessions,
        rate_limits=row.rate_limits,
        max_requests_per_day=row.max_requests_per_day,
        max_requests_per_minute=row.max_requests_per_minute,
        access_schedule=row.access_schedule,
        ip_allowlist=row.ip_allowlist,
        disabled_guardrails=row.disabled_guardrails,
        previous_valid_until=None if row.previous_until_ms is None else iso(row.previous_until_ms),
        created_at=row.created_at,
    )
