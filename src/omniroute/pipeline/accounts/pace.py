"""How fast requests to one account may follow one another, as set and as learned from headers."""

from collections.abc import Mapping
from dataclasses import dataclass

from omniroute.routing.resilience.retry_hints import header_delay_ms

MINUTE_MS = 60_000
_LIMITS = (
    ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    (
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
)
_SCARCE, _PLENTY = 0.1, 0.5


@dataclass(slots=True)
class Pace:
    """When the next request may start. Times are epoch milliseconds.

    `left` is how many may still start before `refill_at_ms`; None for any number.
    """

    last_start_ms: int = -MINUTE_MS
    minute_start_ms: int = -MINUTE_MS
    in_minute: int = 0
    gap_ms: int = 0
    limit: int = 0
    left: int | None = None
    refill_at_ms: int = 0
    paused_until_ms: int = 0

    def wait_ms(self, now_ms: int, per_minute: int | None, gap_ms: int) -> int:
        """How long until a request may start; 0 for now.

        Args:
            per_minute: how many an operator lets start in a minute.
            gap_ms: the least time between two starts an operator wants.
        """
        starts = [self.paused_until_ms, self.last_start_ms + max(gap_ms, self.gap_ms)]
        minute_end_ms = self.minute_start_ms + MINUTE_MS
        if per_minute is not None and now_ms < minute_end_ms and self.in_minute >= per_minute:
            starts.append(minute_end_ms)
        if self.left is not None and self.left <= 0:
            starts.append(self.refill_at_ms)
        return max(0, max(starts) - now_ms)

    def take(self, now_ms: int) -> None:
        """A request starts."""
        self.last_start_ms = now_ms
        if now_ms >= self.minute_start_ms + MINUTE_MS:
            self.minute_start_ms, self.in_minute = now_ms, 0
        self.in_minute += 1
        if self.left is not None:
            if now_ms >= self.refill_at_ms:
                self.left, self.refill_at_ms = self.limit, now_ms + MINUTE_MS
            self.left -= 1

    def learn(
        self, status: int, headers: Mapping[str, str], hint_ms: int | None, now_ms: int
    ) -> None:
        """Take in what an answer says: when to come back, or how much of its limit is left."""
        if status == 429:
            if hint_ms is not None:
                self.paused_until_ms = max(self.paused_until_ms, now_ms + hint_ms)
            return
        for limit_name, left_name, reset_name in _LIMITS:
            limit, left = _count(headers.get(limit_name)), _count(headers.get(left_name))
            if not limit or left is None:
                continue
            self.limit = limit
            if left > limit * _PLENTY:
                self.gap_ms, self.left = 0, None
                return
            self.gap_ms = max(0, MINUTE_MS // limit - 10)
            if left < limit * _SCARCE:
                reset_ms = header_delay_ms(headers.get(reset_name), now_ms)
                self.left = left
                self.refill_at_ms = now_ms + (MINUTE_MS if reset_ms is None else reset_ms)
            return


def _count(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
