"""Tools about money: what was spent, what may be, and what models cost."""

from omniroute.operations.money.budget_guard import GuardQuery, GuardStanding, set_budget_guard
from omniroute.operations.money.cost_report import CostQuery, CostReport, cost_report
from omniroute.operations.money.pricing_sync import SyncQuery, SyncResult, sync_pricing
from omniroute.operations.usage.session_snapshot import SessionSnapshot, session_snapshot
from omniroute_mcp.tools.row import ADVANCED_S, NoInput, ToolRow, bare, plain

TOOLS = (
    ToolRow(
        number=7,
        name="omniroute_cost_report",
        title="What was spent",
        description=(
            "Cost, requests and tokens of this session, a day, a week or a month, by provider and "
            "model, with what is left of your budget. Use it to see where money goes."
        ),
        params=CostQuery,
        result=CostReport,
        scopes=frozenset({"read:usage"}),
        phase=1,
        audit="basic",
        call=plain(cost_report),
        source_endpoints=("/api/usage/analytics", "/api/usage/budget"),
    ),
    ToolRow(
        number=11,
        name="omniroute_set_budget_guard",
        title="Cap what this session spends",
        description=(
            "Set the most your own requests may cost in this session, and what happens at the cap: "
            "block, degrade to free targets, or alert. It is enforced; a new call replaces it."
        ),
        params=GuardQuery,
        result=GuardStanding,
        scopes=frozenset({"write:budget"}),
        phase=2,
        audit="full",
        call=plain(set_budget_guard),
        source_endpoints=("/api/usage/budget",),
        writes=True,
        time_limit_s=ADVANCED_S,
        hashed=lambda given: {"maxCost": given.get("maxCost"), "action": given.get("action")},
    ),
    ToolRow(
        number=18,
        name="omniroute_get_session_snapshot",
        title="This session at a glance",
        description=(
            "Requests, cost, tokens, busiest models and providers, errors and fallbacks since the "
            "session began, and your budget guard. Call it to take stock during long work."
        ),
        params=NoInput,
        result=SessionSnapshot,
        scopes=frozenset({"read:usage"}),
        phase=2,
        audit="none",
        call=bare(session_snapshot),
        source_endpoints=("/api/usage/analytics",),
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=20,
        name="omniroute_sync_pricing",
        title="Refresh prices",
        description=(
            "Fetch model prices from public lists; prices an operator has stated stay as they are. "
            "With dryRun it returns what the lists say and keeps nothing."
        ),
        params=SyncQuery,
        result=SyncResult,
        scopes=frozenset({"pricing:write"}),
        phase=2,
        audit="full",
        call=sync_pricing,
        source_endpoints=("/api/pricing/sync",),
        writes=True,
        open_world=True,
        time_limit_s=ADVANCED_S,
        may_take_long=True,
    ),
)
