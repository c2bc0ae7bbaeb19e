"""Examples of tools about memories."""

from typing import Any

from tests.omniroute_mcp.tools.example import OPERATOR, Example

from omniroute.engine import Engine
from omniroute.operations.memory.memories import add_memory
from omniroute.operations.memory.views import MemoryInput


async def remembered(engine: Engine) -> dict[str, Any]:
    """Something to find and to delete."""
    given = MemoryInput(api_key_id="me", key="cheese", content="Likes brie")
    await add_memory(engine, OPERATOR, given)
    return {}


EXAMPLES = {
    "omniroute_memory_search": Example(
        "R I",
        works={"apiKeyId": "me", "query": "brie", "type": "factual", "maxTokens": 100},
        fails={"apiKeyId": "me", "maxTokens": 0},
        text="Error: maxTokens: Expected 'int' >= 1",
        before=remembered,
        gives={"success": True},
    ),
    "omniroute_memory_add": Example(
        "W",
        works={"apiKeyId": "me", "type": "factual", "key": "cheese", "content": "Hates brie"},
        fails={"apiKeyId": "me", "type": "factual", "key": "cheese"},
        text="Error: content: is required",
        before=remembered,
        gives={"success": True},
    ),
    "omniroute_memory_clear": Example(
        "D I",
        works={"apiKeyId": "me", "type": "factual"},
        fails={"apiKeyId": "me", "olderThan": "yesterday"},
        text="Error: olderThan: must be an ISO-8601 time",
        before=remembered,
        gives={
            "success": True,
            "data": {"deletedCount": 1, "message": "1 memory is deleted."},
        },
    ),
}
