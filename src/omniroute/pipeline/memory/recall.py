"""Which memories answer a question, and how many of them fit. Source: 05 §8.3."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from omniroute.storage.database import Work
from omniroute.storage.records.memories import Memory, MemoryFilter
from omniroute.storage.words import asked_words, finds, words

Strategy: TypeAlias = Literal["recent", "semantic", "hybrid"]

CANDIDATES = 100
_WHOLE, _IN_KEY, _ELSEWHERE = 20, 6, 3


def tokens(text: str) -> int:
    """About how many tokens a text has: a quarter of its characters, rounded up."""
    return -(-len(text) // 4)


async def recalled(
    work: Work, wanted: MemoryFilter, query: str, strategy: Strategy
) -> list[Memory]:
    """What of the memories that pass a filter answers a question, best first; without a question
    the newest.

    Args:
        strategy: where answers are looked for: among the newest; in the full-text index, and
            among the newest where that has none; or in both.
    """
    if not query.strip():
        return await work.memories.page(wanted, CANDIDATES)
    found: list[Memory] = []
    if strategy != "recent":
        found = await work.memories.matching(wanted, asked_words(query), CANDIDATES)
    if strategy != "semantic" or not found:
        found += await work.memories.page(wanted, CANDIDATES)
    return ranked({one.id: one for one in found}.values(), query)


def ranked(memories: Iterable[Memory], query: str) -> list[Memory]:
    """The memories a question is about, best first, the newest of equals first."""
    scored = [(relevance(one, query), one.updated_at_ms, one) for one in memories]
    scored.sort(key=lambda each: each[:2], reverse=True)
    return [one for score, _, one in scored if score]


def relevance(memory: Memory, query: str) -> int:
    """How much a memory has to do with a question; 0 is nothing.

    Points for the question as a whole, for each of its words in the key, and for each time one
    stands in the content or the metadata.
    """
    asked, whole = asked_words(query), " ".join(words(query))
    if not asked:
        return 0
    metadata = msgspec.json.encode(memory.metadata).decode() if memory.metadata else ""
    key, *rest = (words(text) for text in (memory.key, memory.content, metadata))
    points = sum(_WHOLE for text in (key, *rest) if f" {whole}" in " " + " ".join(text))
    points += sum(_IN_KEY for one in asked if any(finds(one, word) for word in key))
    return points + sum(
        _ELSEWHERE for text in rest for word in text for one in asked if finds(one, word)
    )


def within(memories: Iterable[Memory], max_tokens: int) -> list[Memory]:
    """As many as a number of tokens allows, in order; the first always."""
    kept: list[Memory] = []
    left = max_tokens
    for one in memories:
        left -= tokens(one.content)
        if kept and left < 0:
            break
        kept.append(one)
    return kept
