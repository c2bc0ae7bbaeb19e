"""One JSON-RPC call as the methods of the three dialects see it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from a2a.server.context import ServerCallContext

from omniroute_a2a.errors import Fault
from omniroute_a2a.handler import Handler

RequestId: TypeAlias = str | int | None
Frames: TypeAlias = AsyncGenerator[dict[str, Any], None]
"""Whole JSON-RPC messages of a stream, ready to be sent."""

ItemT = TypeVar("ItemT")


@dataclass(slots=True)
class Call:
    """What a method works with.

    `interrupt(task_id, reason)` stops a skill that runs here. `fault` is set once the call has
    failed: JSON-RPC errors carry no HTTP status, so it travels beside them.
    """

    id: RequestId
    context: ServerCallContext
    handler: Handler
    interrupt: Callable[[str, str], None]
    fault: Fault | None = None

    def response(self, result: Any) -> dict[str, Any]:
        """A JSON-RPC response to this call."""
        return {"jsonrpc": "2.0", "id": self.id, "result": result}


Method: TypeAlias = Callable[[Call, Mapping[str, Any]], Awaitable[Any]]
"""Takes the call and its params; returns the result, or `Frames` when it streams."""


async def primed(items: AsyncGenerator[ItemT, None]) -> AsyncGenerator[ItemT, None]:
    """The same items, the first already fetched: what fails at once fails here, as an error."""
    try:
        first = await anext(items)
    except StopAsyncIteration:
        return items
    return _resumed(first, items)


async def _resumed(first: ItemT, rest: AsyncGenerator[ItemT, None]) -> AsyncGenerator[ItemT, None]:
    try:
        yield first
        async for item in rest:
            yield item
    finally:
        await rest.aclose()
