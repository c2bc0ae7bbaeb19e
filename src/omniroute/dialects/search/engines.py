"""APIs of search engines: pages of results, domains as operators in the query."""

from collections.abc import Iterator, Mapping
from typing import Any

from omniroute.dialects.search.asked import (
    SearchHit,
    SearchQuestion,
    TimeRange,
    hit,
    present,
    rows,
    told,
)

_GOOGLE_PAST: Mapping[TimeRange, str] = {
    "day": "qdr:d",
    "week": "qdr:w",
    "month": "qdr:m",
    "year": "qdr:y",
}
_GOOGLE_DATES: Mapping[TimeRange, str] = {"day": "d1", "week": "w1", "month": "m1", "year": "y1"}
_BRAVE_PAST: Mapping[TimeRange, str] = {"day": "pd", "week": "pw", "month": "pm", "year": "py"}
_SEARCHAPI_PAST: Mapping[TimeRange, str] = {
    "day": "last_day",
    "week": "last_week",
    "month": "last_month",
    "year": "last_year",
}
_SAFE_LEVELS = {"off": "0", "moderate": "1", "strict": "2"}
GOOGLE_REACH = 100
"""Google gives no result beyond its hundredth."""


def to_serper(asked: SearchQuestion) -> dict[str, Any]:
    """A JSON body. Countries are in small letters there."""
    return present(
        q=asked.with_sites,
        num=asked.most,
        gl=asked.country and asked.country.lower(),
        hl=asked.language,
        tbs=asked.time_range and _GOOGLE_PAST[asked.time_range],
        page=asked.page if asked.page > 1 else None,
    )


def from_serper(body: Mapping[str, Any], asked: SearchQuestion) -> Iterator[SearchHit]:
    """`organic` or `news`."""
    for row in rows(body.get("news" if asked.kind == "news" else "organic")):
        yield from hit(
            row,
            url="link",
            title="title",
            snippet=told(row, "snippet"),
            published_at=told(row, "date"),
            image_url=told(row, "imageUrl"),
            source=told(row, "source"),
        )


def to_brave(asked: SearchQuestion) -> dict[str, Any]:
    """A query string. `offset` counts pages there, from 0 to 9."""
    return present(
        q=asked.with_sites,
        count=str(asked.most),
        country=asked.country,
        search_lang=asked.language,
        freshness=asked.time_range and _BRAVE_PAST[asked.time_range],
        safesearch=asked.safe_search,
        offset=str(min(9, asked.page - 1)) if asked.page > 1 else None,
    )


def from_brave(body: Mapping[str, Any], asked: SearchQuestion) -> Iterator[SearchHit]:
    """`web.results`, or `results` of news."""
    web = body.get("web")
    found = body.get("results") if asked.kind == "news" else isinstance(web, dict) and web
    for row in rows(found.get("results") if isinstance(found, dict) else found):
        about, picture = row.get("meta_url"), row.get("thumbnail")
        yield from hit(
            row,
            url="url",
            title="title",
            snippet=told(row, "description"),
            published_at=told(row, "page_age", "age"),
            favicon_url=told(about, "favicon") if isinstance(about, dict) else None,
            image_url=told(picture, "src") if isinstance(picture, dict) else None,
            language=told(row, "language"),
        )


def to_google(asked: SearchQuestion) -> dict[str, Any]:
    """A query string. `start` counts results from 1."""
    start = min(asked.offset, GOOGLE_REACH - asked.most) + 1
    return present(
        q=f"{asked.with_sites} news" if asked.kind == "news" else asked.with_sites,
        cx=asked.options.get("cx"),
        num=str(asked.most),
        gl=asked.country and asked.country.lower(),
        hl=asked.language,
        dateRestrict=asked.time_range and _GOOGLE_DATES[asked.time_range],
        safe=asked.safe_search and ("off" if asked.safe_search == "off" else "active"),
        start=str(start) if start > 1 else None,
        sort="date" if asked.kind == "news" else None,
    )


def from_google(body: Mapping[str, Any], _asked: SearchQuestion) -> Iterator[SearchHit]:
    """`items`; there are none where nothing was found."""
    for row in rows(body.get("items")):
        yield from hit(row, url="link", title="title", snippet=told(row, "snippet"))


def to_searchapi(asked: SearchQuestion) -> dict[str, Any]:
    """A query string. Results come in pages of ten, whatever is wanted."""
    page = asked.offset // 10 + 1
    return present(
        engine="google_news" if asked.kind == "news" else "google",
        q=asked.with_sites,
        gl=asked.country and asked.country.lower(),
        hl=asked.language,
        time_period=asked.time_range and _SEARCHAPI_PAST[asked.time_range],
        page=str(page) if page > 1 else None,
    )


def from_searchapi(body: Mapping[str, Any], asked: SearchQuestion) -> Iterator[SearchHit]:
    """`organic_results`; of news also `top_stories`."""
    for row in (
        *(rows(body.get("top_stories")) if asked.kind == "news" else ()),
        *rows(body.get("organic_results")),
    ):
        yield from hit(
            row,
            url="link",
            title="title",
            snippet=told(row, "snippet"),
            published_at=told(row, "iso_date", "date"),
            favicon_url=told(row, "favicon"),
            image_url=told(row, "thumbnail"),
            source=told(row, "source"),
        )


def to_searxng(asked: SearchQuestion) -> dict[str, Any]:
    """A query string. Its engines decide how many results are on a page."""
    return present(
        q=asked.with_sites,
        format="json",
        categories="news" if asked.kind == "news" else "general",
        language=asked.language,
        time_range=asked.time_range,
        safesearch=asked.safe_search and _SAFE_LEVELS[asked.safe_search],
        pageno=str(asked.page) if asked.page > 1 else None,
    )


def from_searxng(body: Mapping[str, Any], _asked: SearchQuestion) -> Iterator[SearchHit]:
    """`results`. Scores are not comparable between instances, so they are left out."""
    for row in rows(body.get("results")):
        yield from hit(
            row,
            url="url",
            title="title",
            snippet=told(row, "content"),
            published_at=told(row, "publishedDate"),
            image_url=told(row, "thumbnail", "img_src"),
            source=told(row, "engine"),
        )
