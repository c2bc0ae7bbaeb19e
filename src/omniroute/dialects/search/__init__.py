"""Web search APIs: a question written as each of them wants it, their answers read alike."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from omniroute.dialects.search import engines, indexes
from omniroute.dialects.search.asked import SearchHit, SearchQuestion


@dataclass(frozen=True, slots=True)
class SearchCodec:
    """One API. `encode` gives the fields of a query string or of a JSON body, `decode` reads the
    results out of the JSON object that comes back."""

    encode: Callable[[SearchQuestion], dict[str, Any]]
    decode: Callable[[Mapping[str, Any], SearchQuestion], Iterable[SearchHit]]


SEARCH_CODECS: Mapping[str, SearchCodec] = {
    "serper": SearchCodec(engines.to_serper, engines.from_serper),
    "brave": SearchCodec(engines.to_brave, engines.from_brave),
    "google": SearchCodec(engines.to_google, engines.from_google),
    "searchapi": SearchCodec(engines.to_searchapi, engines.from_searchapi),
    "searxng": SearchCodec(engines.to_searxng, engines.from_searxng),
    "perplexity": SearchCodec(indexes.to_perplexity, indexes.from_perplexity),
    "exa": SearchCodec(indexes.to_exa, indexes.from_exa),
    "tavily": SearchCodec(indexes.to_tavily, indexes.from_tavily),
    "linkup": SearchCodec(indexes.to_linkup, indexes.from_linkup),
}
"""By the shape a provider's row names."""
