"""Examples of tools about the gateway itself."""

from tests.omniroute_mcp.tools.example import Example

EXAMPLES = {
    "omniroute_get_health": Example("R I", works={}),
}
