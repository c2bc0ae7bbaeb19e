"""The error tree as HTTP statuses and bodies, in each client's own dialect."""

from collections.abc import Mapping
from typing import Any

from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.redaction import clean_message
from omniroute.errors import (
    BackupDamaged,
    BudgetExceeded,
    ClientGone,
    Conflict,
    Disabled,
    Forbidden,
    IdempotencyMismatch,
    InvalidRequest,
    MethodNotAllowed,
    NotConfigured,
    NotFound,
    NothingToRenew,
    OmniRouteError,
    PayloadTooLarge,
    RateLimited,
    ShuttingDown,
    SignInNeeded,
    StorageUnavailable,
    TargetsUnavailable,
    Unauthenticated,
    UpstreamFailed,
    ValidationFailed,
)

STATUS: Mapping[type[OmniRouteError], int] = {
    InvalidRequest: 400,
    IdempotencyMismatch: 422,
    BackupDamaged: 422,
    NothingToRenew: 422,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Conflict: 409,
    PayloadTooLarge: 413,
    BudgetExceeded: 429,
    RateLimited: 429,
    ClientGone: 499,
    UpstreamFailed: 502,
    TargetsUnavailable: 503,
    ShuttingDown: 503,
    Disabled: 503,
    StorageUnavailable: 503,
}
"""One status for each branch of the tree; a class without a row has its parent's."""

CODES: Mapping[type[OmniRouteError], str] = {
    Unauthenticated: "AUTH_002",
    MethodNotAllowed: "method_not_allowed",
    PayloadTooLarge: "PAYLOAD_TOO_LARGE",
    ShuttingDown: "SERVICE_UNAVAILABLE",
}
"""Machine codes that differ from the status table of a dialect."""

INTERNAL_MESSAGE = "The gateway failed on this request. The log has the details."


def status_of(error: OmniRouteError) -> int:
    """The HTTP status of an error; an upstream's own status is kept."""
    if isinstance(error, UpstreamFailed):
        return error.status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def error_facts(error: OmniRouteError, request_id: str) -> ErrorFacts:
    """An error as a dialect encodes it."""
    extras: dict[str, Any] = dict(error.extras)
    if isinstance(error, ValidationFailed):
        extras["details"] = details(error)
    if isinstance(error, Unauthenticated | ShuttingDown):
        extras["correlation_id"] = request_id
    return ErrorFacts(
        status=status_of(error),
        message=clean_message(str(error)),
        type=error.error_type if isinstance(error, UpstreamFailed) else None,
        code=error.code or CODES.get(type(error)),
        param=error.param,
        request_id=request_id,
        extras=extras,
    )


def internal_facts(request_id: str) -> ErrorFacts:
    """What callers see of a failure outside the tree: nothing about its cause."""
    return ErrorFacts(status=500, message=INTERNAL_MESSAGE, request_id=request_id)


def details(error: ValidationFailed) -> list[dict[str, str]]:
    """The broken fields, in the shape of the management API."""
    return [{"field": field, "message": message} for field, message in error.problems]


def management_body(error: OmniRouteError, request_id: str) -> dict[str, Any]:
    """An error body of `/api` (02 §1.4)."""
    message = clean_message(str(error))
    if isinstance(error, ValidationFailed):
        return {"error": {"message": "Invalid request", "details": details(error)}}
    if isinstance(error, Unauthenticated | Forbidden | ShuttingDown | PayloadTooLarge):
        kinds = {413: "payload_too_large", 503: "server_error"}
        return {
            "error": {
                "code": error.code or CODES.get(type(error)) or "AUTH_001",
                "message": message,
                "type": kinds.get(status_of(error), "invalid_request"),
                "correlation_id": request_id,
            },
            "requestId": request_id,
        }
    if isinstance(error, NotConfigured | SignInNeeded):
        return {"error": message, **error.extras}
    if error.extras:
        return {"error": {"message": message, **error.extras}}
    return {"error": message}


def enveloped(error: OmniRouteError, request_id: str) -> dict[str, Any]:
    """An error body of the handlers' own guard, and of the routes about proxies (02 §1.4)."""
    status = status_of(error)
    kinds = {404: "not_found", 409: "conflict", 413: "payload_too_large"}
    body: dict[str, Any] = {
        "message": clean_message(str(error)),
        "type": kinds.get(status, "server_error" if status >= 500 else "invalid_request"),
    }
    if isinstance(error, ValidationFailed):
        body = {**body, "message": "Invalid request", "details": details(error)}
    if isinstance(error, Unauthenticated | Forbidden):
        code = error.code or CODES.get(type(error))
        body = {**body, "code": code, "correlation_id": request_id}
    return {"error": body, "requestId": request_id}


def retry_headers(error: OmniRouteError) -> dict[str, str]:
    """Headers that tell when to come back."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.code == "provider_circuit_open":
        headers["x-omniroute-provider-breaker"] = "open"
    return headers
