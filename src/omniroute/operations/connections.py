"""Accounts of providers: credentials the gateway may call upstreams with."""

from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import Conflict, InvalidRequest, NotFound, ValidationFailed
from omniroute.operations.masking import masked, without_secrets
from omniroute.routing.snapshot import DEMO_ACCOUNT
from omniroute.storage.records.configuration import Connection, ProviderNode

Thresholds: TypeAlias = dict[
    Annotated[str, Meta(min_length=1, max_length=64)], Annotated[int, Meta(ge=0, le=100)]
]
"""Percentages left, by window of a quota, at which an account is not used."""

MOST_EXTRA_KEYS = 50


class ConnectionInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A new API-key account (02 §4.4). `provider` is a provider id, prefix or node id."""

    provider: Annotated[str, Meta(min_length=1, max_length=100)]
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    api_key: Annotated[str, Meta(max_length=10_000)] | None = None
    priority: Annotated[int, Meta(ge=1, le=100)] = 1
    global_priority: Annotated[int, Meta(ge=1, le=100)] | None = None
    default_model: Annotated[str, Meta(max_length=200)] | None = None
    test_status: Annotated[str, Meta(max_length=50)] = "unknown"
    quota_window_thresholds: Thresholds | None = None
    provider_specific_data: dict[str, Any] = {}


class ConnectionView(Struct, frozen=True, kw_only=True, rename="camel"):
    """An account as the management API shows it (02 §4.1): null members are left out."""

    id: str
    provider: str
    auth_type: str
    name: str
    priority: int
    is_active: bool
    test_status: str
    backoff_level: int
    max_concurrent: int | None
    quota_window_thresholds: dict[str, int] | None = None
    provider_specific_data: dict[str, Any]
    api_key: str | UnsetType = UNSET
    global_priority: int | UnsetType = UNSET
    default_model: str | UnsetType = UNSET
    group: str | UnsetType = UNSET
    last_error: str | UnsetType = UNSET
    last_error_type: str | UnsetType = UNSET
    error_code: str | UnsetType = UNSET
    rate_limited_until: str | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    updated_at: str | UnsetType = UNSET


async def list_connections(engine: Engine, caller: Caller) -> list[ConnectionView]:
    """All accounts, found ones included, keys masked."""
    return [
        _view(engine, row)
        for row in engine.snapshot.connections.values()
        if row.id != DEMO_ACCOUNT.id
    ]


async def get_connection(engine: Engine, caller: Caller, connection_id: str) -> ConnectionView:
    """One account, key masked.

    Raises:
        NotFound: there is none with this id.
    """
    return _view(engine, _known(engine, connection_id))


async def create_connection(engine: Engine, caller: Caller, new: ConnectionInput) -> ConnectionView:
    """Store an account. One with the same provider and name is replaced (02 §4.4).

    Raises:
        InvalidRequest: the provider is not known, or needs a key and none was given.
        NotFound: `provider` looks like a node id and no such node exists.
    """
    provider_id = _provider_id(engine, new.provider)
    row = engine.snapshot.providers[provider_id]
    key = (new.api_key or "").strip()
    if not key and not row.keyless:
        raise ValidationFailed([("apiKey", f"is required for {row.name}")])
    _check_options(new.provider_specific_data)
    options = dict(new.provider_specific_data)
    node = engine.snapshot.nodes.get(provider_id)
    if node is not None:
        options = {**_node_facts(node), **options}
    now = iso(engine.now_ms())
    async with engine.configuration.change(
        caller, "provider.credentials.created", f"{provider_id}:{new.name}"
    ) as work:
        old = await work.connections.find(provider_id, new.name)
        connection = Connection(
            id=old.id if old else engine.new_id(),
            provider=provider_id,
            name=new.name,
            auth_type="apikey",
            api_key=key or None,
            priority=new.priority,
            global_priority=new.global_priority,
            default_model=new.default_model,
            test_status=new.test_status,
            options=options,
            quota_window_thresholds=new.quota_window_thresholds or None,
            created_at=old.created_at if old else now,
            updated_at=now,
        )
        await work.connections.save(connection)
    _start_afresh(engine, connection.id)
    return msgspec.structs.replace(_view(engine, connection), api_key=UNSET)


async def delete_connection(engine: Engine, caller: Caller, connection_id: str) -> None:
    """Delete an account.

    Raises:
        NotFound: there is none with this id.
        Conflict: it was found on this machine and is not stored.
    """
    found = _known(engine, connection_id)
    if found in engine.configuration.found:
        raise Conflict(
            f"Account '{found.name}' was found at start and is not stored. "
            "Unset its environment variable, or stop its server, and restart."
        )
    async with engine.configuration.change(
        caller, "provider.credentials.revoked", f"{found.provider}:{found.name}"
    ) as work:
        await work.connections.delete(connection_id)
    _start_afresh(engine, connection_id)


def _start_afresh(engine: Engine, connection_id: str) -> None:
    """A credential came or went: nothing counts against the account."""
    engine.health.forget(connection_id)
    engine.live.quotas.forget(connection_id)
    engine.chat.keys.forget(connection_id)


def _known(engine: Engine, connection_id: str) -> Connection:
    found = engine.snapshot.connections.get(connection_id)
    if found is None or found.id == DEMO_ACCOUNT.id:
        raise NotFound(f"There is no connection with the id '{connection_id}'.")
    return found


def _provider_id(engine: Engine, named: str) -> str:
    snapshot = engine.snapshot
    found = snapshot.provider_named(named)
    if found is not None and found != DEMO_ACCOUNT.provider:
        return found
    if named.startswith(("openai-compatible-", "anthropic-compatible-")):
        raise NotFound(f"There is no provider node with the id '{named}'.")
    hint = did_you_mean(named, [*snapshot.providers, *snapshot.prefixes])
    raise InvalidRequest(f"There is no provider '{named}'.{hint}", param="provider")


def _node_facts(node: ProviderNode) -> dict[str, Any]:
    facts = {"prefix": node.prefix, "baseUrl": node.base_url, "nodeName": node.name}
    if node.api_type:
        facts["apiType"] = node.api_type
    return facts


def _check_options(options: dict[str, Any]) -> None:
    for name in ("baseUrl", "quotaUrl"):
        url = options.get(name)
        if url is not None and not is_http_url(url):
            raise ValidationFailed(
                [(f"providerSpecificData.{name}", "must be an http or https URL")]
            )
    path = options.get("quotaPath")
    if path is not None and not (isinstance(path, str) and path.startswith("/")):
        raise ValidationFailed([("providerSpecificData.quotaPath", "must begin with a slash")])
    keys = options.get("extraApiKeys")
    if keys is not None and not _are_keys(keys):
        raise ValidationFailed(
            [
                (
                    "providerSpecificData.extraApiKeys",
                    f"must be a list of at most {MOST_EXTRA_KEYS} keys, each a text",
                )
            ]
        )


def _are_keys(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MOST_EXTRA_KEYS
        and all(isinstance(key, str) and 0 < len(key.strip()) <= 10_000 for key in value)
    )


def is_http_url(value: object) -> bool:
    """Whether `value` is an absolute http(s) URL without credentials in it."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and "@" not in parts.netloc


def _view(engine: Engine, row: Connection) -> ConnectionView:
    cooldown = engine.health.view().cooldowns.get(row.id)
    cooling = cooldown is not None and (
        cooldown.terminal is not None or cooldown.until_ms > engine.now_ms()
    )
    state = (cooldown.terminal or "unavailable") if cooldown and cooling else row.test_status
    return ConnectionView(
        id=row.id,
        provider=row.provider,
        auth_type=row.auth_type,
        name=row.name,
        priority=row.priority,
        is_active=row.is_active,
        test_status=state,
        backoff_level=cooldown.level if cooldown else row.backoff_level,
        max_concurrent=row.max_concurrent,
        quota_window_thresholds=row.quota_window_thresholds,
        provider_specific_data=without_secrets(row.options),
        api_key=masked(row.api_key) if row.api_key else UNSET,
        global_priority=row.global_priority or UNSET,
        default_model=row.default_model or UNSET,
        group=row.group or UNSET,
        last_error=cooldown.message if cooldown and cooling else UNSET,
        last_error_type=cooldown.reason if cooldown and cooling else UNSET,
        error_code=str(cooldown.status) if cooldown and cooling else UNSET,
        rate_limited_until=iso(cooldown.until_ms)
        if cooldown and cooling and not cooldown.terminal
        else UNSET,
        created_at=row.created_at or UNSET,
        updated_at=row.updated_at or UNSET,
    )
