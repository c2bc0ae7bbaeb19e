"""The tool that searches the web."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.progress import Report
from omniroute.operations.search.asked import Kind, SearchInput
from omniroute.operations.search.results import SearchUsage
from omniroute.operations.search.search import web_search
from omniroute_mcp.tools.row import SEARCH_S, ToolRow


class WebSearchQuery(Struct, frozen=True, kw_only=True):
    """What to look for, and where. Without a provider the best configured one is asked."""

    query: Annotated[str, Meta(min_length=1, max_length=500)]
    max_results: Annotated[int, Meta(ge=1, le=20)] = 5
    search_type: Kind = "web"
    provider: (
        Literal[
            "serper-search",
            "brave-search",
            "perplexity-search",
            "exa-search",
            "tavily-search",
            "google-pse-search",
            "linkup-search",
            "searchapi-search",
            "searxng-search",
        ]
        | UnsetType
    ) = UNSET


class WebResult(Struct, frozen=True, kw_only=True):
    """One result. `position` counts from 1."""

    title: str
    url: str
    snippet: str
    position: Annotated[int, Meta(ge=1)]
    display_url: str | UnsetType = UNSET


class WebResults(Struct, frozen=True, kw_only=True):
    """The results of a search, who found them, and what that cost."""

    id: str
    provider: str
    query: str
    results: tuple[WebResult, ...]
    cached: bool
    usage: SearchUsage


async def run(engine: Engine, caller: Caller, query: WebSearchQuery, report: Report) -> WebResults:
    """Search; every provider that fails is reported as progress."""
    wanted = SearchInput(
        query=query.query,
        max_results=query.max_results,
        search_type=query.search_type,
        provider=query.provider or None,
    )
    found = await web_search(engine, caller, wanted, report)
    return WebResults(
        id=found.id,
        provider=found.provider,
        query=found.query,
        results=tuple(
            WebResult(
                title=one.title,
                url=one.url,
                display_url=one.display_url,
                snippet=one.snippet,
                position=one.position,
            )
            for one in found.results
        ),
        cached=found.cached,
        usage=found.usage,
    )


TOOLS = (
    ToolRow(
        number=9,
        name="omniroute_web_search",
        title="Search the web",
        description=(
            "Search the web or the news through the configured search providers, with fallback "
            "from one to the next. Returns titles, addresses and snippets, and what it cost."
        ),
        params=WebSearchQuery,
        result=WebResults,
        scopes=frozenset({"execute:search"}),
        phase=1,
        audit="basic",
        call=run,
        source_endpoints=("/v1/search",),
        idempotent=False,
        open_world=True,
        time_limit_s=SEARCH_S,
        may_take_long=True,
    ),
)
