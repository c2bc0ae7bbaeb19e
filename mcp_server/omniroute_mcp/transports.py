"""The two HTTP paths: gates first, then who calls, then the SDK's transports. 03 §2."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs

import anyio
import msgspec
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import Receive, Scope, Send

from omniroute.engine import Engine
from omniroute_mcp.event_store import EventRing
from omniroute_mcp.server import Calls

Name: TypeAlias = Literal["sse", "streamable-http"]

STREAM_PATH = "/api/mcp/stream"
SSE_PATH = "/api/mcp/sse"
RETRY_MS = 1_000
METHODS = ("GET", "POST", "DELETE")


class Sessions:
    """The Streamable HTTP sessions of one path. `reset` ends them all and starts afresh."""

    def __init__(self, server: Callable[[], Server[Any]], security: TransportSecuritySettings):
        self._server = server
        self._security = security
        self._manager: StreamableHTTPSessionManager | None = None
        self._ready = anyio.Event()
        self._reset = anyio.Event()

    async def serve(self) -> None:
        """Run until cancelled; a manager can run once only, so each reset makes a new one."""
        while True:
            manager = StreamableHTTPSessionManager(
                app=self._server(),
                event_store=EventRing(),
                retry_interval=RETRY_MS,
                security_settings=self._security,
            )
            self._reset = anyio.Event()
            async with manager.run():
                self._manager = manager
                self._ready.set()
                await self._reset.wait()

    def reset(self) -> None:
        """End every session; requests that come meanwhile wait for the fresh manager."""
        self._manager, self._ready = None, anyio.Event()
        self._reset.set()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._ready.wait()
        if self._manager is not None:
            await self._manager.handle_request(scope, receive, send)


class Drain:
    """Ends streams that would never end by themselves, once no call needs them any more."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._asked = anyio.Event()

    def ask(self) -> None:
        """The process is about to stop."""
        self._asked.set()

    @asynccontextmanager
    async def bounded(self) -> AsyncGenerator[None]:
        """A stretch of work that is cut when the process stops and no call is running."""
        async with anyio.create_task_group() as group:

            async def cut() -> None:
                await self._asked.wait()
                while self._calls.running:
                    await self._calls.idle.wait()
                group.cancel_scope.cancel()

            group.start_soon(cut)
            yield
            group.cancel_scope.cancel()


class Gate:
    """Refuses what the settings switch off, before anything else is looked at. 03 §2.2."""

    def __init__(
        self,
        engine: Engine,
        name: Name,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._name: Name = name
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._engine.snapshot.settings
        chosen = settings["mcpTransport"]
        if not settings["mcpEnabled"]:
            text = "MCP is switched off. Switch it on with the setting mcpEnabled."
            await respond(send, 503, text)
        elif not is_open(settings, self._name):
            text = (
                f'The transport is "{chosen}", this path serves "{self._name}". '
                "Change the setting mcpTransport, or use the other path."
            )
            await respond(send, 400, text)
        else:
            await self._app(scope, receive, send)


def is_open(settings: Mapping[str, Any], name: Name) -> bool:
    """Whether the settings let a transport answer."""
    return bool(settings["mcpEnabled"]) and settings["mcpTransport"] in ("all", name)


class StreamPath:
    """`/api/mcp/stream`: Streamable HTTP, both protocol eras."""

    def __init__(self, sessions: Sessions, drain: Drain) -> None:
        self._sessions = sessions
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in METHODS:
            await respond(send, 405, "Use GET, POST or DELETE.", allow=True)
        elif scope["method"] == "GET":
            async with self._drain.bounded():
                await self._sessions.handle(scope, receive, send)
        else:
            await self._sessions.handle(scope, receive, send)


class SsePath:
    """`/api/mcp/sse`: the 2024 event stream, and Streamable HTTP for clients that POST here."""

    def __init__(
        self,
        server: Callable[[], Server[Any]],
        security: TransportSecuritySettings,
        sessions: Sessions,
        drain: Drain,
    ) -> None:
        self._server = server
        self._transport = SseServerTransport(SSE_PATH, security)
        self._streamable = StreamPath(sessions, drain)
        self._drain = drain
        self._open: set[anyio.CancelScope] = set()

    @property
    def open_streams(self) -> int:
        """How many event streams are open."""
        return len(self._open)

    def close(self) -> None:
        """End every event stream."""
        for one in list(self._open):
            one.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        names = {name.lower() for name, _ in scope["headers"]}
        streamable = bool(names & {b"mcp-session-id", b"mcp-protocol-version"})
        if method == "GET" and not streamable:
            await self._events(scope, receive, send)
        elif method == "POST" and "session_id" in parse_qs(scope["query_string"].decode("latin-1")):
            await self._transport.handle_post_message(scope, receive, send)
        elif method == "POST" or (method in METHODS and streamable):
            await self._streamable(scope, receive, send)
        else:
            await respond(send, 405, "Use GET, POST or DELETE.", allow=True)

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["root_path"] = ""  # the announced path is ours already
        server = self._server()
        started = False

        async def noted(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        with anyio.CancelScope() as stream:
            self._open.add(stream)
            try:
                async with (
                    self._drain.bounded(),
                    self._transport.connect_sse(scope, receive, noted) as (incoming, outgoing),
                ):
                    options = server.create_initialization_options()
                    await server.run(incoming, outgoing, options)
            except* ValueError:
                # The SDK has answered 421 or 403 and says so once more in this way.
                if not started:
                    raise
            finally:
                self._open.discard(stream)


async def respond(send: Send, status: int, text: str, *, allow: bool = False) -> None:
    """A small JSON answer."""
    body = msgspec.json.encode({"error": text})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if allow:
        headers.append((b"allow", ", ".join(METHODS).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
