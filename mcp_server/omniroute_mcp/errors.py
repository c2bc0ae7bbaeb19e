"""Failures as tool results: the tree's messages as they are, everything else without its cause."""

import structlog
from mcp_types import CallToolResult, TextContent

from omniroute.dialects.redaction import clean_message
from omniroute.errors import OmniRouteError

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
