"""What a provider says is left of an account: windows, balances, a plan. Facts, no judgement."""

import re
from collections.abc import Mapping

from msgspec import Struct

_HOUR_MS = 3_600_000
_UNITS_MS: Mapping[str, int] = {"m": 60_000, "h": _HOUR_MS, "d": 24 * _HOUR_MS}
_LENGTH = re.compile(r"(\d+)\s*(m|h|d)(?:in|our|ay)?s?\b")
_NAMED_MS: Mapping[str, int] = {
    "session": 5 * _HOUR_MS,
    "hour": _HOUR_MS,
    "daily": 24 * _HOUR_MS,
    "day": 24 * _HOUR_MS,
    "week": 7 * 24 * _HOUR_MS,
    "month": 30 * 24 * _HOUR_MS,
}
_TIERS: Mapping[str, tuple[str, ...]] = {
    "ultra": ("ultra", "max", "enterprise"),
    "pro": ("pro", "plus", "premium", "team", "business"),
    "standard": ("standard", "basic", "lite", "starter"),
    "free": ("free", "trial"),
}


class QuotaWindow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One window of a quota.

    `left` is the share that is left (0-1), None where the window has no end of its own
    (`unlimited`). `used` and `total` are in the provider's unit, `reset_at_ms` is an epoch.
    """

    left: float | None = None
    used: float | None = None
    total: float | None = None
    reset_at_ms: int | None = None
    unlimited: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing is left of it."""
        return self.left is not None and self.left <= 0


class Balance(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Money or credits an account has. `currency` is None where the provider does not say."""

    amount: float
    currency: str | None = None


class QuotaReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer about one account. `available` is false when the provider refuses its calls."""

    plan: str | None = None
    windows: dict[str, QuotaWindow] = {}
    balances: tuple[Balance, ...] = ()
    available: bool = True
    message: str | None = None

    @property
    def exhausted(self) -> bool:
        """Whether nothing can be asked of the account: refused, or every window is empty."""
        windows = self.windows.values()
        return not self.available or (bool(windows) and all(row.empty for row in windows))

    @property
    def tier(self) -> str | None:
        """What kind of account the plan makes it: `ultra`, `pro`, `standard` or `free`."""
        words = set(re.findall(r"[a-z]+", (self.plan or "").lower()))
        return next((tier for tier, known in _TIERS.items() if words & set(known)), None)


def plain(name: str) -> str:
    """A window's name as it is compared: `Weekly (7d)` is `weekly 7d`."""
    return re.sub(r"[\s_\-()]+", " ", name).strip().lower()


def length_ms(name: str) -> int | None:
    """How long a window runs, read from its name: `session (5h)`, `weekly`; None if unsaid."""
    text = plain(name)
    found = _LENGTH.search(text)
    if found:
        return int(found[1]) * _UNITS_MS[found[2]]
    return next((ms for word, ms in _NAMED_MS.items() if word in text), None)
