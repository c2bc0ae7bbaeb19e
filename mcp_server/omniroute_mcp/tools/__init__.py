"""The tools, as rows over operations."""

from collections.abc import Mapping

from omniroute_mcp.tools import (
    caches,
    combos,
    compression,
    memory,
    models,
    money,
    proxies,
    quotas,
    routing,
    search,
    skills,
    system,
)
from omniroute_mcp.tools.row import ToolRow

_ROWS = (
    *system.TOOLS,
    *caches.TOOLS,
    *combos.TOOLS,
    *compression.TOOLS,
    *models.TOOLS,
    *money.TOOLS,
    *proxies.TOOLS,
    *quotas.TOOLS,
    *routing.TOOLS,
    *search.TOOLS,
    *memory.TOOLS,
    *skills.TOOLS,
)

TOOLS: Mapping[str, ToolRow] = {row.name: row for row in sorted(_ROWS, key=lambda row: row.number)}
"""Every tool by name, in the order of the catalogue."""
