"""The tools as a client lists them: rows with their schemas and annotations."""

from typing import Any

import mcp_types as types

from omniroute_mcp.schemas import empty_schema, schema_of
from omniroute_mcp.tools.row import NoInput, ToolRow


def listed(row: ToolRow) -> types.Tool:
    """A tool's entry in the list."""
    return types.Tool(
        name=row.name,
        title=row.title,
        description=row.description,
        input_schema=input_schema(row),
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


def input_schema(row: ToolRow) -> dict[str, Any]:
    """The schema of a tool's arguments."""
    return empty_schema() if row.params is NoInput else schema_of(row.params)
