"""The contract of tool skills: what runs behind a skill's handler name, and what it is given."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from omniroute.caller import SYSTEM, Caller

VERSION = "1.0.0"


class ToolFailed(Exception):
    """The tool could not do it. One line that says what to do, fit for the caller."""


async def _silent(_progress: float, _message: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One execution. `owner` is the API key whose files and limits count, `caller` whoever asked
    for it, in its step of a run; `arguments` fit the schema of the skill that was called, not
    necessarily the handler's own: it checks them."""

    owner: str
    arguments: Mapping[str, Any]
    report: Callable[[float, str], Awaitable[None]] = _silent
    caller: Caller = SYSTEM


@dataclass(frozen=True, slots=True)
class ToolHandler:
    """One built-in tool. Schemas are JSON Schema objects.

    `run` returns JSON values and raises `ToolFailed`.
    """

    name: str
    description: str
    tags: tuple[str, ...]
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    run: Callable[[ToolCall], Awaitable[Any]]


def _nobody(_names: Iterable[str]) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class ToolRegistry:
    """The tools of this installation, by the name skills call their handler.

    An execution may take `time_limit_s`. `holder` is the name of this process on executions that
    run, `dead` says which of such names belong to processes that are gone.
    """

    handlers: Mapping[str, ToolHandler] = field(default_factory=dict)
    time_limit_s: float = 30.0
    holder: str = ""
    dead: Callable[[Iterable[str]], list[str]] = _nobody
