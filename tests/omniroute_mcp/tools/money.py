"""Examples of tools about money."""

from tests.omniroute_mcp.tools.example import Example

EXAMPLES = {
    "omniroute_cost_report": Example(
        "R I",
        works={},
        fails={"period": "year"},
        text="Error: period: must be one of: 'day', 'month', 'session', 'week'",
        gives={"period": "session", "totalCost": 0, "requestCount": 1, "unpriced": 0},
    ),
    "omniroute_set_budget_guard": Example(
        "W I",
        works={"maxCost": 2, "action": "degrade", "degradeToTier": "free"},
        fails={"maxCost": 0, "action": "block"},
        text="Error: maxCost: Expected 'float' >= 1e-06",
        gives={
            "budgetTotal": 2,
            "budgetSpent": 0,
            "budgetRemaining": 2,
            "action": "degrade",
            "status": "active",
        },
    ),
    "omniroute_get_session_snapshot": Example(
        "R I",
        works={},
        gives={
            "requestCount": 1,
            "errors": 0,
            "fallbacks": 1,
            "budgetGuard": None,
            "topProviders": [{"provider": "demo", "count": 1}],
        },
    ),
    "omniroute_sync_pricing": Example(
        "W O I",
        works={"sources": ["litellm"], "dryRun": True},
        fails={"sources": ["modelsDev"]},
        text="Error: modelsDev answered 500 for its price list. Try again later.",
        gives={"success": True, "source": "litellm", "dryRun": True, "modelCount": 2},
    ),
}
