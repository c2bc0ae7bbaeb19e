"""Searches the web through the configured search providers. Source: 02 §24.6."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from omniroute.errors import OmniRouteError
from omniroute.operations.inputs import convert_input
from omniroute.operations.search.asked import Filters, SearchInput
from omniroute.operations.search.results import SearchReply
from omniroute.skills.tool import ToolCall, ToolFailed, ToolHandler
from omniroute_agents.tools.schemas import flat_schema

Searching: TypeAlias = Callable[[ToolCall, SearchInput], Awaitable[SearchReply]]
"""Searches for the key an execution is for."""

Domains: TypeAlias = Annotated[tuple[str, ...], Meta(max_length=20)]


class Wanted(Struct, frozen=True):
    """What to look for. `country` has two letters, `language` is its code."""

    query: Annotated[str, Meta(min_length=1, max_length=500)]
    search_type: Literal["web", "news"] = "web"
    max_results: Annotated[int, Meta(ge=1, le=20)] = 5
    country: Annotated[str, Meta(max_length=2)] | None = None
    language: Annotated[str, Meta(min_length=2, max_length=5)] | None = None
    time_range: Literal["any", "day", "week", "month", "year"] | None = None
    include_domains: Domains = ()
    exclude_domains: Domains = ()


class Found(Struct, frozen=True):
    """Results with `title`, `url`, `snippet` and `position`, and what they cost in USD."""

    provider: str
    results: tuple[dict[str, str | int], ...]
    cached: bool
    search_cost_usd: float


def tool(search: Searching) -> ToolHandler:
    """The tool over the operation."""

    async def run(call: ToolCall) -> Any:
        asked = convert_input(Wanted, dict(call.arguments))
        wanted = SearchInput(
            query=asked.query,
            search_type=asked.search_type,
            max_results=asked.max_results,
            country=asked.country,
            language=asked.language,
            time_range=asked.time_range,
            filters=convert_input(
                Filters,
                {
                    "include_domains": asked.include_domains,
                    "exclude_domains": asked.exclude_domains,
                },
            ),
        )
        try:
            reply = await search(call, wanted)
        except OmniRouteError as error:
            raise ToolFailed(str(error)) from error
        return Found(
            provider=reply.provider,
            results=tuple(
                {
                    "title": one.title,
                    "url": one.url,
                    "snippet": one.snippet,
                    "position": one.position,
                }
                for one in reply.results
            ),
            cached=reply.cached,
            search_cost_usd=reply.usage.search_cost_usd,
        )

    return ToolHandler(
        name="web_search",
        description="Search the web or the news; gives titles, addresses and snippets.",
        tags=("search", "web"),
        input_schema=flat_schema(Wanted),
        output_schema=flat_schema(Found),
        run=run,
    )
