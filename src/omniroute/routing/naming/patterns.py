"""Patterns of model names: `*` is any run of characters, `?` is one, case does not matter."""

import re
from collections.abc import Mapping
from functools import lru_cache


def matches(pattern: str, name: str) -> bool:
    """Whether the whole name fits the pattern."""
    return _compiled(pattern).fullmatch(name) is not None


def specificity(pattern: str) -> int:
    """How much a pattern says: of several that fit, the highest wins. Source: 01 §3.3."""
    stars, marks = pattern.count("*"), pattern.count("?")
    literal = len(pattern) - stars - marks - pattern.count("/")
    return 10 * literal - 50 * stars - 5 * marks + len(pattern)


def alias_target(name: str, aliases: Mapping[str, str]) -> str | None:
    """What an alias stands for: the one of that very name, else the most specific pattern."""
    if name in aliases:
        return aliases[name]
    fitting = [alias for alias in aliases if is_pattern(alias) and matches(alias, name)]
    return aliases[max(fitting, key=lambda alias: (specificity(alias), alias))] if fitting else None


def is_pattern(alias: str) -> bool:
    """Whether an alias stands for more than one name."""
    return "*" in alias or "?" in alias


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile(
        "".join(wild.get(c, re.escape(c)) for c in pattern), re.IGNORECASE | re.DOTALL
    )
