"""Who asks: the identity a door has established, with what it may do."""

from typing import Literal, TypeAlias

from msgspec import Struct

Door: TypeAlias = Literal["http", "mcp", "a2a", "cli"]

ENV_KEY_ID = "env-key"


class Caller(Struct, frozen=True, kw_only=True):
    """The author of a request.

    `key_id` is None for anonymous callers. `scopes` are those of the key; `is_operator` is true
    for whoever may manage the gateway. Empty `allowed_*` mean no restriction.
    `run_id` ties together everything one task causes.
    """

    door: Door
    key_id: str | None = None
    key_name: str | None = None
    scopes: frozenset[str] = frozenset()
    is_operator: bool = False
    allowed_models: tuple[str, ...] = ()
    allowed_connections: tuple[str, ...] = ()
    session_id: str | None = None
    run_id: str | None = None

    @property
    def owner(self) -> str:
        """The name under which this caller's records are kept apart from others'."""
        return self.key_id or "anonymous"
