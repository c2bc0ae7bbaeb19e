"""The answer to what was done and has nothing else to tell."""

from msgspec import Struct


class Done(Struct, frozen=True):
    """It was done."""

    success: bool = True
