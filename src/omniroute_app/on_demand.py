"""Doors that are loaded when somebody first knocks: a gateway nobody asks over MCP or A2A starts
sooner and takes less memory."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, Protocol, TypeVar

import anyio
import anyio.to_thread
import structlog
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger(__name__)


class Door(Protocol):
    """What is loaded: routes, and what runs while it is open."""

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """What it answers."""

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Keep it running."""


DoorT = TypeVar("DoorT", bound=Door)


class OnDemand(BaseRoute, Generic[DoorT]):
    """A route for everything below some paths; the first request has its door built and opened.

    Args:
        name: for the log.
        paths: the door's own, and everything below them.
        load: imports what `build` needs; it runs beside the event loop.
        build: makes the door.
        otherwise: answers what the door has no route for.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[str],
        load: Callable[[], object],
        build: Callable[[], DoorT],
        otherwise: ASGIApp,
    ) -> None:
        self._name = name
        self._paths = frozenset(paths)
        self._below = tuple(f"{path}/" for path in paths)
        self._load = load
        self._build = build
        self._otherwise = otherwise
        self._wanted = anyio.Event()
        self._open = anyio.Event()
        self._ended = anyio.Event()
        self._answer: ASGIApp = self._opened
        self._is_serving = False
        self.door: DoorT | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is the door's."""
        path = scope.get("path", "")
        mine = scope["type"] == "http" and (path in self._paths or path.startswith(self._below))
        return (Match.FULL if mine else Match.NONE), {}

    def want(self) -> None:
        """Have the door opened, if it is not."""
        self._wanted.set()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as soon as the door is open."""
        await self._answer(scope, receive, send)

    async def _opened(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_serving:  # it would wait for ever
            raise RuntimeError("The application answers while its lifespan is entered")
        self.want()
        await self._open.wait()
        await self._answer(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Open the door when it is wanted; close it at the end."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._serve)
            self._is_serving = True
            try:
                yield
            finally:
                self._is_serving = False
                self._ended.set()
                self._wanted.set()

    async def _serve(self) -> None:
        """All in one task: what is opened in it has to be closed in it."""
        await self._wanted.wait()
        if self._ended.is_set():
            return
        await anyio.to_thread.run_sync(self._load)
        self.door = self._build()
        async with self.door.lifespan():
            self._answer = Router(self.door.routes, default=self._otherwise)
            self._open.set()
            log.debug("door_opened", door=self._name)
            await self._ended.wait()
