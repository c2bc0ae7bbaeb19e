"""The tools, as rows over operations."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.chats.chat import RouteRequest
from omniroute.operations.combos.combo_listing import CombosList, CombosQuery, list_combos
from omniroute.operations.models.models import ModelsCatalog, ModelsQuery, list_models_catalog
from omniroute.operations.routing.replay import Replay, ReplayQuery, replay_route
from omniroute.operations.routing.routes import ExplainQuery, Explanation, explain_route
from omniroute.operations.routing.simulation import SimulateQuery, Simulation, simulate_route
from omniroute.operations.system.health import GatewayHealth, get_health
from omniroute_mcp.reporting import Report
from omniroute_mcp.route_request import RoutedReply, route_request

Run: TypeAlias = Callable[[Engine, Caller, Any, Report], Awaitable[Struct]]

ESSENTIAL_S = 10.0
ADVANCED_S = 30.0
MODEL_S = 600.0
"""A model may take as long as the upstream time limits let it; they end the call first."""


class NoInput(Struct, frozen=True):
    """Nothing."""


class ToolRow(Struct, frozen=True, kw_only=True):
    """One tool. `writes`, `idempotent` and `open_world` become its annotations.

    `hashed` reduces the arguments before they are hashed for the audit, `summary` the result.
    """

    name: str
    title: str
    description: str
    params: type[Struct]
    result: type[Struct]
    scopes: frozenset[str]
    phase: Literal[1, 2]
    audit: Literal["none", "basic", "full"]
    call: Run
    source_endpoints: tuple[str, ...]
    writes: bool = False
    destructive: bool = False
    idempotent: bool = True
    open_world: bool = False
    time_limit_s: float = ESSENTIAL_S
    hashed: Callable[[dict[str, Any]], Any] = lambda arguments: arguments
    summary: Callable[[Any], Any] = lambda result: result


def _plain(operation: Callable[[Engine, Caller, Any], Awaitable[Struct]]) -> Run:
    """An operation that has no progress to report."""

    async def run(engine: Engine, caller: Caller, query: Any, _report: Report) -> Struct:
        return await operation(engine, caller, query)

    return run


async def _health(engine: Engine, caller: Caller, _query: NoInput, _report: Report) -> Struct:
    return await get_health(engine, caller)


def _model_and_count(arguments: dict[str, Any]) -> dict[str, Any]:
    messages = arguments.get("messages")  # not validated yet: it may be anything
    count = len(messages) if isinstance(messages, list) else 0
    return {"model": arguments.get("model"), "messageCount": count}


_ROWS = (
    ToolRow(
        name="omniroute_get_health",
        title="Gateway health",
        description="Uptime, memory, provider breakers, cooling accounts and storage.",
        params=NoInput,
        result=GatewayHealth,
        scopes=frozenset({"read:health"}),
        phase=1,
        audit="basic",
        call=_health,
        source_endpoints=("/api/monitoring/health",),
    ),
    ToolRow(
        name="omniroute_list_combos",
        title="Combos",
        description="The configured model chains with their targets, optionally with metrics.",
        params=CombosQuery,
        result=CombosList,
        scopes=frozenset({"read:combos"}),
        phase=1,
        audit="basic",
        call=_plain(list_combos),
        source_endpoints=("/api/combos",),
    ),
    ToolRow(
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
        hashed=_model_and_count,
    ),
    ToolRow(
        name="omniroute_list_models_catalog",
        title="Models",
        description="The models that can be asked for, with state and price.",
        params=ModelsQuery,
        result=ModelsCatalog,
        scopes=frozenset({"read:models"}),
        phase=1,
        audit="none",
        call=_plain(list_models_catalog),
        source_endpoints=("/v1/models",),
        summary=lambda result: {"modelCount": len(result["models"])},
    ),
    ToolRow(
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
        call=_plain(simulate_route),
        source_endpoints=("/api/routes/simulate",),
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        name="omniroute_explain_route",
        title="Why a request went where it went",
        description="The stored decision behind a past request: plan, attempts, verdicts, cost.",
        params=ExplainQuery,
        result=Explanation,
        scopes=frozenset({"read:health", "read:usage"}),
        phase=2,
        audit="basic",
        call=_plain(explain_route),
        source_endpoints=("/api/routes/{requestId}",),
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
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
        call=_plain(replay_route),
        source_endpoints=("/api/routes/{requestId}/replay",),
        time_limit_s=ADVANCED_S,
    ),
)

TOOLS: Mapping[str, ToolRow] = {row.name: row for row in _ROWS}
"""Every tool by name, in the order of the catalogue."""
