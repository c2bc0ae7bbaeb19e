"""The Litestar application: model APIs and management over operations."""

import re
from pathlib import Path
from typing import Any

import structlog
from litestar import Litestar, Request, Response
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
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
from omniroute.http.account_routes import ACCOUNTS
from omniroute.http.analytics_routes import ANALYTICS
from omniroute.http.audit_routes import AUDIT
from omniroute.http.auth_routes import AUTH
from omniroute.http.backup_routes import BACKUPS
from omniroute.http.budget_routes import BUDGETS
from omniroute.http.cache_routes import CACHE
from omniroute.http.chat_routes import chat_router
from omniroute.http.combo_routes import COMBOS
from omniroute.http.config_routes import CONFIG
from omniroute.http.custom_model_routes import CUSTOM_MODELS
from omniroute.http.decision_routes import DECISIONS
from omniroute.http.dialect_errors import error_body, facts_body
from omniroute.http.docs_page import PlainPage
from omniroute.http.env_routes import ENV
from omniroute.http.errors import internal_facts, retry_headers, status_of
from omniroute.http.gemini_routes import gemini_router
from omniroute.http.key_routes import KEYS
from omniroute.http.management import MANAGEMENT
from omniroute.http.metrics_routes import METRICS
from omniroute.http.model_names_routes import MODEL_NAMES
from omniroute.http.model_routes import MODEL_ROUTES
from omniroute.http.oauth_routes import OAUTH_ROUTES
from omniroute.http.ollama_routes import OLLAMA_ROUTES
from omniroute.http.page_routes import PAGES, to_login
from omniroute.http.pricing_routes import PRICING
from omniroute.http.proxy_routes import PROXIES
from omniroute.http.quota_routes import QUOTAS
from omniroute.http.reply import ChatSurface
from omniroute.http.resilience_routes import RESILIENCE
from omniroute.http.responses_routes import responses_router
from omniroute.http.route_classes import is_for_operators, is_under
from omniroute.http.session_routes import SESSIONS
from omniroute.http.shaping_routes import SHAPING
from omniroute.http.storage_routes import STORAGE
from omniroute.http.sync_routes import SYNC
from omniroute.http.system_routes import SYSTEM
from omniroute.http.token_routes import count_tokens_route
from omniroute.http.usage_routes import USAGE
from omniroute.operations.account_keeper import AccountKeeper
from omniroute.operations.background import BackgroundResponses
from omniroute.operations.oauth.keeper import LoginKeeper
from omniroute.operations.price_keeper import PriceKeeper
from omniroute.operations.retention import RetentionKeeper

log = structlog.get_logger(__name__)

_UNKNOWN_FIELD = re.compile(r"^Object contains unknown field '(?P<name>[^']+)'")

AnyRequest = Request[Any, Any, Any]
AnyConnection = ASGIConnection[Any, Any, Any, Any]
_OPERATOR = "operator"
_WHOLE_BODY = "data"  # what the framework calls a problem of no single field


class JsonRequest(AnyRequest):
    """A request whose unreadable body is its author's fault, whatever makes it unreadable."""

    async def json(self) -> Any:
        try:
            return await super().json()
        except (ValueError, RecursionError) as error:  # not UTF-8; nested too deep
            raise SerializationException("not JSON") from error


def build_http(
    engine: Engine,
    access: Access,
    heartbeat_s: float | None,
    *,
    stagger_s: float = 3.0,
    keeps_logins: bool = True,
) -> Litestar:
    """The HTTP doors of one engine.

    Args:
        heartbeat_s: silence after which a stream gets a keep-alive frame; None for never.
        stagger_s: between the beginnings of two tests of accounts in the background.
        keeps_logins: whether tokens are renewed before a request needs them.
    """

    async def client(request: AnyRequest) -> Caller:
        return access.client(request.scope, engine.snapshot)

    def closed(connection: AnyConnection, _: BaseRouteHandler) -> None:
        """Management routes are closed whether or not their handlers ask who is there."""
        scope = connection.scope
        if is_for_operators(scope["path"], str(scope.get("method", ""))):
            scope["state"][_OPERATOR] = access.operator(scope, engine.snapshot)

    async def operator(request: AnyRequest) -> Caller:
        known: Caller | None = request.scope["state"].get(_OPERATOR)
        return known or access.operator(request.scope, engine.snapshot)

    async def visitor(request: AnyRequest) -> Caller:
        return access.visitor(request.scope)

    async def viewer(request: AnyRequest) -> Caller:
        try:
            return access.operator(request.scope, engine.snapshot)
        except OmniRouteError:
            return Caller(door="http")

    def on_error(request: AnyRequest, error: Exception) -> Response[bytes]:
        return _answer(request, error, access, engine)

    surface = ChatSurface(engine, lambda scope: access.client(scope, engine.snapshot), heartbeat_s)
    background = BackgroundResponses(engine)
    return Litestar(
        lifespan=[
            lambda _: background.lifespan(),
            lambda _: PriceKeeper(engine).lifespan(),
            lambda _: AccountKeeper(engine, stagger_s).lifespan(),
            lambda _: RetentionKeeper(engine).lifespan(),
            *([lambda _: LoginKeeper(engine, stagger_s).lifespan()] if keeps_logins else []),
        ],
        route_handlers=[
            chat_router(surface),
            gemini_router(surface),
            responses_router(surface, background),
            *MODEL_ROUTES,
            *OLLAMA_ROUTES,
            count_tokens_route,
            *ACCOUNTS,
            *OAUTH_ROUTES,
            *ENV,
            *SYNC,
            *MANAGEMENT,
            *KEYS,
            *COMBOS,
            *CONFIG,
            *MODEL_NAMES,
            *CUSTOM_MODELS,
            *DECISIONS,
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
            *STORAGE,
            *SYSTEM,
            *PAGES,
            *METRICS,
            *AUDIT,
            *AUTH,
        ],
        dependencies={
            "engine": Provide(lambda: engine, sync_to_thread=False),
            "client": Provide(client),
            "operator": Provide(operator),
            "viewer": Provide(viewer),
            "visitor": Provide(visitor),
            "access": Provide(lambda: access, sync_to_thread=False),
        },
        guards=[closed],
        request_class=JsonRequest,
        exception_handlers={Exception: on_error},
        openapi_config=OpenAPIConfig(
            title="OmniRoute",
            version=engine.version,
            description="One local-first gateway between agents and models.",
            path="/docs",
            use_handler_docstrings=True,
            render_plugins=[PlainPage(), JsonRenderPlugin(path="/openapi.json")],
        ),
        request_max_body_size=None,  # the edge counts, for every door alike
        debug=False,
        pdb_on_exception=False,
        logging_config=None,
    )


def _answer(
    request: AnyRequest, error: Exception, access: Access, engine: Engine
) -> Response[bytes]:
    path, request_id = request.scope["path"], request.scope["state"]["request_id"]
    known = _in_tree(request, error, access, engine)
    if known is None:
        log.error("request_failed", path=path, request_id=request_id, exc_info=error)
        body = facts_body(path, internal_facts(request_id))
        return Response(body, status_code=500, media_type="application/json")
    if is_under(path, ("/dashboard",)) and isinstance(known, Unauthenticated | Forbidden):
        return to_login(request, access)
    headers = retry_headers(known)
    if isinstance(known, MethodNotAllowed):
        headers["allow"] = ", ".join(sorted(_methods(request.app, path)))
    return Response(
        error_body(path, known, request_id),
        status_code=status_of(known),
        headers=headers,
        media_type="application/json",
    )


def _in_tree(
    request: AnyRequest, error: Exception, access: Access, engine: Engine
) -> OmniRouteError | None:
    """The framework's own errors as ours; None for what nobody foresaw."""
    if isinstance(error, OmniRouteError):
        return error
    cause = error.__cause__ or error.__context__
    if isinstance(cause, PayloadTooLarge):
        return cause
    if not isinstance(error, HTTPException):
        return None
    refused = _refused(request, access, engine)
    if refused is not None:
        return refused
    if isinstance(error, ValidationException):
        return _validation(error)
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


def _refused(request: AnyRequest, access: Access, engine: Engine) -> OmniRouteError | None:
    """Strangers learn nothing about management routes: not which exist, not what they take."""
    if is_for_operators(request.scope["path"], request.method):
        try:
            access.operator(request.scope, engine.snapshot)
        except OmniRouteError as refused:
            return refused
    return None


def _validation(error: ValidationException) -> OmniRouteError:
    problems: list[tuple[str, str]] = []
    for entry in error.extra if isinstance(error.extra, list) else []:
        if isinstance(entry, dict):
            message = str(entry.get("message", "")).replace("`", "'")
            field = str(entry.get("key", ""))
            unknown = _UNKNOWN_FIELD.search(message)
            if unknown is not None:
                problems.append((unknown["name"], "is not known here"))
            else:
                problems.append(("" if field == _WHOLE_BODY else field, message))
    return ValidationFailed(problems or [("", error.detail)])
