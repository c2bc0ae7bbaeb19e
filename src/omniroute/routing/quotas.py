"""What is left of accounts' quotas: as reported, as seen in headers, as learned from refusals.

Source: 05 §5.4. A window that nobody reported is absent, never guessed.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from omniroute.routing.retry_hints import header_delay_ms
from omniroute.routing.targets import Quota

FRESH_MS = 5 * 60_000
"""How long a report without a reset counts, and a refusal that named no time."""

DEFAULT_THRESHOLD_PERCENT = 99.0
_SESSION = ("5h", "session", "five hour")
_WEEK = ("7d", "weekly", "week", "seven day")
_HEADERS = (
    ("x-ratelimit-limit-{0}", "x-ratelimit-remaining-{0}", "x-ratelimit-reset-{0}"),
    (
        "anthropic-ratelimit-{0}-limit",
        "anthropic-ratelimit-{0}-remaining",
        "anthropic-ratelimit-{0}-reset",
    ),
)
_COUNTED = ("requests", "tokens", "input-tokens", "output-tokens")


class Window(Struct, frozen=True, kw_only=True):
    """One window of a quota. `used` is a share (0-1); times are epoch milliseconds."""

    used: float
    seen_at_ms: int
    reset_at_ms: int | None = None

    def holds(self, now_ms: int) -> bool:
        """Whether this still says something."""
        end_ms = self.seen_at_ms + FRESH_MS if self.reset_at_ms is None else self.reset_at_ms
        return now_ms < end_ms


class Quotas:
    """The windows of each account, in memory. All methods are synchronous.

    Args:
        now_ms: the injected clock, epoch milliseconds.
        policy: an account's `limitPolicy` as its operator wrote it.
    """

    def __init__(
        self, now_ms: Callable[[], int], policy: Callable[[str], object] = lambda _account: None
    ) -> None:
        self._now_ms = now_ms
        self._policy = policy
        self._windows: dict[str, dict[str, Window]] = {}
        self._empty_until_ms: dict[str, int] = {}

    def report(self, connection: str, windows: Mapping[str, tuple[float, int | None]]) -> None:
        """An account's provider reports its windows: the share that is left, and the reset."""
        now = self._now_ms()
        self._windows[connection] = {
            name: Window(used=_used(left), seen_at_ms=now, reset_at_ms=reset_ms)
            for name, (left, reset_ms) in windows.items()
        }
        self._empty_until_ms.pop(connection, None)

    def learn(self, connection: str, headers: Mapping[str, str]) -> None:
        """Take in what the headers of an answer say about limits."""
        now = self._now_ms()
        for counted in _COUNTED:
            for names in _HEADERS:
                limit, left, reset = (headers.get(name.format(counted)) for name in names)
                share = _share(limit, left)
                if share is None:
                    continue
                delay_ms = header_delay_ms(reset, now)
                window = Window(
                    used=_used(share),
                    seen_at_ms=now,
                    reset_at_ms=None if delay_ms is None else now + delay_ms,
                )
                self._windows.setdefault(connection, {})[counted] = window

    def exhausted(self, connection: str, until_ms: int | None = None) -> None:
        """An account refused because its quota is used up."""
        now = self._now_ms()
        self._empty_until_ms[connection] = now + FRESH_MS if until_ms is None else until_ms

    def of(self, connection: str) -> Quota | None:
        """What is known right now; None for nothing."""
        now = self._now_ms()
        windows = self._current(connection)
        empty = self._empty_until_ms.get(connection, 0) > now
        if not windows and not empty:
            return None
        session, week = _named(windows, _SESSION), _named(windows, _WEEK)
        return Quota(
            used=max((row.used for row in windows.values()), default=None),
            used_5h=session.used if session else None,
            used_7d=week.used if week else None,
            reset_5h_ms=session.reset_at_ms if session else None,
            reset_7d_ms=week.reset_at_ms if week else None,
            exhausted=empty or all(row.used >= 1 for row in windows.values()),
        )

    def over_limit(self, connection: str) -> tuple[str, int | None] | None:
        """Why an account is left alone by its `limitPolicy`, and until when (epoch ms)."""
        policy = self._policy(connection)
        if not isinstance(policy, Mapping) or policy.get("enabled") is not True:
            return None
        threshold = _percent(policy.get("thresholdPercent"), DEFAULT_THRESHOLD_PERCENT) / 100
        listed = policy.get("windows")
        windows = self._current(connection)
        for name in listed if isinstance(listed, list) else []:
            row = _named(windows, (_plain(str(name)),))
            if row is not None and row.used >= threshold:
                return "quota_policy", row.reset_at_ms
        return None

    def forget(self, connection: str) -> None:
        """A credential changed: nothing is known of it."""
        self._windows.pop(connection, None)
        self._empty_until_ms.pop(connection, None)

    def _current(self, connection: str) -> dict[str, Window]:
        now = self._now_ms()
        windows = self._windows.get(connection, {})
        return {name: row for name, row in windows.items() if row.holds(now)}


def _named(windows: Mapping[str, Window], names: Iterable[str]) -> Window | None:
    """The window with one of these names, exact or as its beginning: `weekly (7d)` is `weekly`."""
    for name in names:
        for written, row in windows.items():
            if _plain(written) == name or _plain(written).startswith(f"{name} "):
                return row
    return None


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-()]+", " ", name).strip().lower()


def _share(limit: str | None, left: str | None) -> float | None:
    try:
        whole, rest = float(limit or ""), float(left or "")
    except ValueError:
        return None
    return rest / whole if whole > 0 and rest >= 0 else None


def _used(left: float) -> float:
    return round(1 - min(1.0, max(0.0, left)), 6)


def _percent(value: object, default: float) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 100
    return float(value) if fits and isinstance(value, int | float) else default
