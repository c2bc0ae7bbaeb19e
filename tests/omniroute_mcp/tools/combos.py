"""Examples of tools about combos."""

from tests.omniroute_mcp.tools.example import Example

NO_COMBO = "Error: There is no combo 'pear'. Did you mean 'pair'?"

EXAMPLES = {
    "omniroute_list_combos": Example(
        "R I",
        works={"includeMetrics": True},
        fails={"includeMetrics": "yes"},
        text="Error: includeMetrics: Expected 'bool', got 'str'",
    ),
    "omniroute_get_combo_metrics": Example(
        "R I",
        works={"comboId": "pair"},
        fails={"comboId": "pear"},
        text=NO_COMBO,
        gives={"requests": 1, "successRate": 1.0, "fallbackCount": 1, "costTotal": 0.0},
    ),
    "omniroute_switch_combo": Example(
        "W I",
        works={"comboId": "solo", "active": False},
        fails={"comboId": "pear", "active": False},
        text=NO_COMBO,
        gives={"success": True},
    ),
    "omniroute_set_routing_strategy": Example(
        "W I",
        works={"comboId": "solo", "strategy": "auto", "autoRoutingStrategy": "eco"},
        fails={"comboId": "pear", "strategy": "random"},
        text=NO_COMBO,
        gives={"success": True},
    ),
    "omniroute_test_combo": Example(
        "W O",
        works={"comboId": "pair", "testPrompt": "Are you there?"},
        fails={"comboId": "pear", "testPrompt": "Are you there?"},
        text=NO_COMBO,
        gives={
            "summary": {
                "totalProviders": 2,
                "successful": 1,
                "fastestProvider": "demo",
                "cheapestProvider": "demo",
            }
        },
    ),
    "omniroute_best_combo_for_task": Example(
        "R I",
        works={"taskType": "coding", "budgetConstraint": 1, "latencyConstraint": 60_000},
        fails={"taskType": "codding"},
        text=(
            "Error: taskType: must be one of: 'analysis', 'coding', 'debugging', "
            "'documentation', 'planning', 'review'. Did you mean 'coding'?"
        ),
    ),
}
