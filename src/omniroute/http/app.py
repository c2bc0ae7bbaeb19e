"""The Litestar application: model APIs and management over operations."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self

import structlog
from litestar import Litestar, Request, Response, Router
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.types import Receive, Scope, Send
from litestar.types.internal_types import PathParameterDefinition

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import (
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    OmniRouteError,
    PayloadTooLarge,
    Unauthenticated,
    ValidationFailed,
)
from omniroute.http.access import Access
from omniroute.http.complaints import complaint
from omniroute.http.dialect_errors import error_body, facts_body
from omniroute.http.doors import Doors, doors_of, enter
from omniroute.http.errors import internal_facts, retry_headers, status_of
from omniroute.http.management.account_routes import ACCOUNTS
from omniroute.http.management.agent_routes import AGENTS
from omniroute.http.management.analytics_routes import ANALYTICS
from omniroute.http.management.audit_routes import AUDIT
from omniroute.http.management.auth_routes import AUTH
from omniroute.http.management.backup_routes import BACKUPS
from omniroute.http.management.budget_routes import BUDGETS
from omniroute.http.management.cache_routes import CACHE
from omniroute.http.management.combo_routes import COMBOS
from omniroute.http.management.compression_routes import COMPRESSION
from omniroute.http.management.config_routes import CONFIG
from omniroute.http.management.custom_model_routes import CUSTOM_MODELS
from omniroute.http.management.decision_routes import DECISIONS
from omniroute.http.management.encryption_routes import ENCRYPTION
from omniroute.http.management.env_routes import ENV
from omniroute.http.management.health_routes import HEALTH
from omniroute.http.management.key_routes import KEYS
from omniroute.http.management.memory_routes import MEMORY
from omniroute.http.management.metrics_routes import METRICS
from omniroute.http.management.model_names_routes import MODEL_NAMES
from omniroute.http.management.node_routes import NODES
from omniroute.http.management.oauth_routes import OAUTH_ROUTES
from omniroute.http.management.pricing_routes import PRICING
from omniroute.http.management.proxy_routes import PROXIES
from omniroute.http.management.quota_routes import QUOTAS
from omniroute.http.management.resilience_routes import RESILIENCE
from omniroute.http.management.run_routes import RUNS
from omniroute.http.management.session_routes import SESSIONS
from omniroute.http.management.settings_routes import SETTINGS
from omniroute.http.management.shaping_routes import SHAPING
from omniroute.http.management.skill_routes import SKILL_ROUTES
from omniroute.http.management.storage_routes import STORAGE
from omniroute.http.management.sync_routes import SYNC
from omniroute.http.management.system_routes import SYSTEM
from omniroute.http.management.usage_routes import USAGE
from omniroute.http.models.chat_routes import CHAT
from omniroute.http.models.gemini_routes import GEMINI_ROUTES
from omniroute.http.models.model_routes import MODEL_ROUTES
from omniroute.http.models.ollama_routes import OLLAMA_ROUTES
from omniroute.http.models.responses_routes import RESPONSES_ROUTES
from omniroute.http.models.search_routes import SEARCH_ROUTES
from omniroute.http.models.token_routes import count_tokens_route
from omniroute.http.pages.docs_page import Document, PlainPage
from omniroute.http.pages.page_routes import PAGES, to_login
from omniroute.http.route_classes import is_for_operators, is_under
from omniroute.operations.accounts.account_keeper import AccountKeeper
from omniroute.operations.accounts.oauth.keeper import LoginKeeper
from omniroute.operations.chats.background import BackgroundResponses
from omniroute.operations.configuration.sync.cloud_keeper import CloudKeeper
from omniroute.operations.money.price_keeper import PriceKeeper
from omniroute.operations.storage.retention import RetentionKeeper

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]
AnyConnection = ASGIConnection[Any, Any, Any, Any]
_OPERATOR = "operator"


class JsonRequest(AnyRequest):
    """A request whose unreadable body is its author's fault, whatever makes it unreadable."""

    async def json(self) -> Any:
        try:
            return await super().json()
        except (ValueError, RecursionError) as error:  # not UTF-8; nested too deep
            raise SerializationException("not JSON") from error


class Http:
    """The HTTP doors of one engine: an ASGI application. Enter `lifespan` before use.

    Args:
        heartbeat_s: silence after which a stream gets a keep-alive frame; None for never.
        stagger_s: between the beginnings of two tests of accounts in the background.
        keeps_logins: whether tokens are renewed before a request needs them.
    """

    def __init__(
        self,
        engine: Engine,
        access: Access,
        heartbeat_s: float | None,
        *,
        stagger_s: float = 3.0,
        keeps_logins: bool = True,
    ) -> None:
        self._doors = Doors(engine, access, BackgroundResponses(engine), heartbeat_s)
        self._routes = routes(engine.version)
        self._stagger_s = stagger_s
        self._keeps_logins = keeps_logins

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Do what no request asks for, until the process stops."""
        engine = self._doors.engine
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._doors.background.lifespan())
            await stack.enter_async_context(PriceKeeper(engine).lifespan())
            await stack.enter_async_context(AccountKeeper(engine, self._stagger_s).lifespan())
            await stack.enter_async_context(RetentionKeeper(engine).lifespan())
            await stack.enter_async_context(CloudKeeper(engine).lifespan())
            if self._keeps_logins:
                await stack.enter_async_context(LoginKeeper(engine, self._stagger_s).lifespan())
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        enter(scope, self._doors)
        await self._routes(scope, receive, send)


class _Together(Router):
    """All routes at once: the framework would look at all of them anew for each given alone."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # the framework's copy is for routers that two applications share


@cache
def routes(version: str) -> Litestar:
    """All routes, which know their gateway by the scope of a request.

    Declaring them takes a good part of a second, so all gateways of a process share them.
    """
    return Litestar(
        route_handlers=[_Together("/", route_handlers=_ROUTES)],
        dependencies={name: Provide(one, sync_to_thread=False) for name, one in _PROVIDED.items()},
        guards=[_closed],
        request_class=JsonRequest,
        exception_handlers={Exception: _answer},
        openapi_config=OpenAPIConfig(
            title="OmniRoute",
            version=version,
            description="One local-first gateway between agents and models.",
            path="/docs",
            use_handler_docstrings=True,
            render_plugins=[PlainPage(), Document(path="/openapi.json")],
        ),
        request_max_body_size=None,  # the edge counts, for every door alike
        debug=False,
        pdb_on_exception=False,
        logging_config=None,
    )


_ROUTES = [
    *CHAT,
    *GEMINI_ROUTES,
    *RESPONSES_ROUTES,
    *MODEL_ROUTES,
    *OLLAMA_ROUTES,
    count_tokens_route,
    *SEARCH_ROUTES,
    *ACCOUNTS,
    *OAUTH_ROUTES,
    *ENV,
    *SYNC,
    *NODES,
    *SETTINGS,
    *HEALTH,
    *KEYS,
    *COMBOS,
    *CONFIG,
    *MODEL_NAMES,
    *CUSTOM_MODELS,
    *DECISIONS,
    *RUNS,
    *AGENTS,
    *BUDGETS,
    *BACKUPS,
    *CACHE,
    *PRICING,
    *PROXIES,
    *SHAPING,
    *QUOTAS,
    *RESILIENCE,
    *USAGE,
    *ANALYTICS,
    *SESSIONS,
    *MEMORY,
    *COMPRESSION,
    *SKILL_ROUTES,
    *STORAGE,
    *ENCRYPTION,
    *SYSTEM,
    *PAGES,
    *METRICS,
    *AUDIT,
    *AUTH,
]


def _engine(request: AnyRequest) -> Engine:
    return doors_of(request.scope).engine


def _access(request: AnyRequest) -> Access:
    return doors_of(request.scope).access


def _client(request: AnyRequest) -> Caller:
    return doors_of(request.scope).caller_of(request.scope)


def _operator(request: AnyRequest) -> Caller:
    known: Caller | None = request.scope["state"].get(_OPERATOR)
    return known or doors_of(request.scope).operator_of(request.scope)


def _visitor(request: AnyRequest) -> Caller:
    return _access(request).visitor(request.scope)


def _viewer(request: AnyRequest) -> Caller:
    try:
        return doors_of(request.scope).operator_of(request.scope)
    except OmniRouteError:
        return Caller(door="http")


_PROVIDED: dict[str, Callable[[AnyRequest], Any]] = {
    "engine": _engine,
    "client": _client,
    "operator": _operator,
    "viewer": _viewer,
    "visitor": _visitor,
    "access": _access,
}
"""What handlers may ask for by name; see `dependencies`."""


def _closed(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """Management routes are closed whether or not their handlers ask who is there."""
    scope = connection.scope
    if is_for_operators(scope["path"], str(scope.get("method", ""))):
        scope["state"][_OPERATOR] = doors_of(scope).operator_of(scope)


def _answer(request: AnyRequest, error: Exception) -> Response[bytes]:
    path, request_id = request.scope["path"], request.scope["state"]["request_id"]
    known = _in_tree(request, error)
    if known is None:
        log.error("request_failed", path=path, request_id=request_id, exc_info=error)
        body = facts_body(path, internal_facts(request_id))
        return Response(body, status_code=500, media_type="application/json")
    if is_under(path, ("/dashboard",)) and isinstance(known, Unauthenticated | Forbidden):
        return to_login(request, _access(request))
    headers = retry_headers(known)
    if isinstance(known, MethodNotAllowed):
        headers["allow"] = ", ".join(sorted(_methods(request.app, path)))
    return Response(
        error_body(path, known, request_id),
        status_code=status_of(known),
        headers=headers,
        media_type="application/json",
    )


def _in_tree(request: AnyRequest, error: Exception) -> OmniRouteError | None:
    """The framework's own errors as ours; None for what nobody foresaw."""
    if isinstance(error, OmniRouteError):
        return error
    cause = error.__cause__ or error.__context__
    if isinstance(cause, PayloadTooLarge):
        return cause
    if not isinstance(error, HTTPException):
        return None
    refused = _refused(request)
    if refused is not None:
        return refused
    if isinstance(error, ValidationException):
        return complaint(request, error)
    path = request.scope["path"]
    if error.status_code == 404:
        return NotFound(f"There is nothing at '{path}'.", code="not_found")
    if error.status_code == 405:
        return MethodNotAllowed(f"'{path}' does not answer {request.method}.")
    if error.status_code == 400:
        return ValidationFailed([("body", "is not valid JSON")])
    if error.status_code < 500:
        return InvalidRequest(error.detail)
    return None


def _methods(app: Litestar, path: str) -> set[str]:
    """The methods some route answers on a path that exists."""
    segments = [one for one in path.split("/") if one]
    found: set[str] = set()
    for route in app.routes:
        parts = route.path_components
        takes_rest = any(
            isinstance(part, PathParameterDefinition) and part.type is Path for part in parts
        )
        fits = len(parts) == len(segments) or (takes_rest and len(segments) >= len(parts))
        if fits and all(
            isinstance(part, PathParameterDefinition) or part == segment
            for part, segment in zip(parts, segments, strict=False)
        ):
            found |= set(getattr(route, "methods", ()))
    return found


def _refused(request: AnyRequest) -> OmniRouteError | None:
    """Strangers learn nothing about management routes: not which exist, not what they take."""
    if is_for_operators(request.scope["path"], request.method):
        try:
            doors_of(request.scope).operator_of(request.scope)
        except OmniRouteError as refused:
            return refused
    return None
