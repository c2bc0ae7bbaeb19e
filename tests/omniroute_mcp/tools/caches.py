"""Examples of tools about caches."""

from tests.omniroute_mcp.tools.example import Example

EXAMPLES = {
    "omniroute_cache_stats": Example(
        "R I",
        works={},
        gives={
            "semanticCache": {
                "memoryEntries": 0,
                "dbEntries": 0,
                "hits": 0,
                "misses": 1,
                "hitRate": "0.0%",
                "tokensSaved": 0,
            },
            "promptCache": {
                "totalRequests": 2,
                "requestsWithCacheControl": 0,
                "totalInputTokens": 1,
                "totalCachedTokens": 0,
                "totalCacheCreationTokens": 0,
                "tokensSaved": 0,
                "estimatedCostSaved": 0.0,
            },
            "idempotency": {"activeKeys": 0, "windowMs": 5_000},
        },
    ),
    "omniroute_cache_flush": Example(
        "D I",
        works={"model": "pair"},
        fails={"model": 5},
        text="Error: model: Expected 'str | null', got 'int'",
        gives={"ok": True, "scope": "model"},
    ),
}
