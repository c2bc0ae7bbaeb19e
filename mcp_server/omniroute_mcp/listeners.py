"""The clients of the handshake era that want to be told of changes, and how they are told.

Each session has one `Listener`, found through a context variable that the HTTP transports set for
every message. It is forgotten with the session, as nothing else holds it.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import anyio
import mcp_types as types
import structlog
from mcp.server.session import ServerSession
from mcp.shared.subscriptions import ResourceUpdated, ServerEvent, ToolsListChanged

TOLD_WITHIN_S = 10.0
"""How long one notification may take to be written."""

LEVELS: tuple[types.LoggingLevel, ...] = (
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
)

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True, weakref_slot=True)
class Listener:
    """One session: how it is reached once it is initialised, what it subscribed to, from which
    level on it takes log messages, and what it is yet to be told."""

    session: ServerSession | None = None
    uris: set[str] = field(default_factory=set)
    level: types.LoggingLevel = "warning"
    pending: dict[ServerEvent, None] = field(default_factory=dict)
    is_told: bool = False

    def wants(self, event: ServerEvent) -> bool:
        """Whether an event is for this session."""
        if isinstance(event, ResourceUpdated):
            return event.uri in self.uris
        return isinstance(event, ToolsListChanged) and self.session is not None


LISTENER: ContextVar[Listener] = ContextVar("omniroute_mcp_listener")
"""The session of the running request."""


class Listeners:
    """Hands events on to the sessions that want them, at the pace each of them reads."""

    def __init__(self) -> None:
        self._known: WeakSet[Listener] = WeakSet()
        self._spawn: Callable[[Listener], None] | None = None
        self.joined: Callable[[], None] = _nothing
        """Called when another session listens."""

    def add(self, listener: Listener) -> None:
        """Know a session from now on."""
        self._known.add(listener)
        self.joined()

    def __len__(self) -> int:
        return len(self._known)

    @asynccontextmanager
    async def telling(self) -> AsyncGenerator[None]:
        """Tell while the context is open."""
        async with anyio.create_task_group() as group:

            def spawn(listener: Listener) -> None:
                group.start_soon(self._tell, listener)

            self._spawn = spawn
            yield
            self._spawn = None
            group.cancel_scope.cancel()

    def deliver(self, event: ServerEvent) -> None:
        """Have every session that wants an event told of it."""
        for listener in [one for one in self._known if one.wants(event)]:
            listener.pending[event] = None
            if not listener.is_told and self._spawn is not None:
                listener.is_told = True
                self._spawn(listener)

    async def _tell(self, listener: Listener) -> None:
        try:
            while listener.pending and listener.session is not None:
                event = next(iter(listener.pending))
                del listener.pending[event]
                with anyio.fail_after(TOLD_WITHIN_S):
                    await _send(listener.session, event)
        except Exception as error:  # noqa: BLE001 - the session is gone, or nobody reads it
            log.info("mcp_listener_lost", error=type(error).__name__)
            listener.uris.clear()
            listener.session = None
            self._known.discard(listener)
        finally:
            listener.is_told = False


def _nothing() -> None:
    pass


async def log_to(
    listener: Listener,
    session: ServerSession,
    level: types.LoggingLevel,
    data: Any,
    request_id: types.RequestId | None,
) -> None:
    """Tell a client of the handshake era what came of its request, if it takes such messages."""
    if LEVELS.index(level) < LEVELS.index(listener.level):
        return
    told = types.LoggingMessageNotificationParams(level=level, logger="omniroute", data=data)
    await session.send_notification(types.LoggingMessageNotification(params=told), request_id)


async def _send(session: ServerSession, event: ServerEvent) -> None:
    if isinstance(event, ResourceUpdated):
        await session.send_resource_updated(event.uri)
    else:
        await session.send_notification(types.ToolListChangedNotification())
