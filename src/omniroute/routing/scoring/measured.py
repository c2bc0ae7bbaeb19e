"""What was measured of targets and combos: success, latency, how often, who answered last."""

from collections import deque
from collections.abc import Callable, Iterable
from statistics import fmean, pstdev

from omniroute.routing.percentile import percentile
from omniroute.routing.targets import LastGood, Performance
from omniroute.storage.records.usage import UsageRow

WINDOW_MS = 24 * 3_600_000
MOST_SAMPLES = 500
"""Samples kept of each model at each provider: the newest say enough."""

MOST_RESTORED = 10_000
"""Attempts that are read back at a start. Source: 05 §10.7."""

FEWEST_FOR_LATENCY = 3
_FRESH_MS = 60_000


class Measured:
    """Samples of the last day in memory; loaded from the usage history at start.

    Args:
        now_ms: the injected clock, epoch milliseconds.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._samples: dict[tuple[str, str], deque[tuple[int, bool, int]]] = {}
        self._known: dict[tuple[str, str], tuple[int, Performance | None]] = {}
        self._requests: dict[tuple[str, str], int] = {}
        self._last_good: dict[str, LastGood] = {}

    def note(
        self, provider: str, model: str, *, ok: bool, latency_ms: int, at_ms: int | None = None
    ) -> None:
        """One attempt: whether it delivered, and how long until it did."""
        key = (provider, model)
        samples = self._samples.setdefault(key, deque(maxlen=MOST_SAMPLES))
        samples.append((self._now_ms() if at_ms is None else at_ms, ok, latency_ms))
        self._known.pop(key, None)

    def asked(self, combo: str, model: str, times: int = 1) -> None:
        """A combo sent a request to a model."""
        key = (combo, model)
        self._requests[key] = self._requests.get(key, 0) + times

    def answered(self, combo: str, good: LastGood) -> None:
        """A combo got its answer from here."""
        self._last_good[combo] = good

    def restore(self, attempts: Iterable[UsageRow]) -> None:
        """Take over what earlier processes measured, oldest first."""
        for row in attempts:
            self.note(
                row.provider,
                row.model,
                ok=row.success,
                latency_ms=row.latency_ms if row.ttft_ms is None else row.ttft_ms,
                at_ms=row.timestamp_ms,
            )
            if row.combo is None:
                continue
            self.asked(row.combo, f"{row.provider}/{row.model}")
            if row.success:
                good = LastGood(
                    provider=row.provider,
                    model=row.model,
                    connection=row.connection_id,
                    at_ms=row.timestamp_ms,
                )
                self.answered(row.combo, good)

    def performance(self, provider: str, model: str) -> Performance | None:
        """What the last day says about a model; None when it says nothing."""
        key = (provider, model)
        if key not in self._samples:
            return None
        now = self._now_ms()
        fresh = self._known.get(key)
        if fresh is None or now - fresh[0] > _FRESH_MS:
            fresh = self._known[key] = (now, self._summed(key, now))
        return fresh[1]

    def requests(self, combo: str, model: str) -> int:
        """How often a combo asked a model."""
        return self._requests.get((combo, model), 0)

    def last_good(self, combo: str) -> LastGood | None:
        """Who answered a combo last, within a day."""
        good = self._last_good.get(combo)
        return good if good is not None and self._now_ms() - good.at_ms < WINDOW_MS else None

    def _summed(self, key: tuple[str, str], now_ms: int) -> Performance | None:
        samples = self._samples[key]
        while samples and samples[0][0] < now_ms - WINDOW_MS:
            samples.popleft()
        if not samples:
            return None
        good = sorted(latency for _, ok, latency in samples if ok)
        success_rate = len(good) / len(samples)
        if len(good) < FEWEST_FOR_LATENCY:
            return Performance(samples=len(samples), success_rate=success_rate)
        return Performance(
            samples=len(samples),
            success_rate=success_rate,
            avg_latency_ms=fmean(good),
            p95_latency_ms=percentile(good, 95),
            latency_stddev_ms=pstdev(good),
        )
