"""The registry of outbound proxies and what they are assigned to. Source: 02 §23."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import Conflict, InvalidRequest, NotFound, ValidationFailed
from omniroute.operations.proxies.proxy_inputs import (
    MASK,
    AssignmentView,
    LayerView,
    ProxyChange,
    ProxyInput,
    ProxyView,
    WrittenScope,
    assignment_view,
    layer_view,
    proxy_view,
    read_credential,
    read_host,
    read_kind,
    read_port,
    read_scope,
)
from omniroute.routing.proxying import resolve
from omniroute.routing.snapshot import endpoint
from omniroute.storage.database import Work
from omniroute.storage.records.proxies import LayeredProxy, Proxy, ProxyAssignment, Scope


class Page(Struct, frozen=True):
    """Where a page lies in the whole."""

    limit: int
    offset: int
    total: int


class ProxyPage(Struct, frozen=True):
    """A page of the registry, newest change first."""

    items: list[ProxyView]
    page: Page


class WhereUsed(Struct, frozen=True):
    """What a proxy is assigned to."""

    count: int
    assignments: list[AssignmentView]


class AssignmentPage(Struct, frozen=True):
    """A page of assignments."""

    items: list[AssignmentView]
    page: Page


class AssignmentInput(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Gives a scope its proxy; without one, takes it away. `key` is another word for `account`."""

    scope: WrittenScope
    scope_id: str | None = None
    proxy_id: str | None = None


class BulkAssignmentInput(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """The same for several ids of a scope at once."""

    scope: WrittenScope
    scope_ids: Annotated[list[str], Meta(max_length=1000)] = []
    proxy_id: str | None = None


class Assigned(Struct, frozen=True):
    """The assignment as it is now; null where it was taken away."""

    success: bool
    assignment: AssignmentView | None


class FailedScope(Struct, frozen=True, rename="camel"):
    """An id that was left as it is."""

    scope_id: str
    reason: str


class BulkAssigned(Struct, frozen=True):
    """What became of several assignments."""

    success: bool
    scope: str
    requested: int
    updated: int
    failed: list[FailedScope]


class ProxyImport(Struct, frozen=True, forbid_unknown_fields=True):
    """Proxies to add, or to replace where one is known at the same host and port."""

    items: Annotated[list[ProxyInput], Meta(min_length=1, max_length=100)]


class Imported(Struct, frozen=True):
    """What became of the proxies of an import."""

    success: bool
    created: int
    updated: int
    items: list[ProxyView]


class ResolutionView(Struct, frozen=True, kw_only=True, rename="camel"):
    """The proxy of an account, and the rule that chose it; null goes directly."""

    proxy: LayerView | None
    level: str
    level_id: str | None = None
    source: str | UnsetType = UNSET


async def list_proxies(engine: Engine, caller: Caller, limit: int, offset: int) -> ProxyPage:
    """A page of the registry."""
    rows = engine.snapshot.proxying.outbound.proxies
    items = [proxy_view(row) for row in rows[offset : offset + limit]]
    return ProxyPage(items, Page(limit, offset, len(rows)))


async def get_proxy(engine: Engine, caller: Caller, proxy_id: str) -> ProxyView:
    """One proxy.

    Raises:
        NotFound: there is none with this id.
    """
    return proxy_view(known_proxy(engine, proxy_id))


async def where_used(engine: Engine, caller: Caller, proxy_id: str) -> WhereUsed:
    """What a proxy is assigned to.

    Raises:
        NotFound: there is none with this id.
    """
    known_proxy(engine, proxy_id)
    rows = engine.snapshot.proxying.outbound.assignments
    used = [assignment_view(row) for row in rows if row.proxy_id == proxy_id]
    return WhereUsed(len(used), used)


async def create_proxy(engine: Engine, caller: Caller, new: ProxyInput) -> ProxyView:
    """Add a proxy. It is used once it is assigned to something.

    Raises:
        ValidationFailed: a field does not fit.
    """
    proxy = made_proxy(engine, new, engine.new_id())
    async with engine.configuration.change(caller, "proxy.created", proxy.name) as work:
        await work.proxies.save(proxy)
        work.details["id"] = proxy.id
    return proxy_view(proxy)


async def change_proxy(engine: Engine, caller: Caller, change: ProxyChange) -> ProxyView:
    """Change what is named of a proxy; its connections are given up.

    Raises:
        NotFound: there is none with this id.
        ValidationFailed: a field does not fit.
    """
    said = {
        name: value
        for name in ("name", "region", "notes", "status")
        if (value := getattr(change, name)) is not UNSET
    }
    if change.type is not UNSET:
        said["type"] = read_kind(engine, change.type)
    if change.host is not UNSET:
        said["host"] = read_host(engine, change.host)
    if change.port is not UNSET:
        said["port"] = read_port(change.port)
    for name in ("username", "password"):
        written = getattr(change, name)
        if written is None:
            said[name] = ""
        elif written not in (UNSET, "", MASK):
            said[name] = read_credential(written, name)
    async with engine.configuration.change(caller, "proxy.updated", change.id) as work:
        old = await work.proxies.get(change.id)
        if old is None:
            raise _unknown(change.id)
        proxy = msgspec.structs.replace(old, **said, updated_at=iso(engine.now_ms()))
        await work.proxies.save(proxy)
        work.details["fields"] = sorted(said)
    return proxy_view(proxy)


async def delete_proxy(
    engine: Engine, caller: Caller, proxy_id: str, *, force: bool = False
) -> None:
    """Delete a proxy; with `force` also one that is assigned to something.

    Raises:
        NotFound: there is none with this id.
        Conflict: it is assigned to something.
    """
    async with engine.configuration.change(caller, "proxy.deleted", proxy_id) as work:
        used = [row for row in await work.proxies.assignments() if row.proxy_id == proxy_id]
        if used and not force:
            raise Conflict(
                f"The proxy is assigned to {len(used)} scope(s). Take it away from them, or "
                "delete it with force=1."
            )
        if not await work.proxies.delete(proxy_id):
            raise _unknown(proxy_id)


async def import_proxies(engine: Engine, caller: Caller, given: ProxyImport) -> Imported:
    """Add proxies, or replace those known at the same host and port; all of them or none.

    Credentials that are blank or `***` stay as they are stored.

    Raises:
        ValidationFailed: a field of one does not fit.
    """
    created, done = 0, []
    async with engine.configuration.change(caller, "proxy.imported") as work:
        for place, new in enumerate(given.items):
            made = made_proxy(engine, new, engine.new_id(), f"items.{place}.")
            old = await work.proxies.at(made.host, made.port)
            if old is not None:
                made = msgspec.structs.replace(
                    made,
                    id=old.id,
                    username=made.username or old.username,
                    password=made.password or old.password,
                    created_at=old.created_at,
                )
            created += old is None
            await work.proxies.save(made)
            done.append(proxy_view(made))
        work.details.update(created=created, updated=len(done) - created)
    return Imported(True, created, len(done) - created, done)


async def list_assignments(
    engine: Engine,
    caller: Caller,
    limit: int,
    offset: int,
    *,
    proxy_id: str | None = None,
    scope: WrittenScope | None = None,
    scope_id: str | None = None,
) -> AssignmentPage:
    """A page of assignments, those that pass every filter."""
    wanted = "account" if scope == "key" else scope
    rows = [
        row
        for row in engine.snapshot.proxying.outbound.assignments
        if proxy_id in (None, row.proxy_id)
        and wanted in (None, row.scope)
        and scope_id in (None, row.scope_id)
    ]
    items = [assignment_view(row) for row in rows[offset : offset + limit]]
    return AssignmentPage(items, Page(limit, offset, len(rows)))


async def assign_proxy(engine: Engine, caller: Caller, given: AssignmentInput) -> Assigned:
    """Give a scope its proxy, or take it away.

    Raises:
        NotFound: there is no such proxy.
        ValidationFailed: there is no such scope.
    """
    exists = given.proxy_id is not None
    scope, scope_id = read_scope(engine.snapshot, given.scope, given.scope_id, exists=exists)
    action = "proxy.assigned" if given.proxy_id else "proxy.unassigned"
    async with engine.configuration.change(caller, action, given.proxy_id) as work:
        work.details.update(scope=scope, scopeId=scope_id)
        row = await _assigned(engine, work, scope, scope_id, given.proxy_id)
    return Assigned(True, None if row is None else assignment_view(row))


async def bulk_assign(engine: Engine, caller: Caller, given: BulkAssignmentInput) -> BulkAssigned:
    """The same for several ids; those that do not exist are named and left out.

    Raises:
        NotFound: there is no such proxy.
        ValidationFailed: no id is named.
    """
    ids: Sequence[str | None] = [*dict.fromkeys(given.scope_ids)]
    if given.scope == "global":
        ids = [None]
    elif not ids:
        raise ValidationFailed([("scopeIds", f"is required for the scope '{given.scope}'")])
    failed: list[FailedScope] = []
    exists = given.proxy_id is not None
    action = "proxy.assigned" if exists else "proxy.unassigned"
    async with engine.configuration.change(caller, action, given.proxy_id) as work:
        for one in ids:
            try:
                scope, scope_id = read_scope(engine.snapshot, given.scope, one, exists=exists)
            except ValidationFailed as error:
                failed.append(FailedScope(one or "", error.problems[0][1]))
                continue
            await _assigned(engine, work, scope, scope_id, given.proxy_id)
        updated = len(ids) - len(failed)
        work.details.update(scope=given.scope, updated=updated)
    return BulkAssigned(not failed, given.scope, len(ids), updated, failed)


async def resolve_connection(engine: Engine, caller: Caller, connection_id: str) -> ResolutionView:
    """The proxy requests of an account go through, outside combos.

    Raises:
        NotFound: there is no such account.
    """
    snapshot = engine.snapshot
    account = snapshot.connections.get(connection_id)
    if account is None:
        raise NotFound(f"There is no account with the id '{connection_id}'.")
    route = snapshot.proxying.route(account)
    if route.via is not None:
        found = resolve(snapshot.proxying.outbound, account, account.provider, None)
        if found is not None:
            return ResolutionView(
                proxy=layer_view(found.proxy),
                level=found.level,
                level_id=found.level_id,
                source=found.source,
            )
    provider = snapshot.providers.get(account.provider)
    try:
        url = endpoint(provider, account, "") if provider is not None else ""
    except InvalidRequest:  # an option is missing, so nothing would be sent at all
        url = ""
    via = route.to(url)
    if via is None:
        return ResolutionView(proxy=None, level="direct")
    said = LayeredProxy(
        type=via.proxy.type,
        host=via.proxy.host,
        port=via.proxy.port,
        username=via.proxy.username,
        password=via.proxy.password,
    )
    return ResolutionView(proxy=layer_view(said), level="global", source="environment")


def known_proxy(engine: Engine, proxy_id: str) -> Proxy:
    """A proxy of the registry.

    Raises:
        NotFound: there is none with this id.
    """
    for row in engine.snapshot.proxying.outbound.proxies:
        if row.id == proxy_id:
            return row
    raise _unknown(proxy_id)


def _unknown(proxy_id: str) -> NotFound:
    return NotFound(f"There is no proxy with the id '{proxy_id}'.")


def made_proxy(engine: Engine, new: ProxyInput, proxy_id: str, field: str = "") -> Proxy:
    """A proxy as it is stored.

    Args:
        field: what stands before the names of its fields in errors.

    Raises:
        ValidationFailed: a field does not fit.
    """
    name = new.name.strip()
    if not name:
        raise ValidationFailed([(f"{field}name", "must not be blank")])
    now = iso(engine.now_ms())
    secrets: dict[str, Any] = {
        part: read_credential(written, f"{field}{part}") if written != MASK else ""
        for part, written in (("username", new.username), ("password", new.password))
    }
    return Proxy(
        id=proxy_id,
        name=name,
        type=read_kind(engine, new.type, f"{field}type"),
        host=read_host(engine, new.host, f"{field}host"),
        port=read_port(new.port, f"{field}port"),
        region=new.region,
        notes=new.notes,
        status=new.status,
        created_at=now,
        updated_at=now,
        **secrets,
    )


async def _assigned(
    engine: Engine, work: Work, scope: Scope, scope_id: str, proxy_id: str | None
) -> ProxyAssignment | None:
    if proxy_id is None:
        await work.proxies.unassign(scope, scope_id)
        return None
    if await work.proxies.get(proxy_id) is None:
        raise _unknown(proxy_id)
    now = iso(engine.now_ms())
    return await work.proxies.assign(
        ProxyAssignment(
            id=engine.new_id(),
            proxy_id=proxy_id,
            scope=scope,
            scope_id=scope_id,
            created_at=now,
            updated_at=now,
        )
    )
