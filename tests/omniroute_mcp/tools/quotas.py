"""Examples of tools about quotas."""

from tests.omniroute_mcp.tools.example import Example

EXAMPLES = {
    "omniroute_check_quota": Example(
        "R I",
        works={"provider": "demo"},
        fails={"provider": "opnai"},
        text="Error: There is no provider 'opnai'. Did you mean 'openai'?",
    ),
}
