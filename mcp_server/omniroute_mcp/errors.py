"""Failures as tool results and as JSON-RPC errors: the tree's messages as they are, everything
else without its cause."""

import structlog
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, CallToolResult, TextContent

from omniroute.dialects.redaction import clean_message
from omniroute.errors import InvalidRequest, NotFound, OmniRouteError

SCOPE_DENIED = -32003
RESOURCE_NOT_FOUND = -32002
"""Of the handshake era; the stateless one answers invalid params. 03 §10.1."""

log = structlog.get_logger(__name__)


def failed(error: BaseException, tool: str) -> tuple[CallToolResult, str]:
    """A failure as a caller sees it, and the code the audit keeps."""
    if isinstance(error, OmniRouteError):
        return tool_error(f"Error: {clean_message(str(error))}"), error.code or type(error).__name__
    log.error("tool_failed", tool=tool, exc_info=error)
    return tool_error(f"Error executing tool {tool}"), "internal_error"


def tool_error(text: str) -> CallToolResult:
    """A result that tells the model what went wrong."""
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def rpc_error(error: OmniRouteError) -> MCPError:
    """A failure where the protocol has no place for one in a result."""
    at_fault = isinstance(error, InvalidRequest | NotFound)
    code = INVALID_PARAMS if at_fault else INTERNAL_ERROR
    return MCPError(code=code, message=clean_message(str(error)))
