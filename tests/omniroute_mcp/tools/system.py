"""Examples of tools about the gateway itself."""

from tests.omniroute_mcp.tools.example import Example

EXAMPLES = {
    "omniroute_get_health": Example(
        "R I",
        works={},
        gives={"status": "healthy", "cacheStats": {"hits": 0, "misses": 1, "hitRate": 0.0}},
    ),
    "omniroute_set_resilience_profile": Example(
        "W I",
        works={"profile": "balanced"},
        fails={"profile": "calm"},
        text="Error: profile: must be one of: 'aggressive', 'balanced', 'conservative'",
        gives={
            "applied": True,
            "profile": "balanced",
            "settings": {
                "requestQueue": {
                    "requestsPerMinute": 100,
                    "minTimeBetweenRequestsMs": 200,
                    "concurrentRequests": 10,
                },
                "connectionCooldown": {
                    "oauth": {
                        "baseCooldownMs": 60_000,
                        "useUpstreamRetryHints": False,
                        "maxBackoffSteps": 8,
                    },
                    "apikey": {
                        "baseCooldownMs": 3_000,
                        "useUpstreamRetryHints": True,
                        "maxBackoffSteps": 5,
                    },
                },
                "providerBreaker": {
                    "oauth": {"failureThreshold": 3, "resetTimeoutMs": 60_000},
                    "apikey": {"failureThreshold": 5, "resetTimeoutMs": 30_000},
                },
            },
        },
    ),
    "omniroute_get_provider_metrics": Example(
        "R I",
        works={"provider": "demo"},
        fails={"provider": "opnai"},
        text="Error: There is no provider 'opnai'. Did you mean 'openai'?",
        gives={"requestCount": 2, "successRate": 0.5, "errorRate": 0.5},
    ),
    "omniroute_db_health_check": Example(
        "D I",
        works={"autoRepair": True},
        fails={"autoRepair": "yes"},
        text="Error: autoRepair: Expected 'bool', got 'str'",
        gives={"isHealthy": True, "issues": [], "repairedCount": 0, "backupCreated": False},
    ),
}
