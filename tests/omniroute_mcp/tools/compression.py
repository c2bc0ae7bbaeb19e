"""Examples of tools about compression."""

from tests.omniroute_mcp.tools.example import Example

EXAMPLES = {
    "omniroute_compression_status": Example(
        "R I",
        works={},
        gives={
            "enabled": False,
            "strategy": "off",
            "settings": {
                "maxTokens": 0,
                "autoTriggerMode": "lite",
                "targetRatio": 0.7,
                "preserveSystemPrompt": True,
                "mcpDescriptionCompressionEnabled": True,
            },
        },
    ),
    "omniroute_compression_configure": Example(
        "W I",
        works={"strategy": "lite", "maxTokens": 1_000, "targetRatio": 0.5},
        fails={"strategy": "zip"},
        text=(
            "Error: strategy: must be one of: 'aggressive', 'lite', 'off', 'rtk', 'stacked', "
            "'standard', 'ultra'"
        ),
        gives={
            "success": True,
            "updated": {"defaultMode": "lite", "autoTriggerTokens": 1_000, "targetRatio": 0.5},
            "settings": {
                "enabled": False,
                "strategy": "lite",
                "autoTriggerMode": "lite",
                "maxTokens": 1_000,
                "targetRatio": 0.5,
                "preserveSystemPrompt": True,
                "mcpDescriptionCompressionEnabled": True,
            },
        },
    ),
    "omniroute_set_compression_engine": Example(
        "W I",
        works={"engine": "caveman", "cavemanIntensity": "full", "outputMode": True},
        fails={},
        text="Error: at least one field is needed",
        gives={"success": True},
    ),
    "omniroute_list_compression_combos": Example("R I", works={}),
    "omniroute_compression_combo_stats": Example(
        "R I",
        works={"comboId": "default-caveman", "since": "7d"},
        fails={"comboId": "default-cavemen"},
        text=(
            "Error: There is no compression combo 'default-cavemen'. "
            "Did you mean 'default-caveman'?"
        ),
        gives={"comboId": "default-caveman", "combo": {"count": 0, "tokensSaved": 0}},
    ),
}
