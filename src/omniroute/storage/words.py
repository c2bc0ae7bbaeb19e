"""Texts as words, the same for every database: what is indexed, and what is looked for."""

import re
import unicodedata
from collections.abc import Sequence

LONGEST = 64
"""Letters of a word that count."""

MOST_ASKED = 20
"""Words of a question that count."""

SHORTEST_BEGINNING = 3
"""From so many letters on a word that is asked for also finds words that begin with it."""

# Scripts without spaces: every ideograph or kana is a word.
_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+")


def words(text: str) -> list[str]:
    """The words of a text in order: folded, without accents, never with anything but letters,
    digits and `_`."""
    plain = unicodedata.normalize("NFKD", text)
    bare = "".join(one for one in plain if not unicodedata.combining(one)).casefold()
    return [word[:LONGEST] for word in _WORD.findall(bare)]


def asked_words(query: str) -> tuple[str, ...]:
    """The words a question is about, each once."""
    return tuple(dict.fromkeys(words(query)))[:MOST_ASKED]


def finds(asked: str, word: str) -> bool:
    """Whether a word that is asked for finds one that is there."""
    return word == asked or (len(asked) >= SHORTEST_BEGINNING and word.startswith(asked))


def fts5_query(asked: Sequence[str]) -> str:
    """Any of the words, for SQLite's FTS5. Quoted, so none is an operator."""
    return " OR ".join(f'"{word}"{" *" if _begins(word) else ""}' for word in asked)


def tsquery(asked: Sequence[str]) -> str:
    """Any of the words, for PostgreSQL. Quoted, so none is an operator."""
    return " | ".join(f"'{word}'{':*' if _begins(word) else ''}" for word in asked)


def _begins(word: str) -> bool:
    return len(word) >= SHORTEST_BEGINNING
