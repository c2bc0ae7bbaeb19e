"""A question to the web and one result, as no API in particular writes them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from omniroute.catalog.search_apis import SearchKind

TimeRange: TypeAlias = Literal["day", "week", "month", "year"]
SafeSearch: TypeAlias = Literal["off", "moderate", "strict"]


class SearchQuestion(Struct, frozen=True, kw_only=True):
    """What is looked for. `most` results are wanted, after the first `offset`.

    `country` is two capital letters, `language` a language code. `since` is the first day of
    `time_range`, `YYYY-MM-DD`. `options` are the provider's own.
    """

    query: str
    kind: SearchKind = "web"
    most: int = 5
    offset: int = 0
    country: str | None = None
    language: str | None = None
    time_range: TimeRange | None = None
    since: str | None = None
    include_domains: tuple[str, ...] = ()
    exclude_domains: tuple[str, ...] = ()
    safe_search: SafeSearch | None = None
    full_page: bool = False
    options: Mapping[str, Any] = {}

    @property
    def page(self) -> int:
        """The page the first wanted result is on, from 1, where pages hold `most` results."""
        return self.offset // self.most + 1

    @property
    def with_sites(self) -> str:
        """The query with domains in it, as search engines take them."""
        wanted = " OR ".join(f"site:{name}" for name in self.include_domains)
        unwanted = [f"-site:{name}" for name in self.exclude_domains]
        sites = f"({wanted})" if len(self.include_domains) > 1 else wanted
        return " ".join(part for part in (self.query, sites, *unwanted) if part)


class SearchHit(Struct, frozen=True, kw_only=True):
    """One result. `score` is 0-1, `text` the page itself; None is what was not said."""

    title: str
    url: str
    snippet: str
    score: float | None = None
    published_at: str | None = None
    favicon_url: str | None = None
    image_url: str | None = None
    author: str | None = None
    language: str | None = None
    source: str | None = None
    text: str | None = None


def present(**fields: Any) -> dict[str, Any]:
    """Those fields that have a value."""
    return {name: value for name, value in fields.items() if value not in (None, "", (), [])}


def rows(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of a list, whatever else may be in it or in its place."""
    for row in value if isinstance(value, list) else ():
        if isinstance(row, dict):
            yield row


def told(row: Mapping[str, Any], *names: str) -> str | None:
    """The first text among some members."""
    values = (row.get(name) for name in names)
    return next((value.strip() for value in values if isinstance(value, str) and value), None)


def hit(
    row: Mapping[str, Any], *, url: str, title: str, snippet: str | None, **more: Any
) -> Iterator[SearchHit]:
    """The result in a row; none where it has no address."""
    address = told(row, url)
    if address is not None:
        name = told(row, title) or address
        yield SearchHit(title=name, url=address, snippet=snippet or "", **more)


def score_of(row: Mapping[str, Any]) -> float | None:
    """A score between 0 and 1."""
    score = row.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or math.isnan(score):
        return None
    return min(1.0, max(0.0, float(score)))
