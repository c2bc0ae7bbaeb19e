"""What survives a restart of the moving world: rates, sessions, pins, kept answers, quotas."""

from typing import Any

from msgspec import Struct


class RateWindow(Struct, frozen=True):
    """One window of a key's rate rule: `window_s` seconds from `start_s`, epoch seconds."""

    key_id: str
    window_s: int
    start_s: int

    @property
    def end_s(self) -> int:
        """When the next one begins."""
        return self.start_s + self.window_s


class SessionRow(Struct, frozen=True):
    """A session of a key, or of callers without one. Times are epoch milliseconds."""

    owner: str
    id: str
    created_ms: int
    seen_ms: int
    requests: int = 0
    connection_id: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """What it is found by: ids of different owners have nothing to do with each other."""
        return self.owner, self.id


class Pin(Struct, frozen=True):
    """The model a conversation keeps in a combo. `seen_ms` is epoch milliseconds."""

    conversation: str
    combo: str
    provider: str
    model: str
    seen_ms: int


class Binding(Struct, frozen=True, kw_only=True):
    """A session and the account it used last at a provider. Epoch milliseconds."""

    session: str
    provider: str
    connection: str
    created_ms: int
    seen_ms: int


class CachedAnswer(Struct, frozen=True, kw_only=True):
    """A kept answer by its signature. `data` is the answer as JSON text."""

    signature: str
    owner: str
    model: str
    data: str
    tokens: int
    created_at_ms: int
    expires_at_ms: int
    hits: int = 0


class CacheEntry(Struct, frozen=True, kw_only=True):
    """A kept answer without its text."""

    signature: str
    model: str
    tokens: int
    created_at_ms: int
    expires_at_ms: int
    hits: int


class QuotaSnapshot(Struct, frozen=True, kw_only=True):
    """One window of an account's quota as its provider reported it. Times are epoch ms.

    `remaining_percentage` is None where the window has no end; `raw` is the report it came from,
    with this window alone in it, as JSON values.
    """

    id: str
    provider: str
    connection_id: str
    window_key: str
    remaining_percentage: float | None
    is_exhausted: bool
    next_reset_at_ms: int | None
    window_duration_ms: int | None
    raw: Any
    created_at_ms: int
