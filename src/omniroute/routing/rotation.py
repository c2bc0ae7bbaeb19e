"""Whose turn it is: counters of combos and the use of accounts, advanced by real requests only."""

from collections import OrderedDict

from omniroute.routing.targets import AccountUse

MOST_COUNTERS = 10_000
_NEVER = AccountUse()


class Rotation:
    """Counters of this process. Reading never changes them: a dry run takes nobody's turn."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, int] = OrderedDict()
        self._uses: dict[str, AccountUse] = {}
        self._in_flight: dict[str, int] = {}
        self._latest: dict[str, str] = {}

    def turn(self, counter: str) -> int:
        """How often a counter was advanced."""
        return self._turns.get(counter, 0)

    def advance(self, counter: str) -> None:
        """A request took its turn."""
        self._turns[counter] = self._turns.get(counter, 0) + 1
        self._turns.move_to_end(counter)
        if len(self._turns) > MOST_COUNTERS:
            self._turns.popitem(last=False)

    def use(self, connection: str) -> AccountUse:
        """How an account was used so far."""
        return self._uses.get(connection, _NEVER)

    def used(self, provider: str, connection: str, now_ms: int) -> None:
        """An account was chosen for a request."""
        again = self._latest.get(provider) == connection
        self._latest[provider] = connection
        in_a_row = self.use(connection).in_a_row + 1 if again else 1
        self._uses[connection] = AccountUse(last_used_ms=now_ms, in_a_row=in_a_row)

    def in_flight(self, connection: str) -> int:
        """Requests an account is busy with."""
        return self._in_flight.get(connection, 0)

    def began(self, connection: str) -> None:
        """An account is busy with one more request."""
        self._in_flight[connection] = self.in_flight(connection) + 1

    def ended(self, connection: str) -> None:
        """An account is done with a request."""
        left = self.in_flight(connection) - 1
        if left > 0:
            self._in_flight[connection] = left
        else:
            self._in_flight.pop(connection, None)
