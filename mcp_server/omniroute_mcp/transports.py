"""The two HTTP paths: gates first, then who calls, then the SDK's transports. 03 §2."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs

import anyio
import msgspec
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from starlette.types import Message, Receive, Scope, Send

from omniroute.engine import Engine
from omniroute_mcp.draining import Answers, Drain
from omniroute_mcp.listeners import LISTENER, Listener
from omniroute_mcp.sessions import Sessions

Name: TypeAlias = Literal["sse", "streamable-http"]
NAMES: tuple[Name, ...] = ("sse", "streamable-http")

STREAM_PATH = "/api/mcp/stream"
SSE_PATH = "/api/mcp/sse"
METHODS = ("GET", "POST", "DELETE")
_NAMED = re.compile(rb"session_id=([0-9a-f]{32})")
"""How the SDK names an event stream, in what it announces and in what is sent to it."""


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
            await self._listen(scope, receive, send)
        else:
            await self._sessions.handle(scope, receive, send)

    async def _listen(self, scope: Scope, receive: Receive, send: Send) -> None:
        unfinished = False

        async def noted(message: Message) -> None:
            nonlocal unfinished
            unfinished = message["type"] == "http.response.start" or message.get("more_body", False)
            await send(message)

        async with self._drain.bounded():
            await self._sessions.handle(scope, receive, noted)
        if unfinished:  # cut off by a stop: end the body, so that the client sees an end
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class SsePath:
    """`/api/mcp/sse`: the 2024 event stream, and Streamable HTTP for clients that POST here."""

    def __init__(
        self,
        server: Callable[[], Server[Any]],
        streamable: StreamPath,
        drain: Drain,
        now_ms: Callable[[], int],
    ) -> None:
        self._server = server
        self._transport = SseServerTransport(SSE_PATH)  # Host and Origin have been checked by now
        self._streamable = streamable
        self._drain = drain
        self._now_ms = now_ms
        self._open: dict[anyio.CancelScope, int] = {}
        self._listeners: dict[bytes, Listener] = {}

    def opened_at_ms(self) -> list[int]:
        """When each open event stream began, epoch milliseconds, oldest first."""
        return sorted(self._open.values())

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
        elif method == "POST" and _names_stream(scope):
            named = _NAMED.search(scope["query_string"])
            LISTENER.set(self._listeners.get(named[1] if named else b"", Listener()))
            with self._drain.calls:  # accepted is not yet begun: a stop must not fall in between
                await self._transport.handle_post_message(scope, receive, send)
        elif method == "POST" or (method in METHODS and streamable):
            await self._streamable(scope, receive, send)
        else:
            await respond(send, 405, "Use GET, POST or DELETE.", allow=True)

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["root_path"] = ""  # the announced path is ours already
        server, names = self._server(), list[bytes]()

        async def announced(message: Message) -> None:
            if not names and (found := _NAMED.search(message.get("body", b""))):
                names.append(found[1])
                self._listeners[found[1]] = Listener()
            await send(message)

        async with (
            self._transport.connect_sse(scope, receive, announced) as (incoming, outgoing),
            # Inside: what has been written is still sent when the server is cut off.
            self._drain.bounded() as stream,
        ):
            self._open[stream] = self._now_ms()
            try:
                options = server.create_initialization_options()
                await server.run(incoming, Answers(outgoing, self._drain.calls), options)
            finally:
                del self._open[stream]
                for name in names:
                    self._listeners.pop(name, None)


def _names_stream(scope: Scope) -> bool:
    return "session_id" in parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


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
