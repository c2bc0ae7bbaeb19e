"""The MCP door as the composition root sees it: routes, a lifespan, and the stdio server."""

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import anyio
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateSecurity
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import ListenHandler
from starlette.routing import BaseRoute

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.routing.snapshot import Snapshot
from omniroute_mcp.authentication import Guards
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.calling import ToolCalls
from omniroute_mcp.changes import Bus, Changes
from omniroute_mcp.heartbeat import Heartbeat, beating, heartbeat_path
from omniroute_mcp.http_side import HttpSide, http_side
from omniroute_mcp.listeners import Listeners
from omniroute_mcp.listing import is_condensed
from omniroute_mcp.resources.row import ResourceRow
from omniroute_mcp.resources.rows import ROWS
from omniroute_mcp.server import Handlers
from omniroute_mcp.status import DoorStatus
from omniroute_mcp.tasks.running import Tasks
from omniroute_mcp.tools import TOOLS
from omniroute_mcp.tools.catalogue import Catalogue
from omniroute_mcp.transports import NAMES, is_open
from omniroute_mcp.views import Authorize, Views

Card: TypeAlias = Callable[[], Mapping[str, Any]]
"""The agent card of the A2A door, which this one only shows."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the servers of one process share: the tools' calls, and who is told of changes."""

    handlers: Handlers
    changes: Changes

    def server(self) -> Server[Any]:
        """A server to be run."""
        return self.handlers.server()

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Tell of changes while the context is open."""
        async with (
            self.handlers.listeners.telling(),
            self.handlers.calls.tasks.lifespan(),
            anyio.create_task_group() as group,
        ):
            group.start_soon(self.changes.serve)
            yield
            group.cancel_scope.cancel()


def parts(engine: Engine, callers: Callers, agent_card: Card) -> Parts:
    """Put together what is behind every method."""
    bus, listeners, tools = Bus(), Listeners(), Catalogue(engine)

    async def read_card(_engine: Engine, _caller: Caller, _variables: Mapping[str, str]) -> Any:
        return agent_card()

    card = ResourceRow(
        uri="omniroute://agent-card",
        name="agent-card",
        title="Agent card",
        description="What this gateway says of itself to other agents.",
        scopes=frozenset(),
        read=read_card,
    )
    handlers = Handlers(
        engine,
        callers,
        ToolCalls(engine, callers, tools, Tasks(engine, lambda context: callers.of(context).owner)),
        (*ROWS, card),
        ListenHandler(bus),
        listeners,
        RequestStateSecurity(
            keys=[engine.installation.derived_key("mcp request state")],
            bind_principal=lambda context: callers.of(context).owner,
        ),
    )

    def shown() -> Any:
        return tools(), is_condensed(engine)

    return Parts(handlers, Changes(engine, bus, listeners, shown))


@dataclass(frozen=True, slots=True)
class McpDoor:
    """What the composition root mounts and runs."""

    routes: list[BaseRoute]
    behind: Parts
    http: HttpSide

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Keep the session managers running."""
        async with self.behind.lifespan(), self.http.lifespan():
            yield

    def drain(self) -> None:
        """End the streams that would outlive a graceful stop; running calls may finish."""
        self.behind.handlers.listen.close()
        self.http.stopping.ask()


def build(
    engine: Engine,
    *,
    policy: Policy,
    data_dir: Path,
    guards: Guards,
    authorize_operator: Authorize,
    agent_card: Card,
) -> McpDoor:
    """Put the HTTP side of the door together.

    Args:
        authorize_operator: raises for whoever may not read the views.
        agent_card: the card of the A2A door as it is now.
    """
    behind = parts(engine, Callers(policy), agent_card)
    http = http_side(engine, behind.server, behind.handlers.calls.calls, guards)

    def close_what_is_off(snapshot: Snapshot) -> None:
        if not all(is_open(snapshot.settings, name) for name in NAMES):
            behind.handlers.listen.close()  # whoever may still listen comes again

    engine.configuration.watch(close_what_is_off)
    status = DoorStatus(data_dir, http.stream_sessions, http.sse_sessions, http.sse.opened_at_ms)
    views = Views(engine, authorize_operator, status, guards.security)
    return McpDoor([*http.routes, *views.routes()], behind, http)


def first_beat(version: str, policy: Policy, now_ms: int) -> Heartbeat:
    """What a stdio process says of itself when it starts."""
    now = iso(now_ms)
    return Heartbeat(
        pid=os.getpid(),
        started_at=now,
        last_heartbeat_at=now,
        version=version,
        transport="stdio",
        scopes_enforced=policy.enforce,
        allowed_scopes=sorted(policy.scopes),
        tool_count=len(TOOLS),
    )


async def run_stdio(engine: Engine, policy: Policy, data_dir: Path, agent_card: Card) -> None:
    """Serve one client on standard input and output until it closes them."""
    session = f"stdio-{engine.new_id()}"
    behind = parts(engine, Callers(policy, over_stdio=True, stdio_session=session), agent_card)
    server = behind.server()
    first = first_beat(engine.version, policy, engine.now_ms())
    async with (
        behind.lifespan(),
        beating(heartbeat_path(data_dir), first),
        stdio_server() as (incoming, outgoing),
    ):
        await server.run(incoming, outgoing, server.create_initialization_options())
