"""The tools, as rows over operations."""

from collections.abc import Mapping

from msgspec.structs import replace

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

_BY_SUBJECT = {
    "system": system.TOOLS,
    "caches": caches.TOOLS,
    "combos": combos.TOOLS,
    "compression": compression.TOOLS,
    "models": models.TOOLS,
    "money": money.TOOLS,
    "proxies": proxies.TOOLS,
    "quotas": quotas.TOOLS,
    "routing": routing.TOOLS,
    "search": search.TOOLS,
    "memory": memory.TOOLS,
    "skills": skills.TOOLS,
}
"""The rows of each module; its name is their subject."""

_ROWS = [replace(row, subject=name) for name, rows in _BY_SUBJECT.items() for row in rows]

TOOLS: Mapping[str, ToolRow] = {row.name: row for row in sorted(_ROWS, key=lambda row: row.number)}
"""Every tool by name, in the order of the catalogue."""
