"""What a request has to get past before it is planned: its key's rates and sessions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from omniroute.errors import Forbidden, OmniRouteError, RateLimited
from omniroute.pipeline.callers.rates import Counted, Rates
from omniroute.pipeline.callers.sessions import Sessions
from omniroute.pipeline.exchange import ChatCall, StreamAnswer, WholeAnswer
from omniroute.pipeline.money.budgets import budgets_for
from omniroute.pipeline.money.ledger import Ledger
from omniroute.pipeline.money.purse import Purse
from omniroute.routing.snapshot import Snapshot

AnswerT = TypeVar("AnswerT", WholeAnswer, StreamAnswer)  # type: ignore[type-arg]


@dataclass(frozen=True, slots=True)
class Entrance:
    """Counts requests against the rules of their keys, and knows the sessions they belong to."""

    rates: Rates
    sessions: Sessions
    ledger: Ledger

    async def enter(
        self, call: ChatCall, snapshot: Snapshot, plan: Callable[[ChatCall], object]
    ) -> Counted:
        """Count a request, once, and note its session.

        What comes before rates (the model, a budget that is used up) is told first.

        Args:
            plan: raises for a model the caller's key is not for.

        Raises:
            RateLimited: a window is used up, or the session is one too many.
            Forbidden: the request would be refused anyway, for its model.
            BudgetExceeded: the same, for money.
        """
        caller = call.caller
        try:
            counted = await self.rates.count(caller.owner, caller.rate_rules)
        except RateLimited:
            earlier = self._refused_before(call, snapshot, plan)
            if earlier is None:
                raise
            raise earlier from None
        await self.sessions.enter(caller, call.session)
        return counted

    def answered(self, call: ChatCall, answer: AnswerT) -> AnswerT:
        """Note which account answered."""
        if answer.head.source == "upstream":
            self.sessions.answered(call.caller, call.session, answer.head.chosen.connection)
        return answer

    def purses(self, call: ChatCall, snapshot: Snapshot) -> list[Purse]:
        """The limits a request counts against, for one that costs nothing."""
        budgets = budgets_for(call.caller, call.session, snapshot.budgets)
        return [purse for budget in budgets for purse in self.ledger.standing(budget)]

    def _refused_before(
        self, call: ChatCall, snapshot: Snapshot, plan: Callable[[ChatCall], object]
    ) -> OmniRouteError | None:
        if call.caller.allowed_models:
            try:
                plan(call)
            except Forbidden as refused:
                return refused
            except OmniRouteError:
                pass  # whatever else is wrong with it is told when it may come again
        return self.ledger.spent_out(budgets_for(call.caller, call.session, snapshot.budgets))
