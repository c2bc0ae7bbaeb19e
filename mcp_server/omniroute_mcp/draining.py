"""A graceful stop: calls under way finish and are answered, then endless streams end."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import anyio


@dataclass(slots=True)
class Calls:
    """Work under way that a graceful stop waits for: entered when it begins, left when done."""

    running: int = 0
    idle: anyio.Event = field(default_factory=anyio.Event)

    def __enter__(self) -> None:
        self.running += 1

    def __exit__(self, *_: object) -> None:
        self.running -= 1
        if not self.running:
            self.idle.set()
            self.idle = anyio.Event()


class Drain:
    """Ends streams that would never end by themselves, once no call needs them any more."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._asked = anyio.Event()

    def ask(self) -> None:
        """The process is about to stop."""
        self._asked.set()

    @asynccontextmanager
    async def bounded(self) -> AsyncGenerator[anyio.CancelScope]:
        """A stretch of work that is cut when the process stops and no call is running."""
        async with anyio.create_task_group() as group:

            async def cut() -> None:
                await self._asked.wait()
                while self.calls.running:
                    await self.calls.idle.wait()
                group.cancel_scope.cancel()

            group.start_soon(cut)
            yield group.cancel_scope
            group.cancel_scope.cancel()


class Outgoing(Protocol):
    """The sending end of a connection, as the SDK's transports hand it out."""

    async def send(self, item: Any, /) -> None: ...

    async def aclose(self) -> None: ...


class Answers:
    """Passes messages on; each counts as work until the transport has taken it.

    A handler's own work ends before its answer is written: without this a stop could fall in
    between, and the caller would wait for an answer that never comes.
    """

    def __init__(self, outgoing: Outgoing, calls: Calls) -> None:
        self._outgoing = outgoing
        self._calls = calls

    async def send(self, item: Any, /) -> None:
        """Pass one message on."""
        with self._calls:
            await self._outgoing.send(item)

    async def aclose(self) -> None:
        """Nothing more will be sent."""
        await self._outgoing.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
