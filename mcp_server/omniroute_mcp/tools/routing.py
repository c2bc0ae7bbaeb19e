"""Tools that route a request, or say how one would be or was routed."""

from typing import Any

from omniroute.operations.chats.chat import RouteRequest
from omniroute.operations.routing.replay import Replay, ReplayQuery, replay_route
from omniroute.operations.routing.routes import ExplainQuery, Explanation, explain_route
from omniroute.operations.routing.simulation import SimulateQuery, Simulation, simulate_route
from omniroute_mcp.route_request import RoutedReply, route_request
from omniroute_mcp.tools.row import ADVANCED_S, MODEL_S, ToolRow, plain


def _model_and_count(arguments: dict[str, Any]) -> dict[str, Any]:
    messages = arguments.get("messages")  # not validated yet: it may be anything
    count = len(messages) if isinstance(messages, list) else 0
    return {"model": arguments.get("model"), "messageCount": count}


TOOLS = (
    ToolRow(
        number=6,
        name="omniroute_route_request",
        title="Ask a model",
        description=(
            "Run one chat completion through the router, with fallback. Returns the answer with "
            "target, cost and the reasons of the route."
        ),
        params=RouteRequest,
        result=RoutedReply,
        scopes=frozenset({"execute:completions"}),
        phase=1,
        audit="full",
        call=route_request,
        source_endpoints=("/v1/chat/completions",),
        writes=True,
        idempotent=False,
        open_world=True,
        time_limit_s=MODEL_S,
        may_take_long=True,
        hashed=_model_and_count,
    ),
    ToolRow(
        number=10,
        name="omniroute_simulate_route",
        title="Dry run of a route",
        description=(
            "The plan a request would get right now: targets in order with reasons and price "
            "bounds, and what is left out and why. Nothing is sent."
        ),
        params=SimulateQuery,
        result=Simulation,
        scopes=frozenset({"read:health", "read:combos"}),
        phase=2,
        audit="basic",
        call=plain(simulate_route),
        source_endpoints=("/api/routes/simulate",),
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=17,
        name="omniroute_explain_route",
        title="Why a request went where it went",
        description="The stored decision behind a past request: plan, attempts, verdicts, cost.",
        params=ExplainQuery,
        result=Explanation,
        scopes=frozenset({"read:health", "read:usage"}),
        phase=2,
        audit="basic",
        call=plain(explain_route),
        source_endpoints=("/api/routes/{requestId}",),
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=38,
        name="omniroute_replay_route",
        title="A past request planned again",
        description=(
            "Plan a recorded request again: from its own trace, against the configuration of "
            "today, or against changes to it that are only proposed. Says which targets differ "
            "and what they would cost. Nothing is sent or stored."
        ),
        params=ReplayQuery,
        result=Replay,
        scopes=frozenset({"read:health", "read:usage"}),
        phase=2,
        audit="basic",
        call=plain(replay_route),
        source_endpoints=("/api/routes/{requestId}/replay",),
        time_limit_s=ADVANCED_S,
    ),
)
