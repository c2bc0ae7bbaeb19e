"""Results that are kept for a few minutes, and what makes two questions the same. 01 §15.6."""

import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from omniroute.dialects.search.asked import SearchHit, SearchQuestion

MOST_KEPT = 5_000


class SearchAnswer(Struct, frozen=True, kw_only=True):
    """What a provider found. `at_ms` is when (epoch milliseconds), `failed` are the ones that were
    asked before it and why they gave nothing."""

    provider: str
    hits: tuple[SearchHit, ...]
    at_ms: int
    latency_ms: int
    cost_micro_usd: int
    failed: tuple[str, ...] = ()


def plain(query: str) -> str:
    """A query with its characters and spaces in their usual form."""
    return " ".join(unicodedata.normalize("NFKC", query).split())


def name_of(asked: SearchQuestion, provider: str) -> str:
    """The same for questions that have the same results."""
    # What `since` says follows from the time range, but moves every day.
    same = replace(asked, query=plain(asked.query).lower(), since=None)
    return hashlib.sha256(msgspec.json.encode((provider, same), order="sorted")).hexdigest()


@dataclass(slots=True)
class KeptSearches:
    """At most `MOST_KEPT` answers. `now_ms` is epoch milliseconds."""

    now_ms: Callable[[], int]
    _rows: dict[str, tuple[int, SearchAnswer]] = field(default_factory=dict)

    def get(self, name: str) -> SearchAnswer | None:
        """An answer that is still fresh."""
        until_ms, answer = self._rows.get(name, (0, None))
        return answer if until_ms > self.now_ms() else None

    def put(self, name: str, answer: SearchAnswer, for_ms: int) -> None:
        """Keep an answer. Where there are too many, stale ones go first, then the oldest."""
        now_ms = self.now_ms()
        if len(self._rows) >= MOST_KEPT:
            self._rows = {key: row for key, row in self._rows.items() if row[0] > now_ms}
        while len(self._rows) >= MOST_KEPT:
            del self._rows[next(iter(self._rows))]
        self._rows.pop(name, None)
        self._rows[name] = (now_ms + for_ms, answer)
