"""The web search of the demo upstream: made up from the query alone, and it says so."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote

FOUND = 20
_SCRIPTED = re.compile(r"status-([45]\d\d)")
NOTE = "Made up by the built-in demo, which asks nobody. Configure a search provider for results."


def search_answer(query_string: str) -> tuple[int, Mapping[str, Any]]:
    """Status and JSON of an answer, in the form of SearXNG. A query such as `status-503` is
    answered with that status."""
    fields = parse_qs(query_string)
    query = fields.get("q", [""])[0]
    scripted = _SCRIPTED.fullmatch(query)
    if scripted is not None:
        told = {"error": {"message": f"This query is answered with {scripted[1]}."}}
        return int(scripted[1]), told
    if not query:
        return 400, {"error": {"message": "The demo search needs a query."}}
    slug = quote(query.lower().replace(" ", "-"), safe="-")
    results = [
        {
            "title": f"Demo result {place} for '{query}'",
            "url": f"https://example.com/{slug}/{place}",
            "content": NOTE,
            "engine": "demo",
        }
        for place in range(1, FOUND + 1)
    ]
    return 200, {"query": query, "results": results}
