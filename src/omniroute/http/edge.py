"""What happens to every HTTP request before and after any door: ids, draining, size, CORS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omniroute.errors import OmniRouteError, PayloadTooLarge, ShuttingDown
from omniroute.http.dialect_errors import error_body
from omniroute.http.errors import retry_headers, status_of
from omniroute.http.paths import canonical_path
from omniroute.http.peers import headers_of
from omniroute.http.route_classes import is_under, route_class

_SPOOFABLE = (b"x-omniroute-auth-", b"x-omniroute-route-class")
_ALLOW_METHODS = "GET, POST, PUT, DELETE, PATCH, OPTIONS"
_ALLOW_HEADERS = (
    "Content-Type, Authorization, x-api-key, anthropic-version, x-omniroute-connection, accept"
)
_EXPOSE_HEADERS = (
    "X-Request-Id, Retry-After, X-OmniRoute-Provider, X-OmniRoute-Model, X-OmniRoute-Cache, "
    "X-OmniRoute-Latency-Ms, X-OmniRoute-Tokens-In, X-OmniRoute-Tokens-Out, "
    "X-OmniRoute-Response-Cost, X-OmniRoute-Session-Id, X-OmniRoute-Budget-Remaining, "
    "X-OmniRoute-Budget-Limit, X-OmniRoute-Budget-Reset"
)


@dataclass(frozen=True, slots=True)
class Cors:
    """Which browser origins may read answers. Nobody, unless the operator says so.

    `more` are further origins, by comma, that may change while the gateway runs.
    """

    allow_all: bool = False
    origins: frozenset[str] = frozenset()
    more: Callable[[], str] = str

    def allows(self, origin: str) -> bool:
        """Whether pages of `origin` may read answers."""
        plain = origin.lower().rstrip("/")
        if self.allow_all or plain in self.origins:
            return True
        added = self.more()
        return bool(added) and plain in {
            entry.strip().lower().rstrip("/") for entry in added.split(",")
        }

    def headers(self, request: Mapping[str, str]) -> dict[str, str]:
        """CORS headers for an answer to `request`."""
        origin = request.get("origin", "")
        headers = {
            "access-control-allow-methods": _ALLOW_METHODS,
            "access-control-allow-headers": request.get(
                "access-control-request-headers", _ALLOW_HEADERS
            ),
        }
        if origin and self.allows(origin):
            headers["access-control-allow-origin"] = origin
            headers["access-control-expose-headers"] = _EXPOSE_HEADERS
            headers["vary"] = "Origin"
        return headers


@dataclass(slots=True)
class Edge:
    """ASGI middleware around the whole application.

    `max_body_bytes` holds for every path except those in `own_limits`, whose doors have limits
    of their own. `refusal` says why an address may not connect. While `draining` is set, new
    requests get 503 and running ones finish.
    """

    app: ASGIApp
    new_id: Callable[[], str]
    max_body_bytes: Callable[[], int]
    refusal: Callable[[Scope], OmniRouteError | None] = lambda _scope: None
    cors: Cors = field(default_factory=Cors)
    own_limits: tuple[str, ...] = ("/api/mcp", "/a2a", "/api/db-backups/import")
    draining: bool = False
    in_flight: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = self.new_id()
        headers = headers_of(scope)
        path = canonical_path(scope["path"], headers)
        scope["path"] = path
        scope["raw_path"] = path.encode()
        scope["headers"] = [
            pair for pair in scope["headers"] if not pair[0].lower().startswith(_SPOOFABLE)
        ]
        scope.setdefault("state", {})["request_id"] = request_id
        common = {
            "x-request-id": request_id,
            "x-omniroute-route-class": route_class(path, scope["method"]),
            **(self.cors.headers(headers) if "origin" in headers else {}),
        }
        self.in_flight += 1
        try:
            await self._handle(scope, receive, _with_headers(send, common), headers)
        finally:
            self.in_flight -= 1

    async def _handle(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]
    ) -> None:
        path = scope["path"]
        if self.draining:
            await _refuse(scope, send, ShuttingDown("The gateway is shutting down."))
            return
        if scope["method"] == "OPTIONS" and not is_under(path, ("/a2a",)):
            # With an origin the headers are on every answer already.
            extra = {} if "origin" in headers else self.cors.headers(headers)
            await _respond(send, 204, b"", extra)
            return
        refused = self.refusal(scope)
        if refused is not None:
            await _refuse(scope, send, refused)
            return
        if is_under(path, self.own_limits):
            await self.app(scope, receive, send)
            return
        limit = self.max_body_bytes()
        too_large = PayloadTooLarge(
            f"The body is over {limit} bytes. Send less, or raise MAX_BODY_SIZE_BYTES."
        )
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            await _refuse(scope, send, too_large)
            return
        await self.app(scope, _bounded(receive, limit, too_large), send)


def _bounded(receive: Receive, limit: int, too_large: PayloadTooLarge) -> Receive:
    """Count what really arrives: a chunked body declares no length."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise too_large
        return message

    return bounded


def _with_headers(send: Send, common: Mapping[str, str]) -> Send:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in common.items()]

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *encoded]
        await send(message)

    return wrapped


async def _refuse(scope: Scope, send: Send, error: OmniRouteError) -> None:
    body = error_body(scope["path"], error, scope["state"]["request_id"])
    await _respond(send, status_of(error), body, retry_headers(error))


async def _respond(send: Send, status: int, body: bytes, extra: Mapping[str, str]) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (name.encode(), value.encode("latin-1")) for name, value in extra.items()
    ]
    if body:
        headers.append((b"content-type", b"application/json"))
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
