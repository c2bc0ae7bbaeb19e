"""The example of the tool that searches the web."""

from typing import Any

from tests.omniroute_mcp.tools.example import OPERATOR, Example

from omniroute.engine import Engine
from omniroute.operations.accounts.connections import ConnectionInput, create_connection


async def a_searxng(engine: Engine) -> dict[str, Any]:
    """An account of a SearXNG that gives one result: the world's server plays it."""
    base = engine.environ["PRICING_SYNC_LITELLM_URL"].rpartition("/")[0]
    data = {"baseUrl": base}
    new = ConnectionInput(provider="searxng-search", name="mine", provider_specific_data=data)
    await create_connection(engine, OPERATOR, new)
    return {}


EXAMPLES = {
    "omniroute_web_search": Example(
        "R O",
        works={"query": "rust async", "provider": "searxng-search"},
        fails={"query": "rust async", "search_type": "images"},
        text="Error: search_type: must be one of: 'news', 'web'",
        before=a_searxng,
        gives={
            "provider": "searxng-search",
            "query": "rust async",
            "results": [
                {
                    "title": "Async in Rust",
                    "url": "https://www.a.io/x?y=1",
                    "display_url": "a.io/x",
                    "snippet": "It waits.",
                    "position": 1,
                }
            ],
            "cached": False,
            "usage": {"queries_used": 1, "search_cost_usd": 0.0},
        },
    ),
}
