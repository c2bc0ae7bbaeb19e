"""Accounts of providers as routes (02 §4.3)."""

from typing import Annotated, Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.paging import Limit, Offset
from omniroute.http.problems import delete, get, patch, post, put
from omniroute.operations.accounts import (
    account_bulk,
    account_checks,
    account_expiry,
    connections,
)
from omniroute.operations.accounts.account_models import AccountModels, account_models
from omniroute.operations.accounts.account_view import ConnectionView
from omniroute.operations.inputs import decode_input


class Connections(Struct, frozen=True):
    """A page of accounts, and how many there are in all."""

    connections: list[ConnectionView]
    total: int


class OneConnection(Struct, frozen=True):
    """One account."""

    connection: ConnectionView


class Message(Struct, frozen=True):
    """What was done."""

    message: str


class Deleted(Struct, frozen=True):
    """What was done, and to how many."""

    message: str
    deleted: int


Refresh = Annotated[bool, QueryParameter()]
ExcludeHidden = Annotated[bool, QueryParameter(name="excludeHidden")]


@get("/api/providers", tags=["Accounts"], operation_id="list_connections")
async def list_connections(
    engine: TheEngine, operator: Operator, limit: Limit = None, offset: Offset = 0
) -> Connections:
    """A page of accounts, keys masked; all of them without `limit`."""
    return Connections(*await connections.list_connections(engine, operator, limit, offset))


@post("/api/providers", tags=["Accounts"], operation_id="create_connection")
async def create_connection(
    engine: TheEngine, operator: Operator, data: JSONBody[connections.ConnectionInput]
) -> OneConnection:
    """Add an API-key account; one with the same provider and name is replaced."""
    return OneConnection(await connections.create_connection(engine, operator, data))


@delete("/api/providers", status_code=200, tags=["Accounts"], operation_id="delete_connections")
async def delete_connections(
    engine: TheEngine, operator: Operator, data: JSONBody[connections.Ids]
) -> Deleted:
    """Delete up to 100 accounts at once."""
    count = await connections.delete_connections(engine, operator, data)
    return Deleted(f"{count} connections deleted", count)


@post(
    "/api/providers/validate",
    status_code=200,
    tags=["Accounts"],
    operation_id="validate_key",
)
async def validate_key(
    engine: TheEngine, operator: Operator, data: JSONBody[account_checks.KeyCheck]
) -> account_checks.KeyVerdict:
    """Try a key without storing it."""
    return await account_checks.validate_key(engine, operator, data)


@post(
    "/api/providers/test-batch", status_code=200, tags=["Accounts"], operation_id="test_connections"
)
async def check_batch(
    engine: TheEngine, operator: Operator, data: JSONBody[account_checks.BatchInput]
) -> account_checks.BatchReport:
    """Test all active accounts of a kind, five at once."""
    return await account_checks.check_batch(engine, operator, data)


@post("/api/providers/bulk", status_code=200, tags=["Accounts"], operation_id="create_connections")
async def create_connections(
    engine: TheEngine, operator: Operator, data: JSONBody[account_bulk.BulkInput]
) -> account_bulk.BulkReport:
    """Add up to 200 keys of one provider; each that cannot be added is told why."""
    return await account_bulk.create_connections(engine, operator, data)


@get("/api/providers/expiration", tags=["Accounts"], operation_id="list_expirations")
async def list_expirations(engine: TheEngine, operator: Operator) -> account_expiry.Expirations:
    """Accounts whose credential has an end, the nearest first."""
    return await account_expiry.expirations(engine, operator)


@get("/api/token-health", tags=["Accounts"], operation_id="token_health")
async def token_health(engine: TheEngine, operator: Operator) -> account_expiry.TokenHealth:
    """How many logins there are, and how many of them work."""
    return await account_expiry.token_health(engine, operator)


@post(
    "/api/providers/{connection_id:str}/test",
    status_code=200,
    tags=["Accounts"],
    operation_id="test_connection",
)
async def check_connection(
    request: Request[Any, Any, Any],
    engine: TheEngine,
    operator: Operator,
    connection_id: FromPath[str],
) -> account_checks.CheckReport:
    """Ask the provider of an account whether it takes its credential. The body is optional:
    `{"validationModelId": "..."}` asks that model for one token."""
    body = await request.body()
    how = decode_input(account_checks.CheckInput, body or b"{}")
    return await account_checks.check_connection(engine, operator, connection_id, how)


@get("/api/providers/{connection_id:str}", tags=["Accounts"], operation_id="get_connection")
async def get_connection(
    engine: TheEngine, operator: Operator, connection_id: FromPath[str]
) -> OneConnection:
    """One account, key masked."""
    return OneConnection(await connections.get_connection(engine, operator, connection_id))


@put("/api/providers/{connection_id:str}", tags=["Accounts"], operation_id="change_connection")
async def change_connection(
    engine: TheEngine,
    operator: Operator,
    connection_id: FromPath[str],
    data: JSONBody[connections.ConnectionChange],
) -> OneConnection:
    """Change what is named of an account; the rest stays."""
    changed = await connections.change_connection(engine, operator, connection_id, data)
    return OneConnection(changed)


@patch("/api/providers/{connection_id:str}", tags=["Accounts"], operation_id="patch_connection")
async def patch_connection(
    engine: TheEngine,
    operator: Operator,
    connection_id: FromPath[str],
    data: JSONBody[connections.ConnectionChange],
) -> OneConnection:
    """The same as PUT, for clients that say PATCH."""
    changed = await connections.change_connection(engine, operator, connection_id, data)
    return OneConnection(changed)


@delete(
    "/api/providers/{connection_id:str}",
    status_code=200,
    tags=["Accounts"],
    operation_id="delete_connection",
)
async def delete_connection(
    engine: TheEngine, operator: Operator, connection_id: FromPath[str]
) -> Message:
    """Delete an account."""
    await connections.delete_connection(engine, operator, connection_id)
    return Message("Connection deleted")


@get(
    "/api/providers/{connection_id:str}/models",
    tags=["Accounts"],
    operation_id="list_connection_models",
)
async def list_connection_models(
    engine: TheEngine,
    operator: Operator,
    connection_id: FromPath[str],
    refresh: Refresh = False,
    exclude_hidden: ExcludeHidden = False,
) -> AccountModels:
    """The models an account serves: as remembered, or asked of its upstream with `refresh=true`."""
    return await account_models(
        engine, operator, connection_id, refresh=refresh, exclude_hidden=exclude_hidden
    )


ACCOUNTS: tuple[HTTPRouteHandler, ...] = (
    list_connections,
    create_connection,
    delete_connections,
    validate_key,
    check_batch,
    create_connections,
    list_expirations,
    token_health,
    check_connection,
    get_connection,
    change_connection,
    patch_connection,
    delete_connection,
    list_connection_models,
)
"""Every route about accounts."""
