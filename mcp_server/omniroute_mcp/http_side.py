"""The two HTTP paths over some server: gates, callers, sessions, and what ends them."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import BaseRoute, Route

from omniroute.engine import Engine
from omniroute.routing.snapshot import Snapshot
from omniroute_mcp.authentication import Authenticated, Guards
from omniroute_mcp.draining import Calls, Drain
from omniroute_mcp.sessions import Sessions
from omniroute_mcp.transports import (
    SSE_PATH,
    STREAM_PATH,
    Gate,
    Name,
    SsePath,
    StreamPath,
    is_open,
)

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class HttpSide:
    """Both paths, to be mounted and run."""

    routes: list[BaseRoute]
    stream_sessions: Sessions
    sse_sessions: Sessions
    sse: SsePath
    stopping: Drain

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Keep the session managers running."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.stream_sessions.serve)
            group.start_soon(self.sse_sessions.serve)
            yield
            group.cancel_scope.cancel()


def http_side(
    engine: Engine, server: Callable[[], Server[Any]], calls: Calls, guards: Guards
) -> HttpSide:
    """Put both paths over what `server` makes; `calls` are what a graceful stop waits for."""
    stopping = Drain(calls)
    stream_sessions = Sessions(server, guards.security, engine.now_ms)
    sse_sessions = Sessions(server, guards.security, engine.now_ms)
    stream = StreamPath(stream_sessions, stopping)
    sse = SsePath(server, StreamPath(sse_sessions, stopping), stopping, engine.now_ms)

    def close_what_is_off(snapshot: Snapshot) -> None:
        if not is_open(snapshot.settings, "sse"):
            sse.close()
            sse_sessions.reset()
        if not is_open(snapshot.settings, "streamable-http"):
            stream_sessions.reset()

    engine.configuration.watch(close_what_is_off)

    def guarded(name: Name, app: Any) -> Gate:
        return Gate(engine, name, Authenticated(app, engine, guards))

    routes: list[BaseRoute] = [
        Route(STREAM_PATH, guarded("streamable-http", stream)),
        Route(SSE_PATH, guarded("sse", sse)),
        *guards.metadata.routes((STREAM_PATH, SSE_PATH)),
    ]
    return HttpSide(routes, stream_sessions, sse_sessions, sse, stopping)


def security_settings(hosts: Iterable[str], origins: Iterable[str]) -> TransportSecuritySettings:
    """Host and Origin rules: loopback, and what the operator lists. 03 §2.5.

    Args:
        hosts: names clients may use beside loopback; without a port, any port.
        origins: browser origins accepted beside loopback.
    """
    allowed = [*_LOOPBACK, *hosts]
    any_port = [f"{host}:*" for host in allowed if ":" not in host or host.endswith("]")]
    browsers = [f"http://{host}" for host in _LOOPBACK]
    return TransportSecuritySettings(
        allowed_hosts=[*allowed, *any_port],
        allowed_origins=[*browsers, *(f"{one}:*" for one in browsers), *origins],
    )
