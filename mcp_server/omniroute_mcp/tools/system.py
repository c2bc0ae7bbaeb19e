"""Tools about the gateway itself."""

from omniroute.operations.system.health import GatewayHealth, get_health
from omniroute_mcp.tools.row import NoInput, ToolRow, bare

TOOLS = (
    ToolRow(
        number=1,
        name="omniroute_get_health",
        title="Gateway health",
        description="Uptime, memory, provider breakers, cooling accounts and storage.",
        params=NoInput,
        result=GatewayHealth,
        scopes=frozenset({"read:health"}),
        phase=1,
        audit="basic",
        call=bare(get_health),
        source_endpoints=("/api/monitoring/health",),
    ),
)
