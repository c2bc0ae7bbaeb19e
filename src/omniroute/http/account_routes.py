"""Accounts of providers as routes (02 §4.3)."""

from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.paging import Limit, Offset
from omniroute.http.problems import delete, get, patch, post, put
from omniroute.operations import connections
from omniroute.operations.account_models import AccountModels, account_models
from omniroute.operations.account_view import ConnectionView


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
    get_connection,
    change_connection,
    patch_connection,
    delete_connection,
    list_connection_models,
)
"""Every route about accounts."""
