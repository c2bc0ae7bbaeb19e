"""Searching the web through whatever is configured, and which providers there are. 01 §15."""

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.progress import Report, silent
from omniroute.operations.search.asked import SearchInput, question_of
from omniroute.operations.search.results import SearchMetrics, SearchReply, SearchUsage, shown
from omniroute.pipeline.search.asking import api_of
from omniroute.pipeline.search.choosing import SEARCH_PROVIDERS, named_provider
from omniroute.pipeline.search.desk import Search


class SearchProviderEntry(Struct, frozen=True, kw_only=True):
    """One search provider. `configured`: an account of it can be asked; `created` is epoch
    seconds."""

    id: str
    name: str
    created: int
    search_types: tuple[str, ...]
    configured: bool
    object: str = "search_provider"


class SearchProviderList(Struct, frozen=True, kw_only=True):
    """Every search provider there is."""

    data: tuple[SearchProviderEntry, ...]
    object: str = "list"


async def search_providers(engine: Engine, caller: Caller) -> SearchProviderList:
    """Every search provider, with what it can look for and whether it is configured."""
    entries = tuple(
        SearchProviderEntry(
            id=row.id,
            name=row.name,
            created=engine.started_at_ms // 1000,
            search_types=tuple(api_of(row).paths),
            configured=row.id in engine.snapshot.searchers,
        )
        for row in SEARCH_PROVIDERS
    )
    return SearchProviderList(data=entries)


async def web_search(
    engine: Engine,
    caller: Caller,
    wanted: SearchInput,
    report: Report = silent,
    request_id: str | None = None,
) -> SearchReply:
    """Results from the named provider, or from the best one that is configured.

    Args:
        report: hears of every provider that failed and of who is asked next.
        request_id: the id the search is recorded under.

    Raises:
        InvalidRequest: something of it makes no sense, or no such provider is configured.
        TargetsUnavailable: every account that fits is resting.
        BudgetExceeded: the search costs more than is left.
        UpstreamFailed: every account that was asked failed.
    """
    began_ms = engine.now_ms()
    provider = named_provider(wanted.provider).id if wanted.provider else None
    question = question_of(wanted, provider, began_ms)
    name = request_id or engine.new_id()
    answer, cached = await engine.search_desk.search(
        Search(
            request_id=name,
            caller=caller,
            question=question,
            provider=provider,
            strict=wanted.strict_filters,
        ),
        report,
    )
    return SearchReply(
        id=f"search-{name}",
        provider=answer.provider,
        query=question.query,
        results=shown(answer, wanted.content),
        cached=cached,
        usage=SearchUsage(
            queries_used=0 if cached else 1,
            search_cost_usd=0.0 if cached else answer.cost_micro_usd / 1e6,
        ),
        metrics=SearchMetrics(
            response_time_ms=engine.now_ms() - began_ms,
            upstream_latency_ms=0 if cached else answer.latency_ms,
        ),
        errors=() if cached else answer.failed,
    )
