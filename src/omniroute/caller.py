"""Who asks: the identity a door has established, with what it may do."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

Door: TypeAlias = Literal["http", "mcp", "a2a", "cli"]

ENV_KEY_ID = "env-key"


class RateRule(Struct, frozen=True):
    """At most `limit` requests in each window of `window` seconds; windows begin at multiples."""

    limit: int
    window: int


class Caller(Struct, frozen=True, kw_only=True):
    """The author of a request.

    `key_id` is None for anonymous callers. `scopes` are those of the key; `is_operator` is true
    for whoever may manage the gateway. Empty `allowed_*` mean no restriction.
    `run_id` ties together everything one undertaking causes, `task_id` is the A2A task.
    `max_sessions` 0 is any number.
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
    session_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None

    @property
    def owner(self) -> str:
        """The name under which this caller's records are kept apart from others'."""
        return self.key_id or "anonymous"


def covers(held: Iterable[str], wanted: str) -> bool:
    """Whether some scope that is held is the wanted one, `*`, or a prefix of it as `read:*` is."""
    return any(
        have in ("*", wanted) or (have.endswith("*") and wanted.startswith(have[:-1]))
        for have in held
    )
