"""Accounts of providers: credentials the gateway may call upstreams with. Source: 02 §4."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.catalog.provider import Provider
from omniroute.clock import from_iso, iso
from omniroute.engine import Engine
from omniroute.errors import Conflict, InvalidRequest, NotFound, ValidationFailed
from omniroute.operations.access.masking import masked, without_secrets
from omniroute.operations.accounts.account_options import FIELD, checked_options, merged_options
from omniroute.operations.accounts.account_view import ConnectionView, shown
from omniroute.routing.snapshot import DEMO_ACCOUNT
from omniroute.storage.connections import SECRET_COLUMNS
from omniroute.storage.records.configuration import Connection, ProviderNode

Percent: TypeAlias = Annotated[int, Meta(ge=0, le=100)]
Window: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Thresholds: TypeAlias = dict[Window, Percent]
"""Percentages left, by window of a quota, at which an account is not used."""

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
ApiKey: TypeAlias = Annotated[str, Meta(max_length=10_000)]
Priority: TypeAlias = Annotated[int, Meta(ge=1, le=100)]
ModelName: TypeAlias = Annotated[str, Meta(max_length=200)]
Group: TypeAlias = Annotated[str, Meta(max_length=100)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000)]
Minutes: TypeAlias = Annotated[int, Meta(ge=0, le=525_600)]
Status: TypeAlias = Annotated[str, Meta(max_length=50)]
Text: TypeAlias = Annotated[str, Meta(max_length=4_000)]


class ConnectionInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A new API-key account (02 §4.4). `provider` is a provider id, prefix or node id."""

    provider: Annotated[str, Meta(min_length=1, max_length=100)]
    name: Name
    api_key: ApiKey | None = None
    priority: Priority = 1
    global_priority: Priority | None = None
    default_model: ModelName | None = None
    is_active: bool = True
    group: Group | None = None
    max_concurrent: Count | None = None
    rate_limit_protection: bool | None = None
    health_check_interval: Minutes | None = None
    test_status: Status = "unknown"
    quota_window_thresholds: Thresholds | None = None
    provider_specific_data: dict[str, Any] = {}


class ConnectionChange(Struct, frozen=True, kw_only=True, rename="camel"):
    """What changes about an account (02 §4.5); what is not named stays. Null takes away.

    `quota_window_thresholds` and `provider_specific_data` are merged member by member; a member
    that is null goes. `rate_limited_until` null ends a cooldown, and `test_status` `active` also
    one that has no end by itself.
    """

    name: Name | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    global_priority: Priority | UnsetType | None = UNSET
    default_model: ModelName | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    api_key: ApiKey | UnsetType = UNSET
    test_status: Status | UnsetType = UNSET
    last_tested: str | UnsetType | None = UNSET
    last_error: Text | UnsetType | None = UNSET
    last_error_at: str | UnsetType | None = UNSET
    last_error_type: Status | UnsetType | None = UNSET
    last_error_source: Status | UnsetType | None = UNSET
    error_code: Status | UnsetType | None = UNSET
    rate_limited_until: str | UnsetType | None = UNSET
    health_check_interval: Minutes | UnsetType | None = UNSET
    group: Group | UnsetType | None = UNSET
    max_concurrent: Count | UnsetType | None = UNSET
    rate_limit_protection: bool | UnsetType | None = UNSET
    quota_window_thresholds: dict[Window, Percent | None] | UnsetType | None = UNSET
    project_id: ModelName | UnsetType | None = UNSET
    provider_specific_data: dict[str, Any] | UnsetType = UNSET


class Ids(Struct, frozen=True):
    """Accounts to delete."""

    ids: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(min_length=1, max_length=100),
    ]


async def list_connections(
    engine: Engine, caller: Caller, limit: int | None = None, offset: int = 0
) -> tuple[list[ConnectionView], int]:
    """A page of all accounts, found ones included, keys masked; and how many there are."""
    rows = engine.snapshot.connections
    stop = None if limit is None else offset + limit
    stored = (row for row in rows.values() if row.id != DEMO_ACCOUNT.id)
    return [shown(engine, row) for row in islice(stored, offset, stop)], len(rows) - 1


async def get_connection(engine: Engine, caller: Caller, connection_id: str) -> ConnectionView:
    """One account, key masked.

    Raises:
        NotFound: there is none with this id.
    """
    return shown(engine, known_account(engine, connection_id))


async def create_connection(engine: Engine, caller: Caller, new: ConnectionInput) -> ConnectionView:
    """Store an account. One with the same provider and name is replaced (02 §4.4).

    Raises:
        InvalidRequest: the provider is not known, or needs a key and none was given.
        NotFound: `provider` looks like a node id and no such node exists.
    """
    wanted = checked_account(engine, new)
    async with engine.configuration.change(
        caller, "provider.credentials.created", audit_name(wanted)
    ) as work:
        old = await work.connections.find(wanted.provider, wanted.name)
        account = in_place_of(old, wanted)
        await work.connections.save(account)
    start_afresh(engine, [account.id])
    return replace(shown(engine, account), api_key=UNSET)


async def change_connection(
    engine: Engine, caller: Caller, connection_id: str, change: ConnectionChange
) -> ConnectionView:
    """Change what is named of an account; it holds for the next request.

    Raises:
        ValidationFailed: nothing is named, or a value does not fit.
        NotFound: there is none with this id.
        Conflict: another account of the provider has the name, or it was found at start.
    """
    said = {
        name: getattr(change, name)
        for name in change.__struct_fields__
        if getattr(change, name) is not UNSET
    }
    if not said:
        raise ValidationFailed([("", "at least one field is needed")])
    until = _checked_times(said)
    known = known_account(engine, connection_id)
    _require_stored(engine, known)
    async with engine.configuration.change(
        caller, "provider.credentials.updated", audit_name(known)
    ) as work:
        old = await work.connections.get(connection_id)
        if old is None:
            raise _unknown(connection_id)
        new = _changed(old, said, iso(engine.now_ms()))
        await work.connections.save(new)
        work.details.update(_difference(old, new))
    if new.api_key != old.api_key:
        start_afresh(engine, [new.id])
    if until is not None:
        engine.health.rest(new.id, until)
    elif "rate_limited_until" in said or said.get("test_status") == "active":
        engine.health.revive(new.id)
        engine.chat.turnstiles.start_afresh([new.id])
    return replace(shown(engine, new), api_key=UNSET)


async def delete_connection(engine: Engine, caller: Caller, connection_id: str) -> None:
    """Delete an account, with what is remembered of it.

    Raises:
        NotFound: there is none with this id.
        Conflict: it was found on this machine and is not stored.
    """
    known = known_account(engine, connection_id)
    _require_stored(engine, known)
    async with engine.configuration.change(
        caller, "provider.credentials.revoked", audit_name(known)
    ) as work:
        await work.connections.delete(connection_id)
    start_afresh(engine, [connection_id])


async def delete_connections(engine: Engine, caller: Caller, named: Ids) -> int:
    """Delete several accounts at once; how many of them there were. Found ones stay."""
    rows = engine.snapshot.connections
    target = ", ".join(audit_name(rows[one]) for one in named.ids if one in rows)
    async with engine.configuration.change(
        caller, "provider.credentials.revoked", target[:200]
    ) as work:
        deleted = await work.connections.delete_all(named.ids)
        work.details["deleted"] = deleted
    start_afresh(engine, named.ids)
    return deleted


def start_afresh(engine: Engine, connections: Iterable[str]) -> None:
    """Credentials came or went: nothing counts against their accounts, nothing holds them back."""
    named = list(connections)
    for connection in named:
        engine.health.forget(connection)
        engine.live.quotas.forget(connection)
        engine.chat.keys.forget(connection)
    engine.chat.turnstiles.start_afresh(named)


def known_account(engine: Engine, connection_id: str) -> Connection:
    """The account with an id.

    Raises:
        NotFound: there is none, or it is the built-in demo.
    """
    found = engine.snapshot.connections.get(connection_id)
    if found is None or found.id == DEMO_ACCOUNT.id:
        raise _unknown(connection_id)
    return found


def known_provider(engine: Engine, named: str) -> str:
    """The id of a provider or node accounts may be made for.

    Raises:
        InvalidRequest: there is no such provider.
        NotFound: it looks like the id of a node and no such node exists.
    """
    snapshot = engine.snapshot
    found = snapshot.provider_named(named)
    if found is not None and not snapshot.providers[found].in_process:
        return found
    if named.startswith(("openai-compatible-", "anthropic-compatible-")):
        raise NotFound(f"There is no provider node with the id '{named}'.")
    if found is not None:
        raise InvalidRequest(
            f"'{found}' is built in and needs no account: "
            + (
                "name it as the provider of a search."
                if snapshot.providers[found].search is not None
                else "ask for models such as 'demo/echo'."
            ),
            param="provider",
        )
    built_in = {row.id for row in snapshot.providers.values() if row.in_process}
    known = {*snapshot.providers, *snapshot.prefixes} - built_in
    hint = did_you_mean(named, sorted(known))
    raise InvalidRequest(f"There is no provider '{named}'.{hint}", param="provider")


def checked_account(engine: Engine, new: ConnectionInput) -> Connection:
    """A new account as it would be stored.

    Raises:
        InvalidRequest: the provider is not known, or needs a key and none was given.
        NotFound: `provider` looks like a node id and no such node exists.
    """
    provider_id = known_provider(engine, new.provider.strip())
    row = engine.snapshot.providers[provider_id]
    key = (new.api_key or "").strip()
    if not key and not row.keyless:
        raise ValidationFailed([("apiKey", f"is required for {row.name}")])
    options = merged_options({}, checked_options(new.provider_specific_data))
    require_options(row, options)
    node = engine.snapshot.nodes.get(provider_id)
    if node is not None:
        options = {**node_facts(node), **options}
    now = iso(engine.now_ms())
    return Connection(
        id=engine.new_id(),
        provider=provider_id,
        name=_trimmed(new.name),
        auth_type="apikey",
        api_key=key or None,
        priority=new.priority,
        global_priority=new.global_priority,
        default_model=new.default_model or None,
        is_active=new.is_active,
        group=new.group or None,
        max_concurrent=new.max_concurrent,
        rate_limit_protection=new.rate_limit_protection,
        health_check_interval=new.health_check_interval,
        test_status=new.test_status,
        options=options,
        quota_window_thresholds=new.quota_window_thresholds or None,
        created_at=now,
        updated_at=now,
    )


def require_options(row: Provider, options: Mapping[str, Any]) -> None:
    """See to it that a search account has all it needs besides its key.

    Raises:
        ValidationFailed: an option is missing.
    """
    missing = [name for name in row.needs if row.search is not None and not options.get(name)]
    if missing:
        raise ValidationFailed([(f"{FIELD}.{missing[0]}", f"is required for {row.name}")])


def in_place_of(old: Connection | None, new: Connection) -> Connection:
    """The new account under the identity of the one it replaces."""
    return new if old is None else replace(new, id=old.id, created_at=old.created_at)


def node_facts(node: ProviderNode) -> dict[str, Any]:
    """What the accounts of a node say of it in their options."""
    facts = {"prefix": node.prefix, "baseUrl": node.base_url, "nodeName": node.name}
    more = {
        "apiType": node.api_type,
        "chatPath": node.chat_path,
        "modelsPath": node.models_path,
    }
    return {**facts, **{name: value for name, value in more.items() if value}}


def _changed(old: Connection, said: Mapping[str, Any], now: str) -> Connection:
    fields = {
        name: value
        for name, value in said.items()
        if name not in ("api_key", "rate_limited_until", "provider_specific_data")
    }
    if "name" in said:
        fields["name"] = _trimmed(said["name"])
    for name in ("default_model", "group", "project_id"):
        if name in said:
            fields[name] = said[name] or None
    if "quota_window_thresholds" in said:
        both = {**(old.quota_window_thresholds or {}), **(said["quota_window_thresholds"] or {})}
        left = {window: least for window, least in both.items() if least is not None}
        cleared = said["quota_window_thresholds"] is None
        fields["quota_window_thresholds"] = None if cleared else (left or None)
    if "provider_specific_data" in said:
        checked = checked_options(said["provider_specific_data"])
        fields["options"] = merged_options(old.options, checked)
    key = str(said.get("api_key", "")).strip()
    if key and old.auth_type == "apikey":
        fields["api_key"] = key
    return replace(old, **fields, updated_at=now)


def audit_name(account: Connection) -> str:
    """How the audit log calls an account."""
    return f"{account.provider}:{account.name}"


def _difference(old: Connection, new: Connection) -> dict[str, Any]:
    """What changed about an account, for the audit log: values, but of secrets only that."""
    before, after = asdict(old), asdict(new)
    changed = [name for name in before if before[name] != after[name] and name != "updated_at"]
    said: dict[str, Any] = {"changed": changed}
    for moment, row in (("before", before), ("after", after)):
        said[moment] = {name: _redacted(name, row[name]) for name in changed}
    return said


def _redacted(name: str, value: Any) -> Any:
    if name in SECRET_COLUMNS and value is not None:
        return masked(value)
    return without_secrets(value) if name == "options" else value


def _checked_times(said: Mapping[str, Any]) -> int | None:
    """The end of the cooldown that is wanted, epoch ms."""
    times = {}
    for name, field in _TIMES.items():
        if said.get(name) is not None:
            try:
                times[name] = from_iso(said[name])
            except (ValueError, OverflowError) as error:
                raise ValidationFailed([(field, "must be an ISO-8601 date")]) from error
    return times.get("rate_limited_until")


_TIMES = {
    "last_tested": "lastTested",
    "last_error_at": "lastErrorAt",
    "rate_limited_until": "rateLimitedUntil",
}


def _trimmed(name: str) -> str:
    name = name.strip()
    if not name:
        raise ValidationFailed([("name", "must not be blank")])
    return name


def _require_stored(engine: Engine, account: Connection) -> None:
    if account in engine.configuration.found:
        raise Conflict(
            f"Account '{account.name}' was found at start and is not stored. "
            "Unset its environment variable, or stop its server, and restart."
        )


def _unknown(connection_id: str) -> NotFound:
    return NotFound(f"There is no connection with the id '{connection_id}'.")
