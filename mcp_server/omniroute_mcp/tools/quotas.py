"""Tools about what is left of accounts' quotas."""

from omniroute.operations.routing.quotas import QuotaOverview, QuotaQuery, check_quota
from omniroute_mcp.tools.row import ToolRow, plain

TOOLS = (
    ToolRow(
        number=5,
        name="omniroute_check_quota",
        title="What is left of quotas",
        description=(
            "What is left of each account's quota, when it resets and whether its token works, "
            "the least left first. Use it before long work; accounts of which nothing is known "
            "are left out."
        ),
        params=QuotaQuery,
        result=QuotaOverview,
        scopes=frozenset({"read:quota"}),
        phase=1,
        audit="basic",
        call=plain(check_quota),
        source_endpoints=("/api/usage/quota", "/api/token-health", "/api/rate-limits"),
    ),
)
