"""Every failure a caller may see, in one tree. Protocols map the classes at their own edge.

`str(error)` is fit for the caller: it says what happened and what to do next, and never quotes
a cause, a path, SQL or a secret. Causes are chained with `raise ... from`.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class OmniRouteError(Exception):
    """Base of the tree.

    Args:
        message: one line for the caller.
        code: machine code that replaces the protocol's default for this class.
        param: dotted path of the offending input field.
        retry_after_s: whole seconds until a retry can succeed, at least 1.
        extras: further members a protocol may show beside the message.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.retry_after_s = None if retry_after_s is None else max(1, retry_after_s)
        self.extras = dict(extras or {})


class InvalidRequest(OmniRouteError):
    """The request cannot be understood or is contradictory; repeating it cannot help."""


class ValidationFailed(InvalidRequest):
    """Fields of a body break its schema.

    Args:
        problems: `(dotted field, message)` pairs; `"body"` names an unparsable body.
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        first_field, first_message = problems[0]
        where = f"{first_field}: " if first_field else ""
        super().__init__(f"{where}{first_message}", param=first_field or None)
        self.problems = tuple(problems)


class UnknownModel(InvalidRequest):
    """No combo, provider or catalogue entry answers to the model name."""


class AmbiguousModel(InvalidRequest):
    """Several providers list the bare model name; the message says what to write instead.

    Args:
        providers: their ids, those that can be asked where there are any.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        providers: Sequence[str] = (),
    ) -> None:
        super().__init__(message, code=code, param=param)
        self.providers = tuple(providers)


class NoCredentials(InvalidRequest):
    """The provider is known but no account of it is configured."""


class IdempotencyMismatch(InvalidRequest):
    """The idempotency key belongs to another request of the same caller."""


class NothingToRenew(InvalidRequest):
    """The account has no token that another one could be had for."""


class BackupDamaged(InvalidRequest):
    """The backup exists, but its file fails the checks; nothing was changed."""


class Unauthenticated(OmniRouteError):
    """A credential is required and none that counts was presented."""


class Forbidden(OmniRouteError):
    """The credential is known and may not do this."""


class NotFound(OmniRouteError):
    """The named thing does not exist, or not for this caller."""


class MethodNotAllowed(OmniRouteError):
    """The path exists, the method does not."""


class Conflict(OmniRouteError):
    """The write collides with something that exists."""


class NotConfigured(Conflict):
    """The thing is known here, and the operator has not set it up."""


class PayloadTooLarge(OmniRouteError):
    """The body is over the configured limit."""


class BudgetExceeded(OmniRouteError):
    """A spending limit refuses the request before dispatch."""


class RateLimited(OmniRouteError):
    """A rate rule of the gateway refuses the request."""


class UpstreamFailed(OmniRouteError):
    """Every target that was tried failed; carries the most informative failure.

    Args:
        status: HTTP status of the failure as a client should see it.
        error_type: the upstream's own error type, where it named one.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        error_type: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, retry_after_s=retry_after_s, extras=extras)
        self.status = status
        self.error_type = error_type


class SignInNeeded(UpstreamFailed):
    """The provider does not renew an account's tokens any more; somebody has to sign in."""


class TargetsUnavailable(OmniRouteError):
    """Nothing could be tried: every candidate is cooling down, broken or switched off."""


class ClientGone(OmniRouteError):
    """The caller hung up before the answer was complete. Only ever logged."""


class ShuttingDown(OmniRouteError):
    """The gateway is draining and takes no new work."""


class Disabled(OmniRouteError):
    """The feature exists and a setting switches it off."""


class StorageUnavailable(OmniRouteError):
    """Durable state cannot be read or written right now."""
