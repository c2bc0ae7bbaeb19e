"""Examples of tools about models."""

from tests.omniroute_mcp.tools.example import Example

EXAMPLES = {
    "omniroute_list_models_catalog": Example(
        "R I",
        works={"provider": "demo"},
        fails={"provider": "opnai"},
        text="Error: There is no provider 'opnai'. Did you mean 'openai'?",
    ),
}
