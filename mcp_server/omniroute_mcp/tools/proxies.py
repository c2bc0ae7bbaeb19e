"""Tools about the outbound proxies an operator configured."""

from omniroute.operations.proxies.proxy_pool import (
    ChosenProxy,
    PoolPage,
    PoolQuery,
    PoolReport,
    TurnQuery,
    list_pool,
    next_proxy,
    pool_report,
)
from omniroute_mcp.tools.row import ADVANCED_S, NoInput, ToolRow, bare, plain

TOOLS = (
    ToolRow(
        number=28,
        name="omniroute_oneproxy_fetch",
        title="Configured proxies",
        description=(
            "The outbound proxies the operator configured, with how well they work, the best "
            "first; filter by type, country or quality. Nothing is fetched from outside."
        ),
        params=PoolQuery,
        result=PoolPage,
        scopes=frozenset({"read:proxies"}),
        phase=2,
        audit="basic",
        call=plain(list_pool),
        source_endpoints=("/api/settings/proxies",),
        open_world=True,
        idempotent=False,
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=29,
        name="omniroute_oneproxy_rotate",
        title="The next proxy",
        description=(
            "One of the configured proxies that are switched on: each in turn, the best, or any. "
            "Returns where it is; routing is not changed by it."
        ),
        params=TurnQuery,
        result=ChosenProxy,
        scopes=frozenset({"read:proxies"}),
        phase=2,
        audit="basic",
        call=plain(next_proxy),
        source_endpoints=("/api/settings/proxies",),
        writes=True,
        idempotent=False,
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=30,
        name="omniroute_oneproxy_stats",
        title="Proxies in figures",
        description=(
            "How many outbound proxies are configured, by type and country, and how well they "
            "worked in the last 24 hours."
        ),
        params=NoInput,
        result=PoolReport,
        scopes=frozenset({"read:proxies"}),
        phase=2,
        audit="basic",
        call=bare(pool_report),
        source_endpoints=("/api/settings/proxies",),
        time_limit_s=ADVANCED_S,
    ),
)
