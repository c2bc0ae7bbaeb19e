"""How a long operation tells its caller how far it is."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

Report: TypeAlias = Callable[[float, str], Awaitable[None]]
"""Takes progress so far and a message; says nothing when the caller did not ask."""


async def silent(_progress: float, _message: str) -> None:
    """For operations whose caller cannot be told, or has not asked."""
