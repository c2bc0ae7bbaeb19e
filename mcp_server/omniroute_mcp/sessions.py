"""The Streamable HTTP sessions of one path, over the SDK's session manager."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import Message, Receive, Scope, Send

from omniroute_mcp.event_store import CURRENT, EventRing, SessionEvents
from omniroute_mcp.listeners import LISTENER, Listener
from omniroute_mcp.wording import in_wire_words

RETRY_MS = 1_000
IDLE_S = 1_800
"""How long a session without a request lives."""
MOST_SESSIONS = 10_000
"""How many sessions may be open at once; whoever wants one more is answered 503."""
STATELESS_ONLINE_MS = 60_000
"""How long after a request without a session the path counts as in use. 03 §6.1."""

_SESSION_HEADER = b"mcp-session-id"


@dataclass(slots=True)
class Session:
    """What the SDK does not tell of a session. Times are epoch milliseconds.

    `requests` are under way, a listening GET among them; `used_at_ms` is when the last one ended.
    """

    opened_at_ms: int
    used_at_ms: int
    requests: int = 0
    events: SessionEvents = field(default_factory=SessionEvents)
    listener: Listener = field(default_factory=Listener)


class Sessions:
    """Opens, serves and ends sessions. `reset` ends them all and starts afresh.

    Args:
        now_ms: the clock, epoch milliseconds.
    """

    def __init__(
        self,
        server: Callable[[], Server[Any]],
        security: TransportSecuritySettings,
        now_ms: Callable[[], int],
    ) -> None:
        self._server = server
        self._security = security
        self._now_ms = now_ms
        self._manager: StreamableHTTPSessionManager | None = None
        self._ready = anyio.Event()
        self._reset = anyio.Event()
        self._open: dict[bytes, Session] = {}
        self._stateless_at_ms: int | None = None

    async def serve(self) -> None:
        """Run until cancelled; a manager can run once only, so each reset makes a new one."""
        while True:
            manager = StreamableHTTPSessionManager(
                app=self._server(),
                event_store=EventRing(),
                retry_interval=RETRY_MS,
                session_idle_timeout=IDLE_S,
                max_sessions=MOST_SESSIONS,
                security_settings=self._security,
            )
            self._reset = anyio.Event()
            async with manager.run():
                self._manager = manager
                self._ready.set()
                await self._reset.wait()
                self._withdraw()

    def reset(self) -> None:
        """End every session; requests that come meanwhile wait for the fresh manager."""
        self._withdraw()
        self._open.clear()
        self._stateless_at_ms = None
        self._reset.set()

    def _withdraw(self) -> None:
        if self._manager is not None:
            # Only now: requests may be waiting for the event of a manager that is yet to come.
            self._manager, self._ready = None, anyio.Event()

    def opened_at_ms(self) -> list[int]:
        """When each open session began, epoch milliseconds, oldest first."""
        self._drop_idle()
        return sorted(session.opened_at_ms for session in self._open.values())

    def in_use(self) -> bool:
        """Whether a session is open, or a request without one came within the last minute."""
        last = self._stateless_at_ms
        recent = last is not None and self._now_ms() - last <= STATELESS_ONLINE_MS
        return recent or bool(self.opened_at_ms())

    def _drop_idle(self) -> None:
        """Forget what the SDK, by the same rule, has ended without telling."""
        oldest = self._now_ms() - IDLE_S * 1000
        for name, session in list(self._open.items()):
            if not session.requests and session.used_at_ms < oldest:
                del self._open[name]

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # Blanks around a value are not part of it (RFC 9110 §5.5); servers leave those behind it.
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        scope = {**scope, "headers": headers}
        while (manager := self._manager) is None:
            await self._ready.wait()
        named = dict(headers).get(_SESSION_HEADER)
        session = self._open.get(named) if named is not None else None
        if session is None:
            now_ms = self._now_ms()
            session = Session(now_ms, now_ms)
        session.requests += 1
        events, listener = CURRENT.set(session.events), LISTENER.set(session.listener)
        try:
            await manager.handle_request(
                scope, receive, self._noting(scope, named, session, in_wire_words(send))
            )
        finally:
            CURRENT.reset(events)
            LISTENER.reset(listener)
            session.requests -= 1
            session.used_at_ms = self._now_ms()

    def _noting(self, scope: Scope, named: bytes | None, session: Session, send: Send) -> Send:
        """See from the answer which session was opened or ended."""

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                opened = dict(message["headers"]).get(_SESSION_HEADER)
                if scope["method"] == "DELETE" and named is not None:
                    self._open.pop(named, None)
                elif named is None and opened is not None:
                    self._drop_idle()
                    self._open[opened] = session
                elif named is None:
                    self._stateless_at_ms = self._now_ms()
            await send(message)

        return noted
