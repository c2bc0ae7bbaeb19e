"""The MCP door as the composition root sees it: routes, a lifespan, and the stdio server."""

import os
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.routing.snapshot import Snapshot
from omniroute_mcp.authentication import Authenticated
from omniroute_mcp.draining import Drain
from omniroute_mcp.heartbeat import Heartbeat, beating, heartbeat_path
from omniroute_mcp.server import Policy, ToolServer
from omniroute_mcp.sessions import Sessions
from omniroute_mcp.status import DoorStatus
from omniroute_mcp.tools import TOOLS
from omniroute_mcp.transports import (
    SSE_PATH,
    STREAM_PATH,
    Gate,
    Name,
    SsePath,
    StreamPath,
    is_open,
)
from omniroute_mcp.views import Authorize, Views

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class McpDoor:
    """What the composition root mounts and runs."""

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

    def drain(self) -> None:
        """End the streams that would outlive a graceful stop; running calls may finish."""
        self.stopping.ask()


def build(
    engine: Engine,
    *,
    policy: Policy,
    data_dir: Path,
    is_local: Callable[[Scope], bool],
    address_of: Callable[[Scope], str | None],
    authorize_operator: Authorize,
    allowed_hosts: Iterable[str] = (),
    allowed_origins: Iterable[str] = (),
) -> McpDoor:
    """Put the HTTP side of the door together.

    Args:
        is_local: whether a request comes from this machine.
        address_of: where a request comes from; None when nobody knows.
        authorize_operator: raises for whoever may not read the views.
        allowed_hosts: host names clients may use beside loopback; without a port, any port.
        allowed_origins: browser origins accepted beside loopback.
    """
    tools = ToolServer(engine, policy)
    security = security_settings(allowed_hosts, allowed_origins)
    stopping = Drain(tools.calls)
    stream_sessions = Sessions(tools.build, security, engine.now_ms)
    sse_sessions = Sessions(tools.build, security, engine.now_ms)
    stream = StreamPath(stream_sessions, stopping)
    sse = SsePath(tools.build, StreamPath(sse_sessions, stopping), stopping, engine.now_ms)

    def close_what_is_off(snapshot: Snapshot) -> None:
        if not is_open(snapshot.settings, "sse"):
            sse.close()
            sse_sessions.reset()
        if not is_open(snapshot.settings, "streamable-http"):
            stream_sessions.reset()

    engine.configuration.watch(close_what_is_off)

    def guarded(name: Name, app: Any) -> Gate:
        return Gate(engine, name, Authenticated(app, engine, is_local, address_of, security))

    status = DoorStatus(data_dir, stream_sessions, sse_sessions, sse.opened_at_ms)
    views = Views(engine, authorize_operator, status, security)
    routes: list[BaseRoute] = [
        Route(STREAM_PATH, guarded("streamable-http", stream)),
        Route(SSE_PATH, guarded("sse", sse)),
        *views.routes(),
    ]
    return McpDoor(routes, stream_sessions, sse_sessions, sse, stopping)


async def run_stdio(engine: Engine, policy: Policy, data_dir: Path) -> None:
    """Serve one client on standard input and output until it closes them."""
    session = f"stdio-{engine.new_id()}"
    server = ToolServer(engine, policy, over_stdio=True, stdio_session=session).build()
    now = iso(engine.now_ms())
    first = Heartbeat(
        pid=os.getpid(),
        started_at=now,
        last_heartbeat_at=now,
        version=engine.version,
        transport="stdio",
        scopes_enforced=policy.enforce,
        allowed_scopes=sorted(policy.scopes),
        tool_count=len(TOOLS),
    )
    async with (
        beating(heartbeat_path(data_dir), first),
        stdio_server() as (incoming, outgoing),
    ):
        await server.run(incoming, outgoing, server.create_initialization_options())


def security_settings(hosts: Iterable[str], origins: Iterable[str]) -> TransportSecuritySettings:
    """Host and Origin rules: loopback, and what the operator lists. 03 §2.5."""
    allowed = [*_LOOPBACK, *hosts]
    any_port = [f"{host}:*" for host in allowed if ":" not in host or host.endswith("]")]
    browsers = [f"http://{host}" for host in _LOOPBACK]
    return TransportSecuritySettings(
        allowed_hosts=[*allowed, *any_port],
        allowed_origins=[*browsers, *(f"{one}:*" for one in browsers), *origins],
    )
