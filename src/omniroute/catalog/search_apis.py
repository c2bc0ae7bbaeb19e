"""What a web search API is, beside its address and its key: facts about asking it."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

SearchKind: TypeAlias = Literal["web", "news"]
Filter: TypeAlias = Literal[
    "offset",
    "country",
    "language",
    "time_range",
    "include_domains",
    "exclude_domains",
    "safe_search",
    "full_page",
]

SITE_OPERATORS: tuple[Filter, ...] = ("include_domains", "exclude_domains")
"""What engines take as `site:` in the query itself."""


class SearchApi(Struct, frozen=True, kw_only=True):
    """How a provider is searched.

    `shape` is how it is written and read, `paths` are appended to the base URL, by what it can
    look for. `micro_usd` is the price of one query, `most` how many results it gives at once, and
    `fresh_s` how long its results are kept where that is not the usual time. `filters` are those
    it keeps to, `options` those of its own that a caller may set. `shares` is a provider whose
    accounts are good for it, too. `self_hosted`: it runs wherever the operator says, also on
    private addresses. `named_only`: it is asked by its name or not at all.
    """

    shape: str
    paths: Mapping[SearchKind, str]
    micro_usd: int
    most: int
    method: Literal["GET", "POST"] = "POST"
    fresh_s: int | None = None
    filters: tuple[Filter, ...] = ()
    options: tuple[str, ...] = ()
    shares: str | None = None
    self_hosted: bool = False
    named_only: bool = False
