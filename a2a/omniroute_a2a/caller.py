"""The caller as the SDK carries it: its user, whose name is the owner of tasks."""

from dataclasses import dataclass
from typing import Any

from a2a.auth.user import User
from a2a.extensions.common import get_requested_extensions
from a2a.server.context import ServerCallContext
from a2a.server.routes.common import ServerCallContextBuilder
from starlette.requests import Request

from omniroute.caller import Caller

SCOPE_KEY = "omniroute.caller"
"""Where the HTTP+JSON binding finds the caller its gate has authenticated."""


@dataclass(frozen=True, slots=True)
class CallerUser(User):
    """A `Caller` behind the SDK's interface."""

    caller: Caller

    @property
    def is_authenticated(self) -> bool:
        return self.caller.key_id is not None

    @property
    def user_name(self) -> str:
        return self.caller.owner


@dataclass(frozen=True, slots=True)
class OwnerUser(User):
    """Stands for the owner of a task when an operator acts on it."""

    owner: str

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def user_name(self) -> str:
        return self.owner


def call_context(request: Request, caller: Caller) -> ServerCallContext:
    """The SDK's context of one call."""
    state: dict[str, Any] = {"headers": dict(request.headers)}
    return ServerCallContext(
        user=CallerUser(caller),
        state=state,
        requested_extensions=get_requested_extensions(request.headers.getlist("a2a-extensions")),
    )


def caller_of(context: ServerCallContext) -> Caller:
    """Who asks. A context that an operator made for an owner has no caller to speak of."""
    user = context.user
    return user.caller if isinstance(user, CallerUser) else Caller(door="a2a")


class ContextBuilder(ServerCallContextBuilder):
    """Makes the context of an HTTP+JSON call from what its gate left in the scope."""

    def build(self, request: Request) -> ServerCallContext:
        return call_context(request, request.scope[SCOPE_KEY])
