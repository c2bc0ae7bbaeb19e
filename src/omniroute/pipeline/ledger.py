"""Money in integer micro-USD: an upper bound is reserved before dispatch, the cost settled after.

Everything here is synchronous, so a reservation is atomic within the process.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Reservation:
    """Money set aside for one request. Settled exactly once, on every way out."""

    owner: str
    micro_usd: int
    open: bool = True


@dataclass(slots=True)
class Ledger:
    """What each owner has spent since the process started and holds in reserve right now."""

    _reserved: dict[str, int] = field(default_factory=dict)
    _spent: dict[str, int] = field(default_factory=dict)
    _open: int = 0

    def reserve(self, owner: str, micro_usd: int) -> Reservation:
        """Set an upper bound aside."""
        self._reserved[owner] = self._reserved.get(owner, 0) + micro_usd
        self._open += 1
        return Reservation(owner, micro_usd)

    def settle(self, reservation: Reservation, cost_micro_usd: int) -> None:
        """Replace a reservation by what was really spent; a second call changes nothing."""
        if not reservation.open:
            return
        reservation.open = False
        self._open -= 1
        owner = reservation.owner
        left = self._reserved.get(owner, 0) - reservation.micro_usd
        if left:
            self._reserved[owner] = left
        else:
            self._reserved.pop(owner, None)
        if cost_micro_usd:
            self._spent[owner] = self._spent.get(owner, 0) + cost_micro_usd

    @property
    def open_reservations(self) -> int:
        """How many requests hold money right now."""
        return self._open

    @property
    def reserved_micro_usd(self) -> int:
        """The sum of all open reservations."""
        return sum(self._reserved.values())

    def spent_micro_usd(self, owner: str | None = None) -> int:
        """Spent since the process started, by one owner or by all."""
        return sum(self._spent.values()) if owner is None else self._spent.get(owner, 0)
