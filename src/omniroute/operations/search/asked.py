"""What a caller may ask of a web search, checked and put in its usual form. Source: 01 §15.2."""

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from omniroute.dialects.search.asked import SearchQuestion, TimeRange
from omniroute.errors import ValidationFailed
from omniroute.pipeline.search.asking import api_of
from omniroute.pipeline.search.choosing import named_provider
from omniroute.pipeline.search.kept import plain

MOST_QUERY_CHARS = 500

Kind: TypeAlias = Literal["web", "news"]
Domains: TypeAlias = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[^\s/:]+$")], ...],
    Meta(max_length=20),
]


class Content(Struct, frozen=True, kw_only=True):
    """How much of each page is wanted beside its snippet."""

    snippet: bool = True
    full_page: bool = False
    format: Literal["text", "markdown"] = "text"
    max_characters: Annotated[int, Meta(ge=100, le=100_000)] | None = None


class Filters(Struct, frozen=True, kw_only=True):
    """What results must keep to."""

    include_domains: Domains = ()
    exclude_domains: Domains = ()
    safe_search: Literal["off", "moderate", "strict"] | None = None


class Synthesis(Struct, frozen=True, kw_only=True):
    """An answer made from results. It is accepted and none is made: ask a model for that."""

    strategy: Literal["none", "auto", "provider", "internal"] = "none"
    model: str | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=4_000)] | None = None


class SearchInput(Struct, frozen=True, kw_only=True):
    """A web search. Without a `provider` the best configured one is asked, and others after it
    when it fails. `provider_options` are the provider's own; `strict_filters` refuses a provider
    that cannot keep to a filter."""

    query: Annotated[str, Meta(min_length=1, max_length=10_000)]
    provider: Annotated[str, Meta(max_length=100)] | None = None
    max_results: Annotated[int, Meta(ge=1, le=100)] = 5
    search_type: Kind = "web"
    offset: Annotated[int, Meta(ge=0, le=10_000)] = 0
    country: Annotated[str, Meta(min_length=1, max_length=2, pattern="^[A-Za-z]*$")] | None = None
    language: Annotated[str, Meta(min_length=2, max_length=5)] | None = None
    time_range: Literal["any", "day", "week", "month", "year"] | None = None
    content: Content = Content()
    filters: Filters = Filters()
    synthesis: Synthesis = Synthesis()
    provider_options: Annotated[dict[str, Any], Meta(max_length=20)] = {}
    strict_filters: bool = False


_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


def question_of(wanted: SearchInput, provider: str | None, now_ms: int) -> SearchQuestion:
    """The question in a request.

    Args:
        provider: the id of the only provider that may be asked.

    Raises:
        ValidationFailed: the query is empty, too long, or has control characters.
    """
    past: TimeRange | None = None if wanted.time_range == "any" else wanted.time_range
    since = None
    if past is not None:
        today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        since = (today - timedelta(days=_DAYS[past])).isoformat()
    most = wanted.max_results
    if provider is not None:
        most = min(most, api_of(named_provider(provider)).most)
    return SearchQuestion(
        query=_query(wanted.query),
        kind=wanted.search_type,
        most=most,
        offset=wanted.offset,
        country=wanted.country and wanted.country.upper(),
        language=wanted.language,
        time_range=past,
        since=since,
        include_domains=wanted.filters.include_domains,
        exclude_domains=wanted.filters.exclude_domains,
        safe_search=wanted.filters.safe_search,
        full_page=wanted.content.full_page,
        options=wanted.provider_options,
    )


def _query(written: str) -> str:
    if any(unicodedata.category(one) == "Cc" for one in written.strip()):
        raise ValidationFailed([("query", "must not have control characters")])
    query = plain(written)
    if not 1 <= len(query) <= MOST_QUERY_CHARS:
        raise ValidationFailed([("query", f"must have 1 to {MOST_QUERY_CHARS} characters")])
    return query
