"""When keys were used last, as exactly as anybody wants to know: to five minutes. 02 §8.3."""

from collections.abc import Callable

EVERY_MS = 5 * 60_000


class KeyUses:
    """Uses that are to be stored: `due` by key id. Times are epoch milliseconds."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._noted: dict[str, int] = {}
        self.due: dict[str, int] = {}

    def used(self, key_id: str) -> None:
        """A key was presented and counts."""
        now_ms = self._now_ms()
        if now_ms - self._noted.get(key_id, 0) >= EVERY_MS:
            self._noted[key_id] = self.due[key_id] = now_ms
