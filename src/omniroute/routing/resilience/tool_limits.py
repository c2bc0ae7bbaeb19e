"""How many tools a provider takes, as it says itself when it gets too many. Source: 05 §1.8."""

import re

LEARNED_FOR_MS = 24 * 3_600_000
MOST = 10_000

_ABOUT = re.compile(r"\b(tools?|functions?|function.declarations?)\b", re.IGNORECASE)
_LIMIT = re.compile(
    r"(?:maximum(?: allowed)?(?: length| number)?|max(?:imum)?|at most|up to|limit(?:ed)?|"
    r"no more than|fewer than|exceeds?)\D{0,30}?(\d{1,5})\b",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(
    r"too (?:many|long|large)|exceed|maximum|at most|limit|no more than", re.IGNORECASE
)


def tool_limit_in(text: str) -> int | None:
    """The number of tools an error names as the most; None when it is about something else."""
    if not (_ABOUT.search(text) and _TOO_MANY.search(text)):
        return None
    found = _LIMIT.search(text)
    most = int(found.group(1)) if found is not None else 0
    return most if 1 <= most <= MOST else None
