"""The JSON-RPC envelope: reading it strictly (04 §6.4) and wrapping errors in it."""

from typing import Any, TypeGuard

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from omniroute.errors import ClientGone
from omniroute_a2a.call import RequestId
from omniroute_a2a.dialect import Dialect
from omniroute_a2a.errors import INVALID_REQUEST, PARSE_ERROR, Fault, error_details

MAX_BODY_BYTES = 4 * 1024 * 1024


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        Fault: -32600, it is over the limit.
        ClientGone: the caller hung up while sending it.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise Fault(INVALID_REQUEST, "The body is over 4 MiB.")
    except ClientDisconnect as error:
        raise ClientGone("The caller hung up while sending its request.") from error
    return bytes(body)


def decode(raw: bytes) -> Any:
    """The JSON value of a body.

    Raises:
        Fault: -32700.
    """
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Fault(PARSE_ERROR, "Parse error") from error


def is_id(value: object) -> TypeGuard[RequestId]:
    """Whether JSON-RPC takes a value as an id; a bool is no integer here, nor is 1.0."""
    return value is None or type(value) in (str, int)


def id_of(body: Any) -> RequestId:
    """The id to echo: that of the request when it is a valid one, else null."""
    found = body.get("id") if isinstance(body, dict) else None
    return found if is_id(found) else None


def check_envelope(body: Any) -> None:
    """Refuse what is no single JSON-RPC 2.0 request. Unknown members are let through.

    Raises:
        Fault: -32600.
    """
    if not isinstance(body, dict):
        raise Fault(INVALID_REQUEST, "The body must be one JSON-RPC request object.")
    if body.get("jsonrpc") != "2.0":
        raise Fault(INVALID_REQUEST, 'jsonrpc must be "2.0".')
    if not isinstance(body.get("method"), str) or not body["method"]:
        raise Fault(INVALID_REQUEST, "method must be a non-empty string.")
    if not is_id(body.get("id")):
        raise Fault(INVALID_REQUEST, "id must be a string, an integer or null.")


def error_frame(
    request_id: RequestId, fault: Fault, dialect: Dialect | None = None
) -> dict[str, Any]:
    """A JSON-RPC error response; only 1.0 knows `data`."""
    error: dict[str, Any] = {"code": fault.code, "message": fault.message}
    if dialect is Dialect.V10:
        error["data"] = error_details(fault)
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def failure(
    request_id: RequestId,
    fault: Fault,
    dialect: Dialect | None = None,
    status: int | None = None,
) -> Response:
    """An error response over HTTP, with the fault's own status unless another is given."""
    status = fault.status if status is None else status
    return JSONResponse(error_frame(request_id, fault, dialect), status, failure_headers(status))


def failure_headers(status: int) -> dict[str, str] | None:
    """What HTTP wants beside a 401."""
    return {"WWW-Authenticate": "Bearer"} if status == 401 else None
