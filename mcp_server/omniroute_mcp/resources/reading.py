"""Reading a resource: which row a URI names, whether the caller may, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mcp_types as types
import msgspec
from mcp.shared.exceptions import MCPError
from mcp.shared.uri_template import UriTemplate
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from omniroute.dialects.redaction import clean_message
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound, OmniRouteError
from omniroute_mcp import audit
from omniroute_mcp.callers import Callers, Context
from omniroute_mcp.errors import RESOURCE_NOT_FOUND, SCOPE_DENIED, rpc_error
from omniroute_mcp.listing import Describe
from omniroute_mcp.resources.row import ResourceRow

MIME_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Resources:
    """Finds and reads the rows on behalf of callers."""

    engine: Engine
    callers: Callers
    rows: Sequence[ResourceRow]

    def found(self, uri: str) -> tuple[ResourceRow, Mapping[str, str]] | None:
        """The row a URI names, with the values of its variables."""
        for row in self.rows:
            if not row.is_template:
                if row.uri == uri:
                    return row, {}
                continue
            values = UriTemplate.parse(row.uri).match(uri)
            if values is not None:
                return row, {name: str(value) for name, value in values.items()}
        return None

    async def require(self, context: Context, uri: str) -> tuple[ResourceRow, Mapping[str, str]]:
        """The row a URI names, where the caller may read it.

        Raises:
            MCPError: there is no such resource, or a scope is missing; the latter is audited.
        """
        found = self.found(uri)
        if found is None:
            raise missing(context, uri, f"There is no resource '{uri}'; resources/list has them.")
        row, variables = found
        caller = self.callers.of(context)
        check = self.callers.check(context, caller, row.scopes)
        if self.callers.refuses(check):
            await audit.record(
                self.engine,
                f"resource:{uri}",
                None,
                {"uri": uri},
                None,
                duration_ms=0,
                key_id=caller.key_id,
                error_code="scope_denied:missing_scopes",
                denied=check,
            )
            raise MCPError(
                code=SCOPE_DENIED,
                message=f"{uri} needs scopes {', '.join(check.missing)}.",
                data={"required": check.required, "missing": check.missing},
            )
        return row, variables

    async def read(self, context: Context, uri: str) -> types.TextResourceContents:
        """What a resource says right now.

        Raises:
            MCPError: it cannot be read; the message says why.
        """
        row, variables = await self.require(context, uri)
        try:
            value = await row.read(self.engine, self.callers.of(context), variables)
        except (NotFound, InvalidRequest) as error:
            raise missing(context, uri, clean_message(str(error))) from error
        except OmniRouteError as error:
            raise rpc_error(error) from error
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        return types.TextResourceContents(uri=uri, mime_type=MIME_TYPE, text=text)


def missing(context: Context, uri: str, message: str) -> MCPError:
    """The error for a resource that is not there, in the code of the caller's era."""
    modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
    code = types.INVALID_PARAMS if modern else RESOURCE_NOT_FOUND
    return MCPError(code=code, message=message, data={"uri": uri})


def listed(row: ResourceRow, describe: Describe = str) -> types.Resource:
    """A resource's entry in the list."""
    return types.Resource(
        uri=row.uri,
        name=row.name,
        title=row.title,
        description=describe(row.description),
        mime_type=MIME_TYPE,
        _meta=_meta(row),
    )


def listed_template(row: ResourceRow, describe: Describe = str) -> types.ResourceTemplate:
    """A template's entry in the list."""
    return types.ResourceTemplate(
        uri_template=row.uri,
        name=row.name,
        title=row.title,
        description=describe(row.description),
        mime_type=MIME_TYPE,
        _meta=_meta(row),
    )


def _meta(row: ResourceRow) -> dict[str, Any]:
    return {"omniroute/scopes": sorted(row.scopes)}
