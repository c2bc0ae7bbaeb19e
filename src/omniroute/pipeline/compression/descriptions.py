"""Descriptions in lists of tools, prompts and resources, shortened once and counted. 03 §7."""

import math
from functools import lru_cache

from msgspec import Struct

from omniroute.pipeline.compression.condensing import condensed

CHARS_PER_TOKEN = 4


class DescriptionCounts(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was listed in fewer characters since the process began. Tokens are an estimate."""

    descriptions_compressed: int = 0
    chars_before: int = 0
    chars_after: int = 0

    @property
    def chars_saved(self) -> int:
        """How much shorter all of them were."""
        return self.chars_before - self.chars_after

    @property
    def estimated_tokens_saved(self) -> int:
        """The same in tokens, at four characters each."""
        return math.ceil(self.chars_saved / CHARS_PER_TOKEN)

    def since(self, earlier: "DescriptionCounts") -> "DescriptionCounts":
        """What came after an earlier look."""
        return DescriptionCounts(
            descriptions_compressed=self.descriptions_compressed - earlier.descriptions_compressed,
            chars_before=self.chars_before - earlier.chars_before,
            chars_after=self.chars_after - earlier.chars_after,
        )


class Descriptions:
    """Shortens what is listed, and counts what that saved.

    Args:
        allowed: whether the environment lets them be shortened, whatever the setting says.
    """

    def __init__(self, *, allowed: bool = True) -> None:
        self.allowed = allowed
        self.counts = DescriptionCounts()
        self.stored = DescriptionCounts()
        """Up to where they are in the database."""

    def shortened(self, text: str) -> str:
        """A description as it is listed, never longer than it is."""
        short = _short(text)
        if len(short) < len(text):
            known = self.counts
            self.counts = DescriptionCounts(
                descriptions_compressed=known.descriptions_compressed + 1,
                chars_before=known.chars_before + len(text),
                chars_after=known.chars_after + len(short),
            )
        return short


@lru_cache(maxsize=4_096)
def _short(text: str) -> str:
    return condensed(text, "full")
