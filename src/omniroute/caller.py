"""Who asks: the identity a door has established, with what it may do."""

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

Door: TypeAlias = Literal["http", "mcp", "a2a", "cli"]

Credential: TypeAlias = Literal["none", "key", "session", "cli", "system"]
"""What a caller showed: nothing, an API key, a dashboard session, the token of this machine's
command line; `system` is the gateway itself, in work nobody asked for."""

ENV_KEY_ID = "env-key"

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


class RateRule(Struct, frozen=True):
    """At most `limit` requests in each window of `window` seconds; windows begin at multiples."""

    limit: int
    window: int


class Caller(Struct, frozen=True, kw_only=True):
    """The author of a request.

    `key_id` is None for anonymous callers. `scopes` are those of the key; `is_operator` is true
    for whoever may manage the gateway. Empty `allowed_*` mean no restriction.
    `run_id` ties together everything one undertaking causes, `task_id` is the A2A task, `step_id`
    the step of the run in which the caller acts: what it causes happens below that step.
    `max_sessions` 0 is any number. `auto_resolve` leaves it to the gateway which of several
    providers that list a model is asked. `no_log` keeps its requests out of the call log.
    `address` is where the request came from and `request_id` its id, for the audit log.
    """

    door: Door
    key_id: str | None = None
    key_name: str | None = None
    scopes: frozenset[str] = frozenset()
    is_operator: bool = False
    allowed_models: tuple[str, ...] = ()
    allowed_connections: tuple[str, ...] = ()
    rate_rules: tuple[RateRule, ...] = ()
    max_sessions: int = 0
    auto_resolve: bool = False
    no_log: bool = False
    session_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    step_id: str | None = None
    credential: Credential = "none"
    address: str | None = None
    request_id: str | None = None

    @property
    def actor(self) -> str:
        """The name under which the audit log has what this caller does."""
        if self.key_id is not None:
            return f"key:{self.key_id}"
        names = {"session": "admin", "cli": "cli", "system": "system"}
        return names.get(self.credential, "local" if self.is_operator else "anonymous")

    @property
    def owner(self) -> str:
        """The name under which this caller's records are kept apart from others'."""
        return self.key_id or "anonymous"


def on_behalf(owner: Caller, asking: Caller) -> Caller:
    """The owner of a key, in the session, run, step and task of whoever asks for them."""
    return replace(
        owner,
        session_id=asking.session_id,
        run_id=asking.run_id,
        step_id=asking.step_id,
        task_id=asking.task_id,
    )


def covers(held: Iterable[str], wanted: str) -> bool:
    """Whether some scope that is held is the wanted one, `*`, or a prefix of it as `read:*` is."""
    return any(
        have in ("*", wanted) or (have.endswith("*") and wanted.startswith(have[:-1]))
        for have in held
    )


def run_named(named: object, traceparent: object = None) -> str | None:
    """The run a client says it is in: by name, else the trace of its W3C trace context."""
    if isinstance(named, str) and named.strip():
        return named.strip()[:200]
    found = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    return found["trace"] if found is not None else None


SYSTEM = Caller(door="cli", credential="system", is_operator=True)
"""The gateway itself, in work nobody asked for."""
