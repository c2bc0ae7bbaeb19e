"""Custom upstreams as routes (02 §4.10)."""

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.done import Done
from omniroute.http.paging import Limit, Offset
from omniroute.http.problems import delete, get, patch, post, put
from omniroute.operations.accounts import nodes


class Nodes(Struct, frozen=True):
    """A page of provider nodes, and how many there are in all."""

    nodes: list[nodes.NodeView]
    total: int


class OneNode(Struct, frozen=True):
    """One provider node."""

    node: nodes.NodeView


@get("/api/provider-nodes", tags=["Nodes"], operation_id="list_nodes")
async def list_nodes(
    engine: TheEngine, operator: Operator, limit: Limit = None, offset: Offset = 0
) -> Nodes:
    """A page of custom upstreams; all of them without `limit`."""
    return Nodes(*await nodes.list_nodes(engine, operator, limit, offset))


@post("/api/provider-nodes", tags=["Nodes"], operation_id="create_node")
async def create_node(
    engine: TheEngine, operator: Operator, data: JSONBody[nodes.NodeInput]
) -> OneNode:
    """Add an OpenAI- or Anthropic-compatible upstream."""
    return OneNode(await nodes.create_node(engine, operator, data))


@post("/api/provider-nodes/validate", status_code=200, tags=["Nodes"], operation_id="validate_node")
async def validate_node(
    engine: TheEngine, operator: Operator, data: JSONBody[nodes.NodeCheck]
) -> nodes.NodeVerdict:
    """Try an upstream before adding it: does it list its models?"""
    return await nodes.check_node(engine, operator, data)


@put("/api/provider-nodes/{node_id:str}", tags=["Nodes"], operation_id="replace_node")
async def replace_node(
    engine: TheEngine,
    operator: Operator,
    node_id: FromPath[str],
    data: JSONBody[nodes.NodeInput],
) -> OneNode:
    """Replace what a custom upstream says; its accounts stay."""
    return OneNode(await nodes.update_node(engine, operator, node_id, data))


@patch("/api/provider-nodes/{node_id:str}", tags=["Nodes"], operation_id="update_node")
async def update_node(
    engine: TheEngine,
    operator: Operator,
    node_id: FromPath[str],
    data: JSONBody[nodes.NodeInput],
) -> OneNode:
    """The same as PUT, for clients that say PATCH."""
    return OneNode(await nodes.update_node(engine, operator, node_id, data))


@get("/api/provider-nodes/{node_id:str}", tags=["Nodes"], operation_id="get_node")
async def get_node(engine: TheEngine, operator: Operator, node_id: FromPath[str]) -> OneNode:
    """One custom upstream."""
    return OneNode(await nodes.get_node(engine, operator, node_id))


@delete(
    "/api/provider-nodes/{node_id:str}",
    status_code=200,
    tags=["Nodes"],
    operation_id="delete_node",
)
async def delete_node(engine: TheEngine, operator: Operator, node_id: FromPath[str]) -> Done:
    """Delete a custom upstream and all its accounts."""
    await nodes.delete_node(engine, operator, node_id)
    return Done()


NODES: tuple[HTTPRouteHandler, ...] = (
    list_nodes,
    create_node,
    validate_node,
    replace_node,
    update_node,
    get_node,
    delete_node,
)
"""Every route about custom upstreams."""
