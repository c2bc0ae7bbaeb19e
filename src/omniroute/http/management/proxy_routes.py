"""Outbound proxies as routes: registry, assignments, layers, test and health. 02 §10.2-3, §23."""

from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter

from omniroute.errors import ValidationFailed
from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.done import Done
from omniroute.http.paging import Offset
from omniroute.http.problems import delete, get, patch, post, put
from omniroute.operations.proxies import proxies, proxy_checks, proxy_layers
from omniroute.operations.proxies.proxy_inputs import (
    ProxyChange,
    ProxyInput,
    ProxyView,
    WrittenScope,
)

REGISTRY = ("/v1/management/proxies", "/api/settings/proxies")
_LAYERS = "/api/settings/proxy"

Limit = Annotated[int, QueryParameter(ge=1, le=200)]
ProxyId = Annotated[str | None, QueryParameter(name="id")]
Used = Annotated[bool, QueryParameter(name="where_used")]
Force = Annotated[bool, QueryParameter()]
OfProxy = Annotated[str | None, QueryParameter(name="proxy_id")]
OfScope = Annotated[WrittenScope | None, QueryParameter(name="scope")]
OfScopeId = Annotated[str | None, QueryParameter(name="scope_id")]
Resolved = Annotated[str | None, QueryParameter(name="resolve_connection_id")]
Hours = Annotated[int, QueryParameter()]
Level = Annotated[str | None, QueryParameter(name="level")]
Resolve = Annotated[str | None, QueryParameter(name="resolve")]


def _paths(below: str = "") -> list[str]:
    return [base + below for base in REGISTRY]


@get(_paths(), tags=["Proxies"])
async def list_proxies(
    engine: TheEngine,
    operator: Operator,
    limit: Limit = 50,
    offset: Offset = 0,
    proxy_id: ProxyId = None,
    where_used: Used = False,
) -> proxies.ProxyPage | ProxyView | proxies.WhereUsed:
    """A page of the registry; with `id` one proxy, with `where_used=1` what that is assigned to."""
    if proxy_id is None:
        return await proxies.list_proxies(engine, operator, limit, offset)
    if where_used:
        return await proxies.where_used(engine, operator, proxy_id)
    return await proxies.get_proxy(engine, operator, proxy_id)


@post(_paths(), tags=["Proxies"])
async def create_proxy(
    engine: TheEngine, operator: Operator, data: JSONBody[ProxyInput]
) -> ProxyView:
    """Add a proxy; it is used once it is assigned to something."""
    return await proxies.create_proxy(engine, operator, data)


@patch(_paths(), tags=["Proxies"])
async def change_proxy(
    engine: TheEngine, operator: Operator, data: JSONBody[ProxyChange]
) -> ProxyView:
    """Change what is named of a proxy; blank credentials stay as they are."""
    return await proxies.change_proxy(engine, operator, data)


@delete(_paths(), status_code=200, tags=["Proxies"])
async def delete_proxy(
    engine: TheEngine, operator: Operator, proxy_id: ProxyId = None, force: Force = False
) -> Done:
    """Delete a proxy; `force=1` also takes it from what it is assigned to."""
    if not proxy_id:
        raise ValidationFailed([("id", "is required")])
    await proxies.delete_proxy(engine, operator, proxy_id, force=force)
    return Done()


@get(_paths("/assignments"), tags=["Proxies"])
async def list_assignments(
    engine: TheEngine,
    operator: Operator,
    proxy_id: OfProxy = None,
    of_scope: OfScope = None,
    scope_id: OfScopeId = None,
    resolve_connection_id: Resolved = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> proxies.AssignmentPage | proxies.ResolutionView:
    """What proxies are for; with `resolve_connection_id` which one an account goes through."""
    if resolve_connection_id is not None:
        return await proxies.resolve_connection(engine, operator, resolve_connection_id)
    return await proxies.list_assignments(
        engine, operator, limit, offset, proxy_id=proxy_id, scope=of_scope, scope_id=scope_id
    )


@put(_paths("/assignments"), tags=["Proxies"])
async def assign_proxy(
    engine: TheEngine, operator: Operator, data: JSONBody[proxies.AssignmentInput]
) -> proxies.Assigned:
    """Give a scope its proxy; without a `proxyId` take it away."""
    return await proxies.assign_proxy(engine, operator, data)


@put(_paths("/bulk-assign"), tags=["Proxies"])
async def bulk_assign(
    engine: TheEngine, operator: Operator, data: JSONBody[proxies.BulkAssignmentInput]
) -> proxies.BulkAssigned:
    """The same for several ids of a scope."""
    return await proxies.bulk_assign(engine, operator, data)


@post(_paths("/bulk-import"), status_code=200, tags=["Proxies"])
async def bulk_import(
    engine: TheEngine, operator: Operator, data: JSONBody[proxies.ProxyImport]
) -> proxies.Imported:
    """Add up to 100 proxies; those known at the same host and port are replaced."""
    return await proxies.import_proxies(engine, operator, data)


@get(_paths("/health"), tags=["Proxies"])
async def proxies_health(
    engine: TheEngine, operator: Operator, hours: Hours = proxy_checks.DEFAULT_HOURS
) -> proxy_checks.ProxiesHealth:
    """What came of requests through each proxy."""
    return await proxy_checks.proxies_health(engine, operator, hours)


@get(_LAYERS, tags=["Proxies"], operation_id="get_proxy_layers")
async def get_layers(
    engine: TheEngine,
    operator: Operator,
    level: Level = None,
    layer_id: ProxyId = None,
    resolve: Resolve = None,
) -> proxy_layers.LayersView | proxy_layers.OneLayer | proxies.ResolutionView:
    """The layered configuration; one place of it with `level` and `id`; with `resolve` the proxy
    of an account."""
    if resolve is not None:
        return await proxies.resolve_connection(engine, operator, resolve)
    if level is not None:
        return await proxy_layers.proxy_layer(engine, operator, level, layer_id)
    return await proxy_layers.proxy_layers(engine, operator)


@put(_LAYERS, tags=["Proxies"], operation_id="put_proxy_layers")
async def put_layers(
    engine: TheEngine, operator: Operator, data: JSONBody[proxy_layers.LayersInput]
) -> proxy_layers.LayersView:
    """Set or take away the layers that are named."""
    return await proxy_layers.change_layers(engine, operator, data)


@patch(_LAYERS, tags=["Proxies"], operation_id="patch_proxy_layers")
async def patch_layers(
    engine: TheEngine, operator: Operator, data: JSONBody[proxy_layers.LayersInput]
) -> proxy_layers.LayersView:
    """The same as PUT, for clients that say PATCH."""
    return await proxy_layers.change_layers(engine, operator, data)


@delete(_LAYERS, status_code=200, tags=["Proxies"], operation_id="delete_proxy_layer")
async def delete_layer(
    engine: TheEngine, operator: Operator, level: Level = None, layer_id: ProxyId = None
) -> proxy_layers.LayersView:
    """Take one layer away."""
    return await proxy_layers.delete_layer(engine, operator, level, layer_id)


@post(f"{_LAYERS}/test", status_code=200, tags=["Proxies"], operation_id="test_proxy")
async def test_proxy(
    engine: TheEngine, operator: Operator, data: JSONBody[proxy_checks.ProxyTestInput]
) -> proxy_checks.ProxyTest:
    """Ask through a proxy which address others see."""
    return await proxy_checks.check_proxy(engine, operator, data)


PROXIES: tuple[HTTPRouteHandler, ...] = (
    list_proxies,
    create_proxy,
    change_proxy,
    delete_proxy,
    list_assignments,
    assign_proxy,
    bulk_assign,
    bulk_import,
    proxies_health,
    get_layers,
    put_layers,
    patch_layers,
    delete_layer,
    test_proxy,
)
"""Every route about outbound proxies."""
