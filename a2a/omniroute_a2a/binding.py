"""The HTTP+JSON binding of 1.0 under `/a2a/v1`: the SDK's routes behind our gate (04 §7.3)."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from a2a.server.routes import create_rest_routes
from a2a.types import TaskState
from a2a.utils.errors import InvalidRequestError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from omniroute.caller import Caller
from omniroute.errors import Disabled, Unauthenticated
from omniroute_a2a.caller import SCOPE_KEY, ContextBuilder
from omniroute_a2a.envelope import MAX_BODY_BYTES, failure_headers
from omniroute_a2a.errors import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    SWITCHED_OFF,
    Fault,
    error_details,
    fault_of,
)
from omniroute_a2a.handler import Handler
from omniroute_a2a.jsonrpc import Authenticate

VERSION_HEADER = b"a2a-version"

STATUSES = {INVALID_PARAMS: 400}
"""HTTP status of the faults the gate itself raises, where they carry none."""

GRPC_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


NO_SUCH_ROUTE = "The HTTP+JSON binding has no such method; its paths are those of A2A 1.0."


class HttpJsonBinding:
    """An ASGI application to be mounted.

    Its gate authenticates, asks whether A2A is on, and straightens what the SDK is too lenient
    or too strict about; the SDK does the rest.
    """

    def __init__(
        self,
        *,
        handler: Handler,
        authenticate: Authenticate,
        enabled: Callable[[], bool],
        grace_s: float,
    ) -> None:
        self._authenticate = authenticate
        self._enabled = enabled
        # An application of its own: the SDK mounts `/{tenant}`, which swallows all that follows.
        self._app = Starlette(
            routes=create_rest_routes(
                handler, context_builder=ContextBuilder(), shutdown_grace_period=grace_s
            ),
            exception_handlers={404: no_such_route, 405: no_such_route},
        )
        self._app.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            caller = await self._admit(scope)
        except Exception as error:  # noqa: BLE001 - fault_of logs what it does not know
            await problem(fault_of(error))(scope, receive, send)
            return
        await self._app({**with_version(scope), SCOPE_KEY: caller}, limited(receive), send)

    async def _admit(self, scope: Scope) -> Caller:
        """The caller of a request that may pass.

        Raises:
            Unauthenticated: no credential, where one is needed.
            Disabled: A2A is off.
            Fault: an unknown status is asked for.
        """
        caller = await self._authenticate(scope)
        if not self._enabled():
            raise Disabled(SWITCHED_OFF)
        if scope["path"].endswith("/extendedAgentCard") and caller.key_id is None:
            raise Unauthenticated("The extended card needs a key.")
        check_status(scope["query_string"])
        return caller


async def no_such_route(_request: Request, error: Exception) -> Response:
    """The answer to a path, or a verb on it, that the binding does not have."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    response = problem(Fault(METHOD_NOT_FOUND, NO_SUCH_ROUTE, status=status))
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response


def limited(receive: Receive) -> Receive:
    """The request's messages, up to the limit for a body."""
    received_bytes = 0

    async def bounded() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > MAX_BODY_BYTES:
            raise InvalidRequestError("The body is over 4 MiB.")
        return message

    return bounded


def with_version(scope: Scope) -> Scope:
    """The scope with `A2A-Version: 1.0` unless the client sent one: the SDK takes none for 0.3."""
    headers = scope["headers"]
    if any(name == VERSION_HEADER for name, _ in headers):
        return scope
    return {**scope, "headers": [*headers, (VERSION_HEADER, b"1.0")]}


def check_status(query: bytes) -> None:
    """Refuse an unknown `status` filter; the SDK would ignore it and list everything.

    Raises:
        Fault: -32602.
    """
    for status in parse_qs(query.decode("latin-1")).get("status", ()):
        if status not in TaskState.keys():  # noqa: SIM118 - an enum wrapper, not a dict
            raise Fault(INVALID_PARAMS, "status names no task state.")


def problem(fault: Fault) -> JSONResponse:
    """An error in the form of the binding."""
    status = STATUSES.get(fault.code, 500) if fault.status == 200 else fault.status
    error: dict[str, Any] = {
        "code": status,
        "status": GRPC_STATUSES[status],
        "message": fault.message,
        "details": error_details(fault),
    }
    return JSONResponse({"error": error}, status, failure_headers(status))
