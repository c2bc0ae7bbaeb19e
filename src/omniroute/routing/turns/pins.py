"""Conversations that keep the model which answered them first, whatever a combo's strategy says.

A change of model in the middle of a conversation costs its prompt cache. Source: 05 §2.7
(`context_cache_protection`), kept here and never in the text of an answer.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from omniroute.storage.records.live import Pin

TTL_MS = 24 * 3_600_000
MOST_PINS = 100_000


class Pins:
    """Pins of the last day in memory, oldest first; `changed` are for storage.

    Args:
        now_ms: the injected clock, epoch milliseconds.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._pins: OrderedDict[tuple[str, str], Pin] = OrderedDict()
        self._changed: dict[tuple[str, str], Pin] = {}

    def restore(self, stored: Iterable[Pin]) -> None:
        """Take over what an earlier process knew, longest unused first."""
        for pin in stored:
            self._pins.setdefault((pin.conversation, pin.combo), pin)

    def changes(self) -> dict[tuple[str, str], Pin]:
        """What changed since the last call."""
        changed, self._changed = self._changed, {}
        return changed

    def of(self, conversation: str, combo: str) -> Pin | None:
        """The model a conversation has in a combo."""
        pin = self._pins.get((conversation, combo))
        return pin if pin is not None and self._now_ms() - pin.seen_ms < TTL_MS else None

    def answered(self, conversation: str, combo: str, provider: str, model: str) -> None:
        """A model answered; it is the conversation's from now on."""
        key = (conversation, combo)
        pin = Pin(conversation, combo, provider, model, self._now_ms())
        self._pins[key] = self._changed[key] = pin
        self._pins.move_to_end(key)
        if len(self._pins) > MOST_PINS:
            self._pins.popitem(last=False)
