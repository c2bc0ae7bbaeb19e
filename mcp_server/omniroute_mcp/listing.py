"""The tools as a client lists them: rows with their schemas and annotations."""

from collections.abc import Callable
from typing import Any, TypeAlias

import mcp_types as types

from omniroute.engine import Engine
from omniroute_mcp.icons import icon
from omniroute_mcp.schemas import empty_schema, schema_of
from omniroute_mcp.tools.row import NoInput, ToolRow

Describe: TypeAlias = Callable[[str], str]
"""Makes of a description what is listed."""


def is_condensed(engine: Engine) -> bool:
    """Whether descriptions are listed in fewer characters right now. 03 §7."""
    wanted = engine.snapshot.compression.mcp_description_compression_enabled
    return engine.descriptions.allowed and wanted


def describing(engine: Engine) -> Describe:
    """How descriptions are listed right now."""
    return engine.descriptions.shortened if is_condensed(engine) else str


def listed(row: ToolRow, describe: Describe = str) -> types.Tool:
    """A tool's entry in the list."""
    return types.Tool(
        name=row.name,
        title=row.title,
        icons=[icon(row.subject)],
        description=describe(row.description),
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
