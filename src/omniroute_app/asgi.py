"""The one ASGI application: every door over one engine, their lifespans entered, an edge around."""

import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from a2a.server.agent_execution import AgentExecutor
from starlette.applications import Starlette
from starlette.types import ASGIApp

from omniroute.caller import Caller, run_named
from omniroute.engine import Engine
from omniroute.errors import Forbidden, OmniRouteError
from omniroute.http.access import Access
from omniroute.http.app import Http
from omniroute.http.browser_sessions import BrowserSessions
from omniroute.http.edge import Cors, Edge
from omniroute.http.peers import headers_of
from omniroute.operations.access.ip_filter import refuses
from omniroute.pipeline.callers.admission import RUN_HEADER, bearer
from omniroute_a2a import door as a2a
from omniroute_a2a.cards import BINDING_PATH, Cards, current_card
from omniroute_a2a.push_records import SqlPushRecords
from omniroute_a2a.records import SqlTaskRecords
from omniroute_a2a.signing import CardSigner
from omniroute_agents import SKILLS
from omniroute_agents.configured import ConfiguredSkills
from omniroute_app.settings import Settings, listed
from omniroute_mcp import door as mcp
from omniroute_mcp.authentication import Guards
from omniroute_mcp.callers import Policy
from omniroute_mcp.http_side import security_settings
from omniroute_mcp.resource_metadata import ResourceMetadata

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Gateway:
    """The application and what a graceful stop needs of it."""

    app: Edge
    mcp_door: mcp.McpDoor
    grace_s: float

    def drain(self) -> None:
        """Take no new requests; let running ones finish; close what would never end."""
        self.app.draining = True
        self.mcp_door.drain()


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
    a2a_door = a2a_door_of(engine, access, settings)
    mcp_door = _mcp_door(engine, access, settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(a2a_door.lifespan())
            await stack.enter_async_context(mcp_door.lifespan())
            await stack.enter_async_context(http.lifespan())
            yield

    def max_body_bytes() -> int:
        return engine.snapshot.settings["maxBodySizeMb"] * MIB or settings.max_body_bytes

    root = Starlette(routes=[*mcp_door.routes, *a2a_door.routes], lifespan=lifespan)
    # Not a mount: its pattern would miss paths with a line break in them.
    root.router.default = cast("ASGIApp", http)
    edge = Edge(
        root,
        new_id=lambda: str(uuid.uuid4()),
        max_body_bytes=max_body_bytes,
        cors=cors,
        refusal=refusal,
    )
    grace_s = max(settings.shutdown_timeout_ms / 1000, a2a_door.grace_s)
    return Gateway(edge, mcp_door, grace_s)


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


def a2a_door_of(
    engine: Engine,
    access: Access,
    settings: Settings,
    *,
    executor: AgentExecutor | None = None,
    binding_path: str = BINDING_PATH,
) -> a2a.A2ADoor:
    """The A2A door over the engine.

    Args:
        executor: takes the place of the skills.
        binding_path: where the HTTP+JSON binding is mounted.
    """

    async def authenticate(scope: Any) -> Caller:
        headers = headers_of(scope)
        key, address = bearer(headers), access.address_of(scope)
        admit = engine.admission.keyed_caller if key_required(engine) else engine.admission.caller
        caller = admit(engine.snapshot, "a2a", key, address)
        # No trace context here: every message has one, and the conversation is the run.
        run = run_named(headers.get(RUN_HEADER))
        return caller if run is None else msgspec.structs.replace(caller, run_id=run)

    async def operator(scope: Any) -> Caller:
        return access.operator(scope, engine.snapshot)

    return a2a.build(
        authenticate=authenticate,
        authorize_operator=operator,
        enabled=lambda: bool(engine.snapshot.settings["a2aEnabled"]),
        key_required=lambda: key_required(engine),
        base_url=base_url_of(engine, settings),
        version=engine.version,
        skills=ConfiguredSkills(SKILLS, engine),
        engine=engine,
        tasks=SqlTaskRecords(engine.database),
        push=SqlPushRecords(engine.database),
        webhooks=engine.webhooks,
        signing_key=engine.installation.card_key,
        allow_private_webhooks=lambda: bool(engine.snapshot.settings["a2aAllowPrivateWebhooks"]),
        task_ttl_minutes=lambda: float(engine.snapshot.settings["a2aTaskTtlMinutes"]),
        clock=engine.now_ms,
        executor=executor,
        binding_path=binding_path,
    )


def _mcp_door(engine: Engine, access: Access, settings: Settings) -> mcp.McpDoor:
    async def operator(scope: Any) -> Caller:
        return access.operator(scope, engine.snapshot)

    return mcp.build(
        engine,
        policy=mcp_policy(settings),
        data_dir=settings.data_dir,
        guards=Guards(
            access.is_local,
            access.address_of,
            security_settings(listed(settings.allowed_hosts), listed(settings.allowed_origins)),
            ResourceMetadata(settings.mcp_issuer_url, base_url_of(engine, settings)),
        ),
        authorize_operator=operator,
        agent_card=agent_card_of(engine, settings),
    )


def base_url_of(engine: Engine, settings: Settings) -> Callable[[], str]:
    """Where clients reach the gateway, as it stands now."""
    return lambda: engine.snapshot.settings["baseUrl"].rstrip("/") or settings.public_url


def key_required(engine: Engine) -> bool:
    """Whether anonymous callers are turned away."""
    return engine.admission.require_key or engine.admission.env_key is not None


def agent_card_of(engine: Engine, settings: Settings) -> Callable[[], Mapping[str, Any]]:
    """The agent card, as it stands now."""
    cards = Cards(
        ConfiguredSkills(SKILLS, engine),
        engine.version,
        base_url_of(engine, settings),
        lambda: key_required(engine),
        CardSigner(engine.installation.card_key),
    )
    return lambda: current_card(cards.card())


def mcp_policy(settings: Settings) -> Policy:
    """How MCP calls are checked."""
    return Policy(
        enforce=settings.mcp_enforce_scopes,
        scopes=frozenset(listed(settings.mcp_scopes)),
        stdio_key_id=settings.mcp_key_id,
    )
