"""Time as the house writes it: epoch milliseconds inside, ISO-8601 UTC at the edges."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Wall-clock epoch milliseconds. Injected wherever a rule depends on time."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """Epoch milliseconds as `2026-05-13T12:34:56.789Z`."""
    return (
        datetime.fromtimestamp(ms / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def from_iso(text: str) -> int:
    """Epoch milliseconds of an ISO-8601 text; without a zone it is read as UTC.

    Raises:
        ValueError: not a date.
    """
    when = datetime.fromisoformat(text)
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
