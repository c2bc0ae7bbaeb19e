"""Which providers `auto` keeps out of the first place until they prove themselves. 05 §3.10."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from omniroute.routing.targets import Healing

FIRST_PAUSE_MS = 5 * 60_000
LONGEST_PAUSE_MS = 30 * 60_000
PROBES_NEEDED = 3


class SelfHealing:
    """Exclusions by provider, fed by real plans and by what came of their attempts.

    Args:
        now_ms: the injected clock, epoch milliseconds.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._excluded: dict[str, Healing] = {}

    def of(self, provider: str) -> Healing | None:
        """Why a provider is kept back, if it is."""
        return self._excluded.get(provider)

    def all(self) -> Mapping[str, Healing]:
        """Every provider that is kept back."""
        return self._excluded

    def exclude(self, provider: str, reason: str) -> None:
        """Keep a provider back; twice as long when its last pause did not help."""
        now, old = self._now_ms(), self._excluded.get(provider)
        if old is not None and not old.over(now):
            return
        pause = FIRST_PAUSE_MS if old is None else min(LONGEST_PAUSE_MS, 2 * old.pause_ms)
        self._excluded[provider] = Healing(since_ms=now, pause_ms=pause, reason=reason)

    def readmit(self, provider: str) -> None:
        """A provider is good again."""
        self._excluded.pop(provider, None)

    def outcome(self, provider: str, *, ok: bool) -> None:
        """What came of asking a provider that is kept back: a probe."""
        old = self._excluded.get(provider)
        if old is None:
            return
        if not ok:
            self._excluded[provider] = Healing(
                since_ms=self._now_ms(),
                pause_ms=min(LONGEST_PAUSE_MS, 2 * old.pause_ms),
                reason=old.reason,
            )
        elif old.probes + 1 >= PROBES_NEEDED:
            self.readmit(provider)
        else:
            self._excluded[provider] = replace(old, probes=old.probes + 1)
