"""Every resource and template. 03 §10.1."""

from collections.abc import Mapping

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import NotFound
from omniroute.operations.combos.combo_listing import ListedCombo, listed_combo
from omniroute.operations.models.discovery import ProviderList, list_providers
from omniroute.operations.money.budget_overview import BudgetOverview, budget_overview
from omniroute.operations.routing.routes import ExplainQuery, Explanation, explain_route
from omniroute.operations.usage.runs import RunQuery, RunTree, run_tree
from omniroute_mcp.resources.row import ResourceRow, of_tool


async def _combo(engine: Engine, caller: Caller, variables: Mapping[str, str]) -> ListedCombo:
    return await listed_combo(engine, caller, variables["comboId"])


async def _providers(engine: Engine, caller: Caller, _variables: Mapping[str, str]) -> ProviderList:
    return await list_providers(engine, caller)


async def _budget(engine: Engine, caller: Caller, _variables: Mapping[str, str]) -> BudgetOverview:
    return await budget_overview(engine, caller)


async def _run(engine: Engine, caller: Caller, variables: Mapping[str, str]) -> RunTree:
    return await run_tree(engine, caller, RunQuery(variables["runId"]))


async def _route(engine: Engine, caller: Caller, variables: Mapping[str, str]) -> Explanation:
    found = await explain_route(engine, caller, ExplainQuery(variables["requestId"]))
    if found.trace is None:
        raise NotFound(found.note or "Nothing is recorded of this request.")
    return found


ROWS: tuple[ResourceRow, ...] = (
    of_tool(
        "omniroute://health",
        "omniroute_get_health",
        name="health",
        description="Uptime, memory, breakers and cooling accounts as they are now.",
    ),
    of_tool(
        "omniroute://models",
        "omniroute_list_models_catalog",
        name="models",
        description="The models that can be asked for, with state and price.",
    ),
    of_tool(
        "omniroute://combos",
        "omniroute_list_combos",
        name="combos",
        description="Every combo with its targets and what it has measured so far.",
        includeMetrics=True,
    ),
    ResourceRow(
        uri="omniroute://providers",
        name="providers",
        title="Providers",
        description="Every provider: what it can do, whether it has an account, how it is.",
        scopes=frozenset({"read:health"}),
        read=_providers,
    ),
    of_tool(
        "omniroute://quota",
        "omniroute_check_quota",
        name="quota",
        description="What is left of every account's quota, and how its token is.",
    ),
    ResourceRow(
        uri="omniroute://budget",
        name="budget",
        title="Budgets",
        description="Every limit you spend under, what is left of it, and the guard you set.",
        scopes=frozenset({"read:usage"}),
        read=_budget,
    ),
    of_tool(
        "omniroute://session",
        "omniroute_get_session_snapshot",
        name="session",
        description="What this session cost so far, and which models answered.",
    ),
    of_tool(
        "omniroute://compression",
        "omniroute_compression_status",
        name="compression",
        description="What of compression is switched on, and what it has saved.",
    ),
    of_tool(
        "omniroute://models/{provider}",
        "omniroute_list_models_catalog",
        name="models-of-provider",
        description="The models of one provider.",
    ),
    ResourceRow(
        uri="omniroute://combos/{comboId}",
        name="combo",
        title="One combo",
        description="One combo, by id or name, with its targets and what it has measured.",
        scopes=frozenset({"read:combos"}),
        read=_combo,
    ),
    of_tool(
        "omniroute://combos/{comboId}/metrics",
        "omniroute_get_combo_metrics",
        name="combo-metrics",
        description="How one combo does, in all and by provider.",
    ),
    of_tool(
        "omniroute://providers/{provider}/metrics",
        "omniroute_get_provider_metrics",
        name="provider-metrics",
        description="Latency, errors, breaker and quota of one provider.",
    ),
    of_tool(
        "omniroute://usage/{period}",
        "omniroute_cost_report",
        name="usage",
        description="What was spent in a session, day, week or month, by provider and model.",
    ),
    ResourceRow(
        uri="omniroute://runs/{runId}",
        name="run",
        title="Everything a run caused",
        description=(
            "The tasks, tool calls and model calls of one run as a tree, with time, tokens, cost "
            "and verdicts. Without a name of your own, your session is the run."
        ),
        scopes=frozenset({"read:usage"}),
        read=_run,
    ),
    ResourceRow(
        uri="omniroute://routes/{requestId}",
        name="route",
        title="Why a request went where it went",
        description="The stored decision behind one request: plan, attempts, verdicts, cost.",
        scopes=frozenset({"read:health", "read:usage"}),
        read=_route,
    ),
)
"""The resources first, then the templates. `omniroute://agent-card` is the door's own."""
