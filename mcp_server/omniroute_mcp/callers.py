"""Who calls, in which session and run, and whether the scopes suffice. 03 §3."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from mcp.server.context import ServerRequestContext
from starlette.requests import Request

from omniroute.caller import Caller, run_named
from omniroute_mcp.scopes import ScopeCheck, granted

Context: TypeAlias = ServerRequestContext[Any, Any]

CALLER = "omniroute_caller"
"""Where the HTTP transports put the caller, in the request's ASGI state."""

RUN_KEY = "omniroute/runId"
"""Where a client names, in `_meta`, the run a call belongs to."""


@dataclass(slots=True)
class Policy:
    """How scopes are checked, and who a stdio caller is.

    `enforce` switches the check on; `scopes` are those of callers that bring none.
    """

    enforce: bool = False
    scopes: frozenset[str] = frozenset()
    stdio_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Callers:
    """Tells of each request who made it and what it may do.

    `over_stdio` says that callers are the process that started this one, which is trusted; else
    every request carries the caller that the HTTP side established. `stdio_session` is the one
    session there is then.
    """

    policy: Policy
    over_stdio: bool = False
    stdio_session: str | None = None

    def of(self, context: Context) -> Caller:
        """The caller of a request."""
        caller = Caller(door="mcp", key_id=self.policy.stdio_key_id, is_operator=True)
        if not self.over_stdio:
            caller = _request(context).scope["state"][CALLER]
        meta: Mapping[str, Any] = context.meta or {}
        session_id = self.session_id(context)
        run = run_named(meta.get(RUN_KEY), meta.get("traceparent"))
        return msgspec.structs.replace(caller, session_id=session_id, run_id=run or session_id)

    def check(self, context: Context, caller: Caller, required: frozenset[str]) -> ScopeCheck:
        """Hold what the caller has against what is required."""
        held = granted(
            caller.scopes, context.meta or {}, self.policy.scopes, trusted=self.over_stdio
        )
        caller_id = caller.key_id or self.session_id(context) or caller.owner
        return ScopeCheck.of(caller_id, held, required)

    def refuses(self, check: ScopeCheck) -> bool:
        """Whether a check stands in the way of a call."""
        return self.policy.enforce and bool(check.missing)

    def session_id(self, context: Context) -> str | None:
        """The session of a request, None in the stateless era."""
        if self.over_stdio:
            return self.stdio_session
        request = _request(context)
        return request.headers.get("mcp-session-id") or request.query_params.get("session_id")


def _request(context: Context) -> Request:
    if context.request is None:  # nobody is trusted for lack of a request
        raise RuntimeError("A call over HTTP came without its request")
    request: Request = context.request
    return request
