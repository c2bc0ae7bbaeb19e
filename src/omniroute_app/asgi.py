"""The one ASGI application: every door over one engine, their lifespans entered, an edge around.

The doors of the two agent protocols are loaded when they are first asked: see `on_demand`.
"""

import importlib
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from starlette.applications import Starlette
from starlette.types import ASGIApp

from omniroute.engine import Engine
from omniroute.errors import Forbidden, OmniRouteError
from omniroute.http.access import Access
from omniroute.http.app import Http
from omniroute.http.browser_sessions import BrowserSessions
from omniroute.http.edge import Cors, Edge
from omniroute.operations.access.ip_filter import refuses
from omniroute_app.limits import A2A_GRACE_S
from omniroute_app.on_demand import OnDemand
from omniroute_app.settings import Settings, listed

if TYPE_CHECKING:
    from omniroute_a2a.door import A2ADoor
    from omniroute_mcp.door import McpDoor

MIB = 1024 * 1024

MCP_PATHS = ("/api/mcp", "/.well-known/oauth-protected-resource")
A2A_PATHS = (
    "/a2a",
    "/api/a2a",
    "/.well-known/agent.json",
    "/.well-known/agent-card.json",
    "/.well-known/jwks.json",
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """The application and what a graceful stop needs of it."""

    app: Edge
    mcp: "OnDemand[McpDoor]"
    a2a: "OnDemand[A2ADoor]"
    grace_s: float

    def drain(self) -> None:
        """Take no new requests; let running ones finish; close what would never end."""
        self.app.draining = True
        if self.mcp.door is not None:
            self.mcp.door.drain()


def build_gateway(engine: Engine, settings: Settings) -> Gateway:
    """Compose the doors. Enter the lifespan of `Gateway.app` before use, as servers do."""
    cors = cors_of(engine, settings)
    access = access_of(engine, settings, cors)

    def refusal(scope: Any) -> OmniRouteError | None:
        rules = engine.snapshot.access.ip_filter
        if rules.is_idle:  # before anybody looks for the address of every request
            return None
        if not refuses(rules, access.address_of(scope), engine.now_ms()) or access.is_local(scope):
            return None
        return Forbidden("This address may not use the gateway.", code="ip_blocked")

    heartbeat_s = settings.heartbeat_interval_ms / 1000 or None
    stagger_s = settings.health_check_stagger_ms / 1000
    http = Http(
        engine,
        access,
        heartbeat_s,
        stagger_s=stagger_s,
        keeps_logins=not settings.disable_token_keeper,
    )
    answering = cast("ASGIApp", http)
    mcp = OnDemand(
        "mcp",
        MCP_PATHS,
        lambda: importlib.import_module("omniroute_app.mcp_side"),
        lambda: _mcp_door(engine, access, settings),
        answering,
    )
    a2a = OnDemand(
        "a2a",
        A2A_PATHS,
        lambda: importlib.import_module("omniroute_app.a2a_side"),
        lambda: _a2a_door(engine, access, settings),
        answering,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(a2a.lifespan())
            await stack.enter_async_context(mcp.lifespan())
            await stack.enter_async_context(http.lifespan())
            async with engine.database.reading() as work:
                if await work.tasks.unfinished() or await work.push.next_due_ms() is not None:
                    a2a.want()  # an earlier run has left something to be done
            yield

    def max_body_bytes() -> int:
        return engine.snapshot.settings["maxBodySizeMb"] * MIB or settings.max_body_bytes

    root = Starlette(routes=[mcp, a2a], lifespan=lifespan)
    # Not a mount: its pattern would miss paths with a line break in them.
    root.router.default = answering
    edge = Edge(
        root,
        new_id=lambda: str(uuid.uuid4()),
        max_body_bytes=max_body_bytes,
        cors=cors,
        refusal=refusal,
    )
    return Gateway(edge, mcp, a2a, max(settings.shutdown_timeout_ms / 1000, A2A_GRACE_S))


def _mcp_door(engine: Engine, access: Access, settings: Settings) -> "McpDoor":
    from omniroute_app.mcp_side import mcp_door_of

    return mcp_door_of(engine, access, settings)


def _a2a_door(engine: Engine, access: Access, settings: Settings) -> "A2ADoor":
    from omniroute_app.a2a_side import a2a_door_of

    return a2a_door_of(engine, access, settings)


def cors_of(engine: Engine, settings: Settings) -> Cors:
    """Which pages of other sites may read answers."""
    origins = {entry.lower().rstrip("/") for entry in listed(settings.cors_origins)}
    return Cors(
        settings.cors_allow_all or "*" in origins,
        frozenset(origins),
        lambda: str(engine.snapshot.settings["corsOrigins"]),
    )


def access_of(engine: Engine, settings: Settings, cors: Cors) -> Access:
    """Who may do what over HTTP."""
    return Access(
        engine.admission,
        BrowserSessions(engine.session_secret.current, engine.now_ms, settings.auth_cookie_secure),
        None if settings.disable_cli_token else engine.installation.cli_token(settings.cli_salt),
        listed(settings.trusted_local_cidrs),
        cors.allows,
        listed(settings.trusted_proxies),
    )
