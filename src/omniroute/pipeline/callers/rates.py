"""How often a key may ask: fixed windows, counted once a request, never past a limit. 05 §1.2.

A window's requests are taken from a store that all processes share, a slice at a time, so that
most requests ask nobody. The nearer the limit, the smaller the slice; what is not used goes back.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from omniroute.caller import RateRule
from omniroute.errors import RateLimited
from omniroute.pipeline.callers.key_policy import DAY_S, MINUTE_S
from omniroute.storage.records.live import RateWindow

SLICES = 16
"""A slice is a sixteenth of what is left of a window, and at least one request."""

IDLE_MS = 5_000
ASK_AGAIN_MS = 250
"""How long a window that is used up is taken to be so: others may give something back."""

_NAMES = {1: "second", MINUTE_S: "minute", 3_600: "hour", DAY_S: "day", 7 * DAY_S: "week"}


class RateStore(Protocol):
    """The shared counts. Every call is one atomic step."""

    async def take(self, window: RateWindow, limit: int, want: int) -> tuple[int, int]:
        """Take up to `want` requests of a window; how many that were, and how many are taken."""

    async def give_back(self, window: RateWindow, requests: int) -> None:
        """Return requests that were taken and not used."""

    async def drop_over(self, now_s: int) -> None:
        """Forget windows that have ended."""


class LocalCounts:
    """Counts of one process by itself."""

    def __init__(self) -> None:
        self._taken: dict[RateWindow, int] = {}

    async def take(self, window: RateWindow, limit: int, want: int) -> tuple[int, int]:
        """Take up to `want` requests of a window; how many that were, and how many are taken."""
        taken = self._taken.get(window, 0)
        granted = max(0, min(want, limit - taken))
        self._taken[window] = taken + granted
        return granted, taken + granted

    async def give_back(self, window: RateWindow, requests: int) -> None:
        """Return requests that were taken and not used."""
        self._taken[window] -= requests

    async def drop_over(self, now_s: int) -> None:
        """Forget windows that have ended."""
        self._taken = {one: taken for one, taken in self._taken.items() if one.end_s > now_s}


@dataclass(slots=True, eq=False)
class Slice:
    """What this process holds of a window: `free` requests it has taken and not used.

    `taken` is what everybody has taken as far as is known; `lock` keeps steps at the store in
    their order. Times are epoch milliseconds.
    """

    window: RateWindow
    limit: int
    free: int = 0
    taken: int = 0
    used_at_ms: int = 0
    asked_at_ms: int | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


Counted: TypeAlias = tuple[Slice, ...]
"""The windows a request was counted in."""


class Rates:
    """Counts the requests of keys. `now_ms` is epoch milliseconds."""

    def __init__(self, now_ms: Callable[[], int], store: RateStore | None = None) -> None:
        self._now_ms = now_ms
        self._store = store or LocalCounts()
        self._slices: dict[RateWindow, Slice] = {}

    async def count(self, key_id: str, rules: Sequence[RateRule]) -> Counted:
        """Count a request in the window of every rule, or in none.

        Raises:
            RateLimited: a window is used up; the one that lasts longest is told.
            StorageUnavailable: the shared counts cannot be read.
        """
        if not rules:
            return ()
        slices = [await self._slice(key_id, window_s, n) for window_s, n in _tightest(rules)]
        while poor := [one for one in slices if one.free < 1]:
            # Nothing is awaited between the last look and the counting: it holds for all.
            used_up = [one for one in poor if not await self._refilled(one)]
            if used_up:
                raise self._refusal(max(used_up, key=lambda one: one.window.end_s))
        for one in slices:
            one.free -= 1
            one.used_at_ms = self._now_ms()
        return tuple(slices)

    def uncount(self, counted: Counted) -> None:
        """A request was refused for a reason that comes before its rate."""
        for one in counted:
            one.free += 1

    async def give_back(self, *, everything: bool = False) -> None:
        """Return what nobody has used for a while, or all of it; forget what is over."""
        now_ms = self._now_ms()
        over = [one for one in self._slices if one.end_s * 1000 <= now_ms]
        for window in over:
            del self._slices[window]
        for one in list(self._slices.values()):
            if everything or now_ms - one.used_at_ms >= IDLE_MS:
                await self._return(one)
        if over:
            await self._store.drop_over(now_ms // 1000)

    async def _slice(self, key_id: str, window_s: int, limit: int) -> Slice:
        now_s = self._now_ms() // 1000
        window = RateWindow(key_id, window_s, now_s // window_s * window_s)
        found = self._slices.get(window)
        if found is None:
            found = self._slices[window] = Slice(window, limit, used_at_ms=self._now_ms())
        elif found.limit != limit:  # what was taken under another limit may be too much now
            found.limit, found.asked_at_ms = limit, None
            await self._return(found)
        return found

    async def _refilled(self, one: Slice) -> bool:
        """Whether there is a request free, once the store was asked for more."""
        async with one.lock:
            now_ms = self._now_ms()
            asked_ms = one.asked_at_ms
            if one.free > 0:
                return True
            if asked_ms is not None and now_ms - asked_ms < ASK_AGAIN_MS:
                return False
            want = max(1, (one.limit - one.taken) // SLICES)
            granted, one.taken = await self._store.take(one.window, one.limit, want)
            one.free += granted
            one.asked_at_ms = None if granted else now_ms
            return granted > 0

    async def _return(self, one: Slice) -> None:
        async with one.lock:
            free, one.free = one.free, 0
            if free:
                one.taken -= free
                await self._store.give_back(one.window, free)

    def _refusal(self, one: Slice) -> RateLimited:
        window = one.window
        name = _NAMES.get(window.window_s)
        span = f"a {name}" if name else f"in {window.window_s} seconds"
        left_s = max(1, -(-(window.end_s * 1000 - self._now_ms()) // 1000))
        return RateLimited(
            f"This API key may ask {one.limit} times {span}, and has. "
            f"The next window begins in {left_s} s.",
            code="rate_limit_exceeded",
            retry_after_s=left_s,
            extras={
                "limit": one.limit,
                "window": window.window_s,
                "reset_at": window.end_s * 1000,
            },
        )


def _tightest(rules: Sequence[RateRule]) -> list[tuple[int, int]]:
    """Seconds and limit of each window; of several rules for one window the lowest counts."""
    limits: dict[int, int] = {}
    for rule in rules:
        limits[rule.window] = min(rule.limit, limits.get(rule.window, rule.limit))
    return list(limits.items())
