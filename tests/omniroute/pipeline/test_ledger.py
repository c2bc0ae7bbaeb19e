"""Money in reserve: never negative, settled once, nothing stays behind."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from omniroute.pipeline.ledger import Ledger, Reservation

OWNERS = ("a", "b")
owners = st.sampled_from(OWNERS)
amounts = st.integers(0, 10**9)


class LedgerMachine(RuleBasedStateMachine):
    """Reservations are made and settled in any order, some of them twice."""

    reservations = Bundle("reservations")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.held: list[Reservation] = []
        self.spent = dict.fromkeys(OWNERS, 0)

    @rule(target=reservations, owner=owners, micro_usd=amounts)
    def reserve(self, owner: str, micro_usd: int) -> Reservation:
        made = self.ledger.reserve(owner, micro_usd)
        self.held.append(made)
        return made

    @rule(reservation=reservations, cost=amounts)
    def settle(self, reservation: Reservation, cost: int) -> None:
        if any(one is reservation for one in self.held):
            self.held = [one for one in self.held if one is not reservation]
            self.spent[reservation.owner] += cost
        self.ledger.settle(reservation, cost)

    @invariant()
    def what_is_reserved_is_what_is_held(self) -> None:
        assert self.ledger.open_reservations == len(self.held)
        assert self.ledger.reserved_micro_usd == sum(one.micro_usd for one in self.held)

    @invariant()
    def what_is_spent_is_what_was_settled_first(self) -> None:
        assert {owner: self.ledger.spent_micro_usd(owner) for owner in OWNERS} == self.spent
        assert self.ledger.spent_micro_usd() == sum(self.spent.values())

    def teardown(self) -> None:
        for reservation in list(self.held):
            self.ledger.settle(reservation, 0)
        assert (self.ledger.open_reservations, self.ledger.reserved_micro_usd) == (0, 0)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
