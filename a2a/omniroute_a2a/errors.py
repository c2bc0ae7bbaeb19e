"""How failures look on the A2A wire: a code and a message, never the text of a stray exception.

Codes and reasons are those of 04 §6.3; HTTP statuses of JSON-RPC errors those of 04 §2.
"""

import logging
from typing import Any

from a2a.utils.errors import A2A_ERROR_REASONS, JSON_RPC_ERROR_CODE_MAP, A2AError, InternalError

from omniroute.errors import (
    BudgetExceeded,
    ClientGone,
    Conflict,
    Disabled,
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    OmniRouteError,
    PayloadTooLarge,
    RateLimited,
    ShuttingDown,
    StorageUnavailable,
    TargetsUnavailable,
    Unauthenticated,
    UpstreamFailed,
)

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
DISABLED = -32000
TASK_NOT_FOUND = -32001
UNSUPPORTED_OPERATION = -32004
VERSION_NOT_SUPPORTED = -32009

CODES: dict[type[OmniRouteError], int] = {
    InvalidRequest: INVALID_PARAMS,
    Unauthenticated: INVALID_REQUEST,
    Forbidden: INVALID_REQUEST,
    NotFound: TASK_NOT_FOUND,
    MethodNotAllowed: METHOD_NOT_FOUND,
    Conflict: UNSUPPORTED_OPERATION,
    PayloadTooLarge: INVALID_REQUEST,
    BudgetExceeded: INTERNAL_ERROR,
    RateLimited: INTERNAL_ERROR,
    UpstreamFailed: INTERNAL_ERROR,
    TargetsUnavailable: INTERNAL_ERROR,
    ClientGone: INTERNAL_ERROR,
    ShuttingDown: INTERNAL_ERROR,
    Disabled: DISABLED,
    StorageUnavailable: INTERNAL_ERROR,
}
"""JSON-RPC code per class; a subclass without a row takes that of its nearest parent."""

STATUSES: dict[type[OmniRouteError], int] = {Unauthenticated: 401, Forbidden: 403, Disabled: 503}
"""HTTP status where it is not 200: A2A answers these three with a status of their own."""

REASONS: dict[int, str] = {
    code: A2A_ERROR_REASONS[kind]
    for kind, code in JSON_RPC_ERROR_CODE_MAP.items()
    if kind in A2A_ERROR_REASONS
}

INTERNAL_MESSAGE = "Internal error"
SWITCHED_OFF = "A2A is switched off in the settings of this gateway."

log = logging.getLogger(__name__)


class Fault(Exception):
    """A failure in the shape the wire needs.

    Args:
        code: JSON-RPC error code.
        message: one line for the caller.
        status: HTTP status; 200 is what A2A wants for JSON-RPC errors.
        violations: `(field, message)` pairs of a failed validation.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: int = 200,
        violations: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.violations = violations


def fault_of(error: Exception) -> Fault:
    """Translate any exception. Those outside the known trees are logged and become -32603."""
    match error:
        case Fault():
            return error
        case OmniRouteError():
            return Fault(
                nearest(CODES, type(error)),
                str(error),
                status=nearest(STATUSES, type(error), default=200),
            )
        case A2AError() if not isinstance(error, InternalError):
            code = JSON_RPC_ERROR_CODE_MAP.get(type(error), INTERNAL_ERROR)
            return Fault(code, error.message, violations=violations_of(error))
        case _:
            log.error("an A2A request failed", exc_info=error)
            return Fault(INTERNAL_ERROR, INTERNAL_MESSAGE)


def nearest(
    table: dict[type[OmniRouteError], int],
    kind: type[OmniRouteError],
    default: int = INTERNAL_ERROR,
) -> int:
    """The value of `kind` or of its nearest parent that has a row."""
    return next((table[parent] for parent in kind.__mro__ if parent in table), default)


def violations_of(error: A2AError) -> tuple[tuple[str, str], ...]:
    """The fields the SDK's validation complained about."""
    problems = (error.data or {}).get("errors", ())
    return tuple((problem["field"], problem["message"]) for problem in problems)


def error_details(fault: Fault) -> list[dict[str, Any]]:
    """What 1.0 carries in `error.data`: an ErrorInfo, and a BadRequest when fields are at fault."""
    details: list[dict[str, Any]] = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": REASONS.get(fault.code, "INTERNAL_ERROR"),
            "domain": "a2a-protocol.org",
            "metadata": {},
        }
    ]
    if fault.violations:
        details.append(
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [
                    {"field": field, "description": message} for field, message in fault.violations
                ],
            }
        )
    return details
