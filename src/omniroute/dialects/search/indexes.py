"""APIs of indexes made for models: domains and dates as fields, whole pages on demand."""

from collections.abc import Iterator, Mapping
from typing import Any

from omniroute.dialects.search.asked import (
    SearchHit,
    SearchQuestion,
    hit,
    present,
    rows,
    score_of,
    told,
)

SNIPPET_CHARS = 500
"""As much of a page is its snippet where there is no other."""


def to_perplexity(asked: SearchQuestion) -> dict[str, Any]:
    """A JSON body. A domain with a minus before it is left out."""
    unwanted = tuple(f"-{name}" for name in asked.exclude_domains)
    return present(
        query=asked.query,
        max_results=asked.most,
        country=asked.country,
        search_language_filter=[asked.language] if asked.language else None,
        search_recency_filter=asked.time_range,
        search_domain_filter=[*asked.include_domains, *unwanted],
    )


def from_perplexity(body: Mapping[str, Any], _asked: SearchQuestion) -> Iterator[SearchHit]:
    """`results`."""
    for row in rows(body.get("results")):
        yield from hit(
            row,
            url="url",
            title="title",
            snippet=told(row, "snippet"),
            published_at=told(row, "date", "last_updated"),
        )


def to_exa(asked: SearchQuestion) -> dict[str, Any]:
    """A JSON body. Pages are only asked for where they are wanted: they are long."""
    news = "news" if asked.kind == "news" else None
    return present(
        query=asked.query,
        numResults=asked.most,
        type=asked.options.get("type") or "auto",
        category=news or asked.options.get("category"),
        userLocation=asked.country,
        startPublishedDate=asked.since and f"{asked.since}T00:00:00.000Z",
        includeDomains=list(asked.include_domains),
        excludeDomains=list(asked.exclude_domains),
        contents={"highlights": True, **({"text": True} if asked.full_page else {})},
    )


def from_exa(body: Mapping[str, Any], _asked: SearchQuestion) -> Iterator[SearchHit]:
    """`results`; the first highlight is the snippet, else the beginning of the page."""
    for row in rows(body.get("results")):
        text, highlights = told(row, "text"), row.get("highlights")
        first = highlights[0] if isinstance(highlights, list) and highlights else None
        yield from hit(
            row,
            url="url",
            title="title",
            snippet=first if isinstance(first, str) else (text or "")[:SNIPPET_CHARS],
            score=score_of(row),
            published_at=told(row, "publishedDate"),
            favicon_url=told(row, "favicon"),
            image_url=told(row, "image"),
            author=told(row, "author"),
            text=text,
        )


def to_tavily(asked: SearchQuestion) -> dict[str, Any]:
    """A JSON body."""
    return present(
        query=asked.query,
        max_results=asked.most,
        topic="news" if asked.kind == "news" else "general",
        time_range=asked.time_range,
        include_domains=list(asked.include_domains),
        exclude_domains=list(asked.exclude_domains),
        include_raw_content="text" if asked.full_page else None,
        country=asked.options.get("country"),
        days=asked.options.get("days"),
    )


def from_tavily(body: Mapping[str, Any], _asked: SearchQuestion) -> Iterator[SearchHit]:
    """`results`."""
    for row in rows(body.get("results")):
        yield from hit(
            row,
            url="url",
            title="title",
            snippet=told(row, "content"),
            score=score_of(row),
            published_at=told(row, "published_date"),
            favicon_url=told(row, "favicon"),
            text=told(row, "raw_content"),
        )


def to_linkup(asked: SearchQuestion) -> dict[str, Any]:
    """A JSON body."""
    return present(
        q=asked.query,
        depth="standard",
        outputType="searchResults",
        maxResults=asked.most,
        fromDate=asked.since,
        includeDomains=list(asked.include_domains),
        excludeDomains=list(asked.exclude_domains),
    )


def from_linkup(body: Mapping[str, Any], _asked: SearchQuestion) -> Iterator[SearchHit]:
    """`results`; pictures among them have no text."""
    for row in rows(body.get("results")):
        if row.get("type", "text") == "text":
            content = told(row, "content") or ""
            yield from hit(
                row,
                url="url",
                title="name",
                snippet=content[:SNIPPET_CHARS],
                favicon_url=told(row, "favicon"),
            )
