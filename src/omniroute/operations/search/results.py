"""What a web search gives: results as every provider's look, usage, and how long it took."""

from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from omniroute.clock import iso
from omniroute.dialects.search.asked import SearchHit
from omniroute.operations.search.asked import Content
from omniroute.pipeline.search.kept import SearchAnswer


class PageContent(Struct, frozen=True, kw_only=True):
    """The page of a result."""

    format: Literal["text", "markdown"]
    text: str
    length: int


class ResultMetadata(Struct, frozen=True, kw_only=True):
    """What else is known of a result."""

    author: str | None
    language: str | None
    source_type: str | None
    image_url: str | None


class Citation(Struct, frozen=True, kw_only=True):
    """Who found a result, when, at which place."""

    provider: str
    retrieved_at: str
    rank: int


class SearchResult(Struct, frozen=True, kw_only=True):
    """One result. `position` counts from 1; `score` is 0-1 where the provider gives one."""

    title: str
    url: str
    display_url: str
    snippet: str
    position: int
    score: float | None
    published_at: str | None
    favicon_url: str | None
    content: PageContent | None
    metadata: ResultMetadata
    citation: Citation
    provider_raw: None = None


class SearchUsage(Struct, frozen=True, kw_only=True):
    """What a search cost; nothing where its results were there already."""

    queries_used: int
    search_cost_usd: float


class SearchMetrics(Struct, frozen=True, kw_only=True):
    """How long a search took."""

    response_time_ms: int
    upstream_latency_ms: int
    total_results_available: int | None = None


class SearchReply(Struct, frozen=True, kw_only=True):
    """The results of a search. `errors` are providers that were asked first and gave none."""

    id: str
    provider: str
    query: str
    results: tuple[SearchResult, ...]
    cached: bool
    usage: SearchUsage
    metrics: SearchMetrics
    answer: dict[str, Any] | None = None
    errors: tuple[str, ...] = ()


def display_url(url: str) -> str:
    """An address as people read it: without scheme, `www.` and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.netloc.removeprefix('www.')}{parts.path.rstrip('/')}" or url


def shown(answer: SearchAnswer, wanted: Content) -> tuple[SearchResult, ...]:
    """The results of an answer, in their order."""
    at = iso(answer.at_ms)
    return tuple(
        SearchResult(
            title=hit.title,
            url=hit.url,
            display_url=display_url(hit.url),
            snippet=hit.snippet if wanted.snippet else "",
            position=place,
            score=hit.score,
            published_at=hit.published_at,
            favicon_url=hit.favicon_url,
            content=_content(hit, wanted),
            metadata=ResultMetadata(
                author=hit.author,
                language=hit.language,
                source_type=hit.source,
                image_url=hit.image_url,
            ),
            citation=Citation(provider=answer.provider, retrieved_at=at, rank=place),
        )
        for place, hit in enumerate(answer.hits, 1)
    )


def _content(hit: SearchHit, wanted: Content) -> PageContent | None:
    if hit.text is None or not wanted.full_page:
        return None
    text = hit.text[: wanted.max_characters]
    return PageContent(format=wanted.format, text=text, length=len(text))
