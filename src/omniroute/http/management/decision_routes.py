"""Why requests go where they go: the dry run, the stored decision, the replay, as routes."""

from typing import Annotated, Literal

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get, post
from omniroute.operations.routing import replay, routes, simulation
from omniroute.operations.routing.proposals import Proposal

Against = Annotated[Literal["trace", "current"], QueryParameter()]


@get("/api/routes/{request_id:str}", tags=["Decisions"], operation_id="explain_route")
async def explain(
    engine: TheEngine, operator: Operator, request_id: FromPath[str]
) -> routes.Explanation:
    """Why a past request went where it went, by the id from its `X-Request-Id` header."""
    return await routes.explain_route(engine, operator, routes.ExplainQuery(request_id))


@get("/api/routes/{request_id:str}/replay", tags=["Decisions"], operation_id="replay_route")
async def replay_decision(
    engine: TheEngine, operator: Operator, request_id: FromPath[str], against: Against = "trace"
) -> replay.Replay:
    """A past request planned again from its trace; with `against=current`, what the configuration
    of today would have done and what it would have cost."""
    return await replay.replay_route(engine, operator, replay.ReplayQuery(request_id, against))


@post(
    "/api/routes/{request_id:str}/replay",
    status_code=200,
    tags=["Decisions"],
    operation_id="replay_proposal",
)
async def replay_proposal(
    engine: TheEngine, operator: Operator, request_id: FromPath[str], data: JSONBody[Proposal]
) -> replay.Replay:
    """What a past request would have got under changes that are only proposed, and what it would
    have cost. Nothing is stored."""
    query = replay.ReplayQuery(request_id, "current", data)
    return await replay.replay_route(engine, operator, query)


@post("/api/routes/simulate", status_code=200, tags=["Decisions"], operation_id="simulate_route")
async def simulate(
    engine: TheEngine, operator: Operator, data: JSONBody[simulation.SimulateQuery]
) -> simulation.Simulation:
    """The plan a request would get right now; nothing is sent."""
    return await simulation.simulate_route(engine, operator, data)


DECISIONS: tuple[HTTPRouteHandler, ...] = (explain, replay_decision, replay_proposal, simulate)
"""Every route about decisions."""
