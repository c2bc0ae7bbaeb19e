"""The tools as a client lists them: pages of rows with their schemas and annotations."""

import base64
import binascii
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

from omniroute_mcp.schemas import empty_schema, schema_of
from omniroute_mcp.tools import TOOLS
from omniroute_mcp.tools.row import NoInput, ToolRow

PAGE = 50


def tools_page(cursor: str | None) -> types.ListToolsResult:
    """The page a cursor names, the first without one.

    Raises:
        MCPError: the cursor is not one of ours.
    """
    start = _offset(cursor)
    after = start + PAGE
    rows = list(TOOLS.values())
    return types.ListToolsResult(
        tools=[_listed(row) for row in rows[start:after]],
        next_cursor=_cursor(after) if after < len(rows) else None,
    )


def input_schema_of(name: str) -> dict[str, Any] | None:
    """The input schema of a tool; None for a name that is none."""
    return _input_schema(TOOLS[name]) if name in TOOLS else None


def _listed(row: ToolRow) -> types.Tool:
    return types.Tool(
        name=row.name,
        title=row.title,
        description=row.description,
        input_schema=_input_schema(row),
        output_schema=schema_of(row.result),
        annotations=types.ToolAnnotations(
            title=row.title,
            read_only_hint=not row.writes,
            destructive_hint=row.destructive,
            idempotent_hint=row.idempotent,
            open_world_hint=row.open_world,
        ),
        _meta={
            "omniroute/scopes": sorted(row.scopes),
            "omniroute/phase": row.phase,
            "omniroute/auditLevel": row.audit,
        },
    )


def _input_schema(row: ToolRow) -> dict[str, Any]:
    return empty_schema() if row.params is NoInput else schema_of(row.params)


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"tools:{offset}".encode()).decode()


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        name, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        offset = int(number)
    except (binascii.Error, UnicodeError, ValueError):
        name, offset = "", -1
    if name != "tools" or not 0 <= offset < len(TOOLS):
        raise MCPError(code=types.INVALID_PARAMS, message="The cursor is not valid.")
    return offset
