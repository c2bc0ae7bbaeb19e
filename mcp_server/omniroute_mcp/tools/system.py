"""Tools about the gateway itself: how it and its providers are, and its database."""

from omniroute.operations.routing.resilience_profile import (
    ProfileApplied,
    ProfileQuery,
    apply_profile,
)
from omniroute.operations.storage.database_check import (
    CheckQuery,
    DatabaseCheck,
    check_database,
)
from omniroute.operations.system.health import GatewayHealth, get_health
from omniroute.operations.usage.provider_metrics import (
    ProviderMetrics,
    ProviderQuery,
    provider_metrics,
)
from omniroute_mcp.tools.row import ADVANCED_S, NoInput, ToolRow, bare, plain

TOOLS = (
    ToolRow(
        number=1,
        name="omniroute_get_health",
        title="Gateway health",
        description=(
            "How the gateway is right now: uptime, memory, provider breakers, rate limits, cache "
            "and storage. Call it when requests fail or are slow."
        ),
        params=NoInput,
        result=GatewayHealth,
        scopes=frozenset({"read:health"}),
        phase=1,
        audit="basic",
        call=bare(get_health),
        source_endpoints=("/api/monitoring/health", "/api/resilience", "/api/rate-limits"),
    ),
    ToolRow(
        number=13,
        name="omniroute_set_resilience_profile",
        title="Set a resilience profile",
        description=(
            "Put a preset of pace, cooldowns and breakers in force for the whole gateway: "
            "aggressive, balanced or conservative. Returns every setting it sets."
        ),
        params=ProfileQuery,
        result=ProfileApplied,
        scopes=frozenset({"write:resilience"}),
        phase=2,
        audit="full",
        call=plain(apply_profile),
        source_endpoints=("/api/resilience",),
        writes=True,
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=15,
        name="omniroute_get_provider_metrics",
        title="How a provider does",
        description=(
            "Success rate, latency percentiles, last error, breaker and quota of one provider "
            "over the last 24 hours. Use it to find out why a provider is slow or skipped."
        ),
        params=ProviderQuery,
        result=ProviderMetrics,
        scopes=frozenset({"read:health"}),
        phase=2,
        audit="basic",
        call=plain(provider_metrics),
        source_endpoints=("/api/resilience", "/api/usage/quota"),
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=19,
        name="omniroute_db_health_check",
        title="Check the database",
        description=(
            "Look the database through for damage, broken references and wrong sums; with "
            "autoRepair it mends what it can after a backup. Returns what was found and repaired."
        ),
        params=CheckQuery,
        result=DatabaseCheck,
        scopes=frozenset({"read:health", "write:resilience"}),
        phase=2,
        audit="full",
        call=check_database,
        source_endpoints=("/api/db/health",),
        writes=True,
        destructive=True,
        time_limit_s=ADVANCED_S,
        may_take_long=True,
        confirm=lambda query: (
            "Repair what is broken in the database? A backup is made first."
            if query.auto_repair
            else None
        ),
    ),
)
