"""One definition of a percentile for the whole house: nearest rank. Source: 05 §10.7."""

from collections.abc import Sequence


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The value that `percent` % of the values do not exceed; 0 of none.

    Args:
        ordered: the values, smallest first.
        percent: 1-100.
    """
    return ordered[-(-percent * len(ordered) // 100) - 1] if ordered else 0
