"""How long requests take, and which part of it: the newest ones, in memory. Source: 05 §10.7."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

Phase: TypeAlias = Literal["parse", "policy", "resolve", "connect", "stream", "finalize"]
"""`parse` reads the body, `policy` admits, looks for a kept answer and sets money aside, `resolve`
plans, `connect` lasts until an upstream has answered or all have failed, `stream` until the answer
is complete, `finalize` writes down. A phase that a request did not have is not in its laps."""

MOST_SAMPLES = 1_000

_FAILED = frozenset({"failed", "cut", "refused"})


class Stopwatch:
    """The time of one request, lap by lap.

    Args:
        clock: a clock that never goes back, in seconds.
    """

    __slots__ = ("_began", "_clock", "_last", "laps")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = self._last = clock()
        self.laps: dict[Phase, float] = {}

    def lap(self, phase: Phase) -> None:
        """What has passed since the last lap belongs to `phase`. Seconds."""
        now = self._clock()
        self.laps[phase] = self.laps.get(phase, 0) + now - self._last
        self._last = now

    def skip(self) -> None:
        """What has passed since the last lap counts in the total and belongs to no phase."""
        self._last = self._clock()

    @property
    def gateway_s(self) -> float:
        """What was done for the request, without the waiting for upstreams."""
        waited = self.laps.get("connect", 0) + self.laps.get("stream", 0)
        return sum(self.laps.values()) - waited

    @property
    def waited_s(self) -> float:
        """Everything else, up to now."""
        return self._clock() - self._began - self.gateway_s

    @property
    def total_s(self) -> float:
        """From the start to the last lap."""
        return self._last - self._began


class Sample(Struct, frozen=True, gc=False):
    """One finished request. `at_ms` is epoch milliseconds, durations are seconds by phase;
    `provider` is None where nobody was asked, or nobody answered."""

    at_ms: int
    provider: str | None
    failed: bool
    total_s: float
    laps: Mapping[Phase, float]


class Telemetry:
    """The newest requests of this process.

    Args:
        now_ms: the injected clock, epoch milliseconds.
        clock: a clock that never goes back, in seconds.
    """

    def __init__(
        self, now_ms: Callable[[], int], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._now_ms = now_ms
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=MOST_SAMPLES)

    def watch(self) -> Stopwatch:
        """A stopwatch that runs from now on."""
        return Stopwatch(self._clock)

    def note(self, watch: Stopwatch, provider: str | None, outcome: str) -> None:
        """A request is over; `outcome` is that of its trace."""
        self._samples.append(
            Sample(self._now_ms(), provider, outcome in _FAILED, watch.total_s, watch.laps)
        )

    def since(self, at_ms: int) -> Iterator[Sample]:
        """Those that ended at or after a time."""
        return (sample for sample in self._samples if sample.at_ms >= at_ms)
