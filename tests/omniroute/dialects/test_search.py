"""Web search APIs: what each is asked, and what is read out of its answer."""

from typing import Any

import pytest

from omniroute.catalog.providers import PREFIXES, PROVIDERS
from omniroute.dialects.search import SEARCH_CODECS
from omniroute.dialects.search.asked import SearchHit, SearchQuestion

PLAIN = SearchQuestion(query="rust async")
FULL = SearchQuestion(
    query="rust async",
    kind="news",
    most=10,
    offset=10,
    country="DE",
    language="de",
    time_range="week",
    since="2026-11-18",
    include_domains=("a.io", "b.io"),
    exclude_domains=("c.io",),
    safe_search="strict",
    full_page=True,
)
SITES = "rust async (site:a.io OR site:b.io) -site:c.io"

ASKED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "serper": (
        {"q": "rust async", "num": 5},
        {"q": SITES, "num": 10, "gl": "de", "hl": "de", "tbs": "qdr:w", "page": 2},
    ),
    "brave": (
        {"q": "rust async", "count": "5"},
        {
            "q": SITES,
            "count": "10",
            "country": "DE",
            "search_lang": "de",
            "freshness": "pw",
            "safesearch": "strict",
            "offset": "1",
        },
    ),
    "google": (
        {"q": "rust async", "num": "5"},
        {
            "q": f"{SITES} news",
            "num": "10",
            "gl": "de",
            "hl": "de",
            "dateRestrict": "w1",
            "safe": "active",
            "start": "11",
            "sort": "date",
        },
    ),
    "searchapi": (
        {"engine": "google", "q": "rust async"},
        {
            "engine": "google_news",
            "q": SITES,
            "gl": "de",
            "hl": "de",
            "time_period": "last_week",
            "page": "2",
        },
    ),
    "searxng": (
        {"q": "rust async", "format": "json", "categories": "general"},
        {
            "q": SITES,
            "format": "json",
            "categories": "news",
            "language": "de",
            "time_range": "week",
            "safesearch": "2",
            "pageno": "2",
        },
    ),
    "perplexity": (
        {"query": "rust async", "max_results": 5},
        {
            "query": "rust async",
            "max_results": 10,
            "country": "DE",
            "search_language_filter": ["de"],
            "search_recency_filter": "week",
            "search_domain_filter": ["a.io", "b.io", "-c.io"],
        },
    ),
    "exa": (
        {
            "query": "rust async",
            "numResults": 5,
            "type": "auto",
            "contents": {"highlights": True},
        },
        {
            "query": "rust async",
            "numResults": 10,
            "type": "auto",
            "category": "news",
            "userLocation": "DE",
            "startPublishedDate": "2026-11-18T00:00:00.000Z",
            "includeDomains": ["a.io", "b.io"],
            "excludeDomains": ["c.io"],
            "contents": {"highlights": True, "text": True},
        },
    ),
    "tavily": (
        {"query": "rust async", "max_results": 5, "topic": "general"},
        {
            "query": "rust async",
            "max_results": 10,
            "topic": "news",
            "time_range": "week",
            "include_domains": ["a.io", "b.io"],
            "exclude_domains": ["c.io"],
            "include_raw_content": "text",
        },
    ),
    "linkup": (
        {
            "q": "rust async",
            "depth": "standard",
            "outputType": "searchResults",
            "maxResults": 5,
        },
        {
            "q": "rust async",
            "depth": "standard",
            "outputType": "searchResults",
            "maxResults": 10,
            "fromDate": "2026-11-18",
            "includeDomains": ["a.io", "b.io"],
            "excludeDomains": ["c.io"],
        },
    ),
}

PAGE = {"title": "Async", "url": "https://a.io/x"}
LINK = {"title": "Async", "link": "https://a.io/x"}
HIT = SearchHit(title="Async", url="https://a.io/x", snippet="It waits.")


def seen(**more: Any) -> SearchHit:
    """The usual result, with what one API says besides."""
    return SearchHit(title=HIT.title, url=HIT.url, snippet=HIT.snippet, **more)


READ: dict[str, tuple[str, SearchQuestion, dict[str, Any], SearchHit]] = {
    "serper, web": (
        "serper",
        PLAIN,
        {"organic": [{**LINK, "snippet": "It waits.", "date": "May 1, 2026", "position": 1}]},
        seen(published_at="May 1, 2026"),
    ),
    "serper, news": (
        "serper",
        FULL,
        {"news": [{**LINK, "snippet": "It waits.", "source": "A", "imageUrl": "https://i"}]},
        seen(source="A", image_url="https://i"),
    ),
    "brave, web": (
        "brave",
        PLAIN,
        {
            "web": {
                "results": [
                    {
                        **PAGE,
                        "description": "It waits.",
                        "page_age": "2026-05-01T00:00:00",
                        "meta_url": {"favicon": "https://f"},
                        "language": "en",
                    }
                ]
            }
        },
        seen(published_at="2026-05-01T00:00:00", favicon_url="https://f", language="en"),
    ),
    "brave, news": (
        "brave",
        FULL,
        {"results": [{**PAGE, "description": "It waits.", "age": "2 days ago"}]},
        seen(published_at="2 days ago"),
    ),
    "google": ("google", PLAIN, {"items": [{**LINK, "snippet": "It waits."}]}, HIT),
    "searchapi, web": (
        "searchapi",
        PLAIN,
        {"organic_results": [{**LINK, "snippet": "It waits.", "favicon": "https://f"}]},
        seen(favicon_url="https://f"),
    ),
    "searchapi, news": (
        "searchapi",
        FULL,
        {"top_stories": [{**LINK, "snippet": "It waits.", "iso_date": "2026-05-01"}]},
        seen(published_at="2026-05-01"),
    ),
    "searxng": (
        "searxng",
        PLAIN,
        {"results": [{**PAGE, "content": "It waits.", "engine": "wikipedia", "score": 4}]},
        seen(source="wikipedia"),
    ),
    "perplexity": (
        "perplexity",
        PLAIN,
        {"id": "1", "results": [{**PAGE, "snippet": "It waits.", "date": "2026-05-01"}]},
        seen(published_at="2026-05-01"),
    ),
    "exa, a highlight": (
        "exa",
        PLAIN,
        {"results": [{**PAGE, "highlights": ["It waits."], "score": 1.7, "author": "Ann"}]},
        seen(score=1.0, author="Ann"),
    ),
    "exa, a page": (
        "exa",
        FULL,
        {"results": [{**PAGE, "text": "It waits.", "publishedDate": "2026-05-01"}]},
        seen(text="It waits.", published_at="2026-05-01"),
    ),
    "tavily": (
        "tavily",
        FULL,
        {"results": [{**PAGE, "content": "It waits.", "score": 0.5, "raw_content": "All."}]},
        seen(score=0.5, text="All."),
    ),
    "linkup": (
        "linkup",
        PLAIN,
        {
            "results": [
                {"type": "image", "name": "A picture", "url": "https://a.io/p.png"},
                {"type": "text", "name": "Async", "url": "https://a.io/x", "content": "It waits."},
            ]
        },
        HIT,
    ),
}

SEARCHED = {row.id: row for row in PROVIDERS.values() if row.search is not None}


@pytest.mark.parametrize("shape", SEARCH_CODECS)
def test_a_question_as_an_api_wants_it(shape: str) -> None:
    encode = SEARCH_CODECS[shape].encode
    assert (encode(PLAIN), encode(FULL)) == ASKED[shape]


@pytest.mark.parametrize(("shape", "asked", "body", "found"), READ.values(), ids=READ)
def test_results_read_alike(
    shape: str, asked: SearchQuestion, body: dict[str, Any], found: SearchHit
) -> None:
    assert list(SEARCH_CODECS[shape].decode(body, asked)) == [found]


@pytest.mark.parametrize("shape", SEARCH_CODECS)
@pytest.mark.parametrize("asked", [PLAIN, FULL], ids=["web", "news"])
def test_an_answer_that_makes_no_sense_has_no_results(shape: str, asked: SearchQuestion) -> None:
    names = ("organic", "news", "items", "organic_results", "top_stories", "results")
    odd = [None, "x", {}, {"title": "no address"}, {"url": 1, "link": ["https://a.io"]}]
    for body in (
        {},
        {"web": "x", **dict.fromkeys(names, "x")},
        {"web": {"results": odd}, **dict.fromkeys(names, odd)},
    ):
        assert list(SEARCH_CODECS[shape].decode(body, asked)) == []


def test_a_result_without_a_title_is_called_by_its_address() -> None:
    body = {"results": [{"url": "https://a.io/x", "content": "It waits.", "score": "high"}]}
    (found,) = SEARCH_CODECS["tavily"].decode(body, PLAIN)
    assert (found.title, found.score) == ("https://a.io/x", None)


def test_options_of_a_provider_are_passed_on() -> None:
    engine = SearchQuestion(query="x", options={"cx": "123:abc"})
    assert SEARCH_CODECS["google"].encode(engine)["cx"] == "123:abc"
    typed = SearchQuestion(query="x", options={"type": "neural", "category": "pdf"})
    written = SEARCH_CODECS["exa"].encode(typed)
    assert (written["type"], written["category"]) == ("neural", "pdf")


@pytest.mark.parametrize("name", SEARCHED)
def test_a_row_of_a_search_provider_is_sound(name: str) -> None:
    row = SEARCHED[name].search
    assert row is not None
    assert row.shape in SEARCH_CODECS
    assert all(path.startswith("/") for path in row.paths.values())
    assert "web" in row.paths
    assert row.shares is None or PROVIDERS[row.shares].search is None
    assert not {"baseUrl", "apiKey"} & set(row.options)  # a caller must not say where keys go
    assert not set(SEARCHED[name].names) & PREFIXES.keys()
