"""Finding the known name nearest to an unknown one, for error texts that help."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None when nothing resembles it."""
    candidates = list(known)
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence to append to an error, or nothing."""
    found = nearest(name, known)
    return f" Did you mean '{found}'?" if found else ""
