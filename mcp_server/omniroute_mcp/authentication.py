"""Who calls over HTTP: a gateway key with the right scope, or this machine while no key exists."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import Forbidden, OmniRouteError
from omniroute.pipeline.callers.admission import bearer
from omniroute_mcp.callers import CALLER
from omniroute_mcp.resource_metadata import ResourceMetadata

ENTRY_SCOPES = frozenset({"mcp", "manage", "admin", "*"})
INSUFFICIENT_SCOPE = "insufficient_scope"
"""RFC 6750 §3.1, as is `invalid_token`."""


@dataclass(frozen=True, slots=True)
class Guards:
    """Who may come in. `is_local` says whether a request comes from this machine, `address_of`
    where it comes from, None when nobody knows."""

    is_local: Callable[[Scope], bool]
    address_of: Callable[[Scope], str | None]
    security: TransportSecuritySettings
    metadata: ResourceMetadata


class Authenticated:
    """ASGI middleware that puts the caller into the request and binds sessions to the key.

    Args:
        guards: what tells where a request comes from, and which hosts and origins may be named.
    """

    def __init__(self, app: ASGIApp, engine: Engine, guards: Guards) -> None:
        self._app = app
        self._engine = engine
        self._guards = guards
        self._security = TransportSecurityMiddleware(guards.security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Before the key: a foreign Host or Origin is wrong whatever the credential.
        foreign = await self._security.validate_request(Request(scope))
        if foreign is not None:
            await foreign(scope, receive, send)
            return
        try:
            caller = self._caller(scope)
        except OmniRouteError as error:
            await _refuse(send, error, self._guards.metadata.url(scope["path"]))
            return
        scope.setdefault("state", {})[CALLER] = caller
        if caller.key_id is not None:
            # The SDK compares this user with the one that opened a session.
            token = AccessToken(token="", client_id=caller.key_id, scopes=sorted(caller.scopes))
            scope["user"] = AuthenticatedUser(token)
        await self._app(scope, receive, send)

    def _caller(self, scope: Scope) -> Caller:
        headers = {name.decode("latin-1").lower(): value for name, value in scope["headers"]}
        key = bearer({name: value.decode("latin-1") for name, value in headers.items()})
        admission, snapshot = self._engine.admission, self._engine.snapshot
        open_to_all = not snapshot.keys and admission.env_key is None
        if key is None and open_to_all and self._guards.is_local(scope):
            return Caller(door="mcp", is_operator=not snapshot.login_required(local=True))
        caller = admission.keyed_caller(snapshot, "mcp", key, self._guards.address_of(scope))
        if not caller.scopes & ENTRY_SCOPES:
            raise Forbidden(
                "This API key may not use MCP; it needs the scope 'mcp'.", code=INSUFFICIENT_SCOPE
            )
        return caller


async def _refuse(send: Send, error: OmniRouteError, metadata_url: str | None) -> None:
    # A key that is switched off or expired is no key; only a good one can lack a scope.
    lacking = error.code == INSUFFICIENT_SCOPE
    reason = INSUFFICIENT_SCOPE if lacking else "invalid_token"
    challenge = f'Bearer error="{reason}", error_description="{error}"'
    if lacking:
        challenge += ', scope="mcp"'
    if metadata_url is not None:
        challenge += f', resource_metadata="{metadata_url}"'
    body = msgspec.json.encode({"error": reason, "error_description": str(error)})
    headers: list[Any] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"www-authenticate", challenge.encode("latin-1", "replace")),
    ]
    status = 403 if lacking else 401
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
