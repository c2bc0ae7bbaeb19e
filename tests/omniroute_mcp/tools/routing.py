"""Examples of tools that route a request, or say how one would be or was routed."""

from tests.omniroute_mcp.tools.example import HELLO, ROUTED, Example

EXAMPLES = {
    "omniroute_route_request": Example(
        "W O",
        works=HELLO,
        fails={**HELLO, "model": "demo/flaky-500"},
        text="Error: demo: scripted failure with status 500",
    ),
    "omniroute_simulate_route": Example(
        "R I",
        works={"model": "demo/echo", "promptTokenEstimate": 100},
        fails={"model": "x", "promptTokenEstimate": 1, "combo": "pear"},
        text="Error: There is no combo 'pear'. Did you mean 'pair'?",
    ),
    "omniroute_explain_route": Example(
        "R I",
        works={"requestId": ROUTED},
        fails={},
        text="Error: requestId: is required",
        gives={"requestId": ROUTED},
    ),
    "omniroute_replay_route": Example(
        "R I",
        works={"requestId": ROUTED},
        fails={},
        text="Error: requestId: is required",
    ),
}
