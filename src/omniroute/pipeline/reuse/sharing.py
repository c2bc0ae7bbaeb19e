"""Questions under way that others ask, too: one of them goes out, all get the answer. 01 §4.9."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

AnswerT = TypeVar("AnswerT")

LONGEST_S = 60.0
"""After this long a question under way is no longer joined: whoever asks then asks anew."""


@dataclass(slots=True, eq=False)
class _UnderWay(Generic[AnswerT]):
    task: asyncio.Task[AnswerT]
    since_s: float
    waiting: int = 0


@dataclass(slots=True)
class Sharing(Generic[AnswerT]):
    """Work by name. It has a task of its own, so it outlives whoever began it while others wait,
    and ends when the last of them has left."""

    _under_way: dict[str, _UnderWay[AnswerT]] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        """How many questions are under way."""
        return len(self._under_way)

    async def run(self, name: str, work: Callable[[], Awaitable[AnswerT]]) -> tuple[AnswerT, bool]:
        """The answer, and whether it was asked for by somebody else."""
        loop = asyncio.get_running_loop()
        found = self._under_way.get(name)
        joined = found is not None and loop.time() - found.since_s < LONGEST_S
        if found is None or not joined:
            found = _UnderWay(loop.create_task(_awaited(work)), loop.time())
            self._under_way[name] = found
            found.task.add_done_callback(lambda _: self._over(name, found))
        found.waiting += 1
        try:
            return await asyncio.shield(found.task), joined
        finally:
            found.waiting -= 1
            if not found.waiting and not found.task.done():
                found.task.cancel()
                self._over(name, found)

    def _over(self, name: str, row: _UnderWay[AnswerT]) -> None:
        if self._under_way.get(name) is row:
            del self._under_way[name]
        if row.task.done() and not row.task.cancelled():
            row.task.exception()  # whoever waits has it; nobody else has to hear of it


async def _awaited(work: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    return await work()
