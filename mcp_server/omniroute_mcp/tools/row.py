"""What a tool is: one row says how it is listed, checked, called and audited."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.progress import Report

Run: TypeAlias = Callable[[Engine, Caller, Any, Report], Awaitable[Struct]]

ESSENTIAL_S = 10.0
ADVANCED_S = 30.0
SEARCH_S = 60.0
MODEL_S = 600.0
"""A model may take as long as the upstream time limits let it; they end the call first."""


class NoInput(Struct, frozen=True):
    """Nothing."""


class ToolRow(Struct, frozen=True, kw_only=True):
    """One tool. `writes`, `idempotent` and `open_world` become its annotations, `subject` its icon.

    `number` is its place in the list: 1-37 are those of 03 §8, ours come after them. `hashed`
    reduces the arguments before they are hashed for the audit, `summary` the result. `confirm` puts
    the question to be asked before a call that destroys something, None where nothing is lost.
    `may_take_long` lets a client that knows tasks go on without waiting for the answer.
    """

    number: int
    name: str
    title: str
    description: str
    params: type[Struct]
    result: type[Struct]
    scopes: frozenset[str]
    phase: Literal[1, 2]
    audit: Literal["none", "basic", "full"]
    call: Run
    source_endpoints: tuple[str, ...]
    writes: bool = False
    destructive: bool = False
    idempotent: bool = True
    open_world: bool = False
    time_limit_s: float = ESSENTIAL_S
    may_take_long: bool = False
    hashed: Callable[[dict[str, Any]], Any] = lambda arguments: arguments
    summary: Callable[[Any], Any] = lambda result: result
    subject: str = "server"
    confirm: Callable[[Any], str | None] = lambda _query: None


def plain(operation: Callable[[Engine, Caller, Any], Awaitable[Struct]]) -> Run:
    """An operation that has no progress to report."""

    async def run(engine: Engine, caller: Caller, query: Any, _report: Report) -> Struct:
        return await operation(engine, caller, query)

    return run


def bare(operation: Callable[[Engine, Caller], Awaitable[Struct]]) -> Run:
    """An operation that takes no input."""

    async def run(engine: Engine, caller: Caller, _query: NoInput, _report: Report) -> Struct:
        return await operation(engine, caller)

    return run
