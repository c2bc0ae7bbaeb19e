"""Whose turn it is: counters of combos and the use of accounts, advanced by real requests only."""

import logging
from collections import OrderedDict
from collections.abc import Container, Mapping
from typing import Any, TypeVar

import msgspec

from omniroute.routing.targets import AccountUse, Place
from omniroute.storage.states import StateKey

KeyT = TypeVar("KeyT", str, Place)

log = logging.getLogger(__name__)

MOST_COUNTERS = 10_000
_NEVER = AccountUse()


class Rotation:
    """Counters of this process. Reading never changes them: a dry run takes nobody's turn."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, int] = OrderedDict()
        self._uses: dict[str, AccountUse] = {}
        self._in_flight: dict[str, int] = {}
        self._busy: dict[Place, int] = {}
        self._latest: dict[str, str] = {}
        self._changed: set[StateKey] = set()

    def turn(self, counter: str) -> int:
        """How often a counter was advanced."""
        return self._turns.get(counter, 0)

    def advance(self, counter: str) -> None:
        """A request took its turn."""
        self._turns[counter] = self._turns.get(counter, 0) + 1
        self._turns.move_to_end(counter)
        self._changed.add(("turn", counter))
        if len(self._turns) > MOST_COUNTERS:
            oldest, _ = self._turns.popitem(last=False)
            self._changed.add(("turn", oldest))

    def use(self, connection: str) -> AccountUse:
        """How an account was used so far."""
        return self._uses.get(connection, _NEVER)

    def used(self, provider: str, connection: str, now_ms: int) -> None:
        """An account was chosen for a request."""
        again = self._latest.get(provider) == connection
        self._latest[provider] = connection
        in_a_row = self.use(connection).in_a_row + 1 if again else 1
        self._uses[connection] = AccountUse(last_used_ms=now_ms, in_a_row=in_a_row)
        self._changed |= {("use", connection), ("latest", provider)}

    def keep_only(self, connections: Container[str]) -> None:
        """Forget how accounts were used that are gone."""
        for connection in [one for one in self._uses if one not in connections]:
            del self._uses[connection]
            self._changed.add(("use", connection))

    def changes(self) -> dict[StateKey, Any]:
        """What changed since the last call, by kind and name; None for what is forgotten."""
        changed, self._changed = self._changed, set()
        return {place: self._state(*place) for place in changed}

    def restore(self, stored: Mapping[StateKey, Any], connections: Container[str]) -> None:
        """Take over what an earlier process stored, without accounts that are gone."""
        for (kind, name), state in stored.items():
            if kind == "turn" and isinstance(state, int):
                self._turns.setdefault(name, state)
            elif kind == "latest" and isinstance(state, str) and state in connections:
                self._latest.setdefault(name, state)
            elif kind == "use" and name in connections:
                try:
                    self._uses.setdefault(name, msgspec.convert(state, AccountUse))
                except msgspec.ValidationError:
                    log.warning("how the account %s was used is damaged and left out", name)

    def _state(self, kind: str, name: str) -> Any:
        match kind:
            case "turn":
                return self._turns.get(name)
            case "latest":
                return self._latest.get(name)
        use = self._uses.get(name)
        return None if use is None else msgspec.to_builtins(use)

    def in_flight(self, connection: str) -> int:
        """Requests an account is busy with."""
        return self._in_flight.get(connection, 0)

    @property
    def busy(self) -> Mapping[Place, int]:
        """Requests under way, by provider, account and model."""
        return self._busy

    def began(self, place: Place) -> None:
        """An account is busy with one more request."""
        _, connection, _ = place
        self._in_flight[connection] = self.in_flight(connection) + 1
        self._busy[place] = self._busy.get(place, 0) + 1

    def ended(self, place: Place) -> None:
        """An account is done with a request."""
        _one_less(self._in_flight, place[1])
        _one_less(self._busy, place)


def _one_less(counts: dict[KeyT, int], key: KeyT) -> None:
    left = counts.get(key, 0) - 1
    if left > 0:
        counts[key] = left
    else:
        counts.pop(key, None)
