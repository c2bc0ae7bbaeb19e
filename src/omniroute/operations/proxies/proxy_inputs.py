"""What operators write about outbound proxies, and how it is shown. Source: 02 §1.7, §10.2, §23."""

import re
from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.proxies import (
    GLOBAL,
    LayeredProxy,
    Proxy,
    ProxyAssignment,
    ProxyKind,
    Scope,
)
from omniroute.upstream.addresses import host_refusal, literal

MASK = "***"
_KINDS: tuple[ProxyKind, ...] = ("http", "https", "socks5")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_LONGEST_CREDENTIAL = 255  # what SOCKS5 has room for

Name = Annotated[str, Meta(min_length=1, max_length=120)]
Host = Annotated[str, Meta(min_length=1, max_length=255)]
Port = Annotated[int, Meta(ge=1, le=65535)] | Annotated[str, Meta(pattern=r"^[0-9]{1,5}$")]
Credential = Annotated[str, Meta(max_length=_LONGEST_CREDENTIAL)]
Region = Annotated[str, Meta(max_length=64)]
Notes = Annotated[str, Meta(max_length=1000)]
Status: TypeAlias = Literal["active", "inactive"]
WrittenScope: TypeAlias = Literal["global", "provider", "account", "combo", "key"]


class ProxyInput(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A new proxy. `type` is `http`, `https` or `socks5`, in any case."""

    name: Name
    host: Host
    port: Port
    type: str = "http"
    username: Credential = ""
    password: Credential = ""
    region: Region | None = None
    notes: Notes | None = None
    status: Status = "active"


class ProxyChange(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What changes of a proxy. Credentials that are blank or `***` stay; null takes them away."""

    id: str
    name: Name | UnsetType = UNSET
    host: Host | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    type: str | UnsetType = UNSET
    username: Credential | UnsetType | None = UNSET
    password: Credential | UnsetType | None = UNSET
    region: Region | UnsetType | None = UNSET
    notes: Notes | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET


class LayerInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A proxy of the layered configuration. Credentials that are `***` stay as they are stored."""

    host: Host
    port: Port
    type: str = "http"
    username: Credential = ""
    password: Credential = ""


class ProxyView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A proxy as it is shown: of its credentials only whether there are any."""

    id: str
    name: str
    type: str
    host: str
    port: int
    username: str
    password: str
    region: str | None
    notes: str | None
    status: str
    created_at: str
    updated_at: str


class LayerView(Struct, frozen=True, kw_only=True):
    """A proxy without a place in the registry, as it is shown."""

    type: str
    host: str
    port: int
    username: str
    password: str


class AssignmentView(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a proxy is for; `scope_id` is null for everything."""

    id: str
    proxy_id: str
    scope: str
    scope_id: str | None
    created_at: str
    updated_at: str


def proxy_view(row: Proxy) -> ProxyView:
    """A registered proxy as it is shown."""
    return ProxyView(
        id=row.id,
        name=row.name,
        type=row.type,
        host=row.host,
        port=row.port,
        username=MASK if row.username else "",
        password=MASK if row.password else "",
        region=row.region,
        notes=row.notes,
        status=row.status,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def layer_view(row: Proxy | LayeredProxy) -> LayerView:
    """Any proxy as it is shown where it has no name."""
    return LayerView(
        type=row.type,
        host=row.host,
        port=row.port,
        username=MASK if row.username else "",
        password=MASK if row.password else "",
    )


def assignment_view(row: ProxyAssignment) -> AssignmentView:
    """An assignment as it is shown."""
    return AssignmentView(
        id=row.id,
        proxy_id=row.proxy_id,
        scope=row.scope,
        scope_id=None if row.scope_id == GLOBAL else row.scope_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def read_kind(engine: Engine, written: str, field: str = "type") -> ProxyKind:
    """The type of a proxy.

    Raises:
        ValidationFailed: there is no such type, or it is switched off.
    """
    kind = next((one for one in _KINDS if one == written.strip().lower()), None)
    if kind is None:
        hint = did_you_mean(written, _KINDS)
        raise ValidationFailed([(field, f"must be one of: {', '.join(_KINDS)}.{hint}")])
    if kind == "socks5" and not engine.snapshot.proxying.outbound.socks5:
        raise ValidationFailed(
            [(field, "SOCKS5 is switched off; set enableSocks5Proxy (and ENABLE_SOCKS5_PROXY)")]
        )
    return kind


def read_host(engine: Engine, written: str, field: str = "host") -> str:
    """A host name or an IP address, without brackets.

    Raises:
        ValidationFailed: it is neither, or the gateway would never connect to it.
    """
    host = written.strip()
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if literal(host) is None and not _HOST_NAME.fullmatch(host):
        raise ValidationFailed(
            [(field, "must be a host name or an address, without scheme, port or path")]
        )
    allowed = engine.snapshot.proxying.outbound.allow_private
    refused = host_refusal(host, allow_private=allowed)
    if refused is not None:
        raise ValidationFailed([(field, refused)])
    return host


def read_port(written: int | str, field: str = "port") -> int:
    """A port.

    Raises:
        ValidationFailed: no such port.
    """
    port = int(written)
    if not 1 <= port <= 65535:
        raise ValidationFailed([(field, "must be between 1 and 65535")])
    return port


def read_credential(written: str, field: str) -> str:
    """A user name or password that every kind of proxy can be told.

    Raises:
        ValidationFailed: it cannot.
    """
    if not (written.isascii() and written.isprintable()):
        raise ValidationFailed([(field, "must be printable ASCII")])
    if field.endswith("username") and ":" in written:
        raise ValidationFailed([(field, "must not hold a colon")])
    return written


def read_layer(
    engine: Engine, given: LayerInput, old: LayeredProxy | Proxy | None, field: str
) -> LayeredProxy:
    """A proxy as it is written in one go. `***` takes what `old` has.

    Raises:
        ValidationFailed: says which part of it does not fit.
    """

    def secret(written: str, stored: str, name: str) -> str:
        return stored if written == MASK else read_credential(written, f"{field}{name}")

    return LayeredProxy(
        type=read_kind(engine, given.type, f"{field}type"),
        host=read_host(engine, given.host, f"{field}host"),
        port=read_port(given.port, f"{field}port"),
        username=secret(given.username, old.username if old else "", "username"),
        password=secret(given.password, old.password if old else "", "password"),
    )


def read_scope(
    snapshot: Snapshot, scope: WrittenScope, scope_id: str | None, *, exists: bool = True
) -> tuple[Scope, str]:
    """What a proxy is for, by the ids it is stored under. `key` is another word for `account`.

    Args:
        exists: refuse what is not there; not wanted for taking something away.

    Raises:
        ValidationFailed: the id is missing, or there is no such thing.
    """
    if scope == "global":
        return scope, GLOBAL
    if not scope_id:
        raise ValidationFailed([("scopeId", f"is required for the scope '{scope}'")])
    if scope == "provider":
        known = snapshot.provider_named(scope_id)
        names = [*snapshot.providers, *snapshot.prefixes]
    elif scope == "combo":
        combo = snapshot.combos_by_id.get(scope_id) or snapshot.combos.get(scope_id)
        known, names = (combo.id if combo is not None else None), [*snapshot.combos]
    else:
        known = scope_id if scope_id in snapshot.connections else None
        names = [*snapshot.connections]
    kind: Scope = "account" if scope == "key" else scope
    if known is None and exists:
        hint = did_you_mean(scope_id, names)
        raise ValidationFailed([("scopeId", f"There is no {kind} '{scope_id}'.{hint}")])
    return kind, known or scope_id
