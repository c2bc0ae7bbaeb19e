"""From a call to its plan: dry for whoever only looks, patient for a real run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from msgspec.structs import replace as replace_fields

from omniroute.errors import Forbidden, InvalidRequest
from omniroute.pipeline.accounts.quota_desk import QuotaDesk
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.facts import facts_of
from omniroute.pipeline.settlement import Settlement
from omniroute.routing.live import Live
from omniroute.routing.naming.rerouting import REROUTES, rerouted
from omniroute.routing.plan import Plan, plan
from omniroute.routing.refusals import recovery_ms, refusal
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Asked
from omniroute.routing.trace import Change


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request for one model waits for its accounts' pauses to end (05 §4.7)."""

    retries: int = 3
    longest_s: float = 30.0


def directed(call: ChatCall, snapshot: Snapshot) -> ChatCall:
    """The call with the model a rule sends it to, if one does."""
    if call.routed_model is not None:
        return call
    found = rerouted(call.request, call.headers, snapshot.shaping)
    if found is None:
        return call
    change = Change(found.code, found.why)
    return replace(call, routed_model=found.model, changes=(*call.changes, change))


def _undirected(call: ChatCall) -> ChatCall:
    """The call where it was meant to go, because the model of the rule cannot be used."""
    changes = tuple(change for change in call.changes if change.code not in REROUTES)
    return replace(call, routed_model=None, changes=changes)


@dataclass(frozen=True, slots=True)
class Planning:
    """Makes plans. `now_ms` is epoch milliseconds, `new_seed` draws a plan's seed. `quotas` is
    asked what is left of accounts that are not used below a cut-off."""

    snapshot: Callable[[], Snapshot]
    live: Live
    now_ms: Callable[[], int]
    new_seed: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]
    patience: Callable[[], Patience]
    quotas: QuotaDesk | None = None

    def dry(
        self, call: ChatCall, asked: Asked | None = None, seed: int | None = None
    ) -> tuple[Snapshot, Plan]:
        """What would be tried right now; nothing changes by it.

        Args:
            asked: what is known of a request that does not exist yet.
            seed: what draws are made from; a new one without.

        Raises:
            OmniRouteError: the model does not resolve, or the caller may not use it.
        """
        snapshot = self.snapshot()
        facts = facts_of(
            call, snapshot.settings["sessionAffinity"], conversations=snapshot.keeps_conversations
        )
        if asked is not None:
            facts = replace_fields(facts, asked=asked)
        seed = self.new_seed() if seed is None else seed
        world = self.live.world()
        try:
            return snapshot, plan(facts, snapshot, world, seed, call.request)
        except (InvalidRequest, Forbidden) as error:
            if call.routed_model is None:
                raise
            # A rule must not stand between a request and its answer.
            facts = replace_fields(facts, model=call.request.model)
            made = plan(facts, snapshot, world, seed, call.request)
            note = f"not sent to '{call.routed_model}': {error}"
            return snapshot, replace_fields(made, notes=(*made.notes, note))

    async def real(self, books: Settlement) -> Plan:
        """What will be tried. One model waits for its accounts, as long as that makes sense.

        Raises:
            OmniRouteError: as for `dry`, or nothing can be tried.
        """
        patience = self.patience()
        books.call.lap("policy")
        for _ in range(patience.retries):
            made = await self._taken(books)
            wait_ms = None if made.candidates else recovery_ms(made)
            longest_ms = patience.longest_s * 1000
            left_ms = books.call.left_ms(self.now_ms())
            if left_ms is not None:
                longest_ms = min(longest_ms, left_ms)
            if wait_ms is None or wait_ms > longest_ms:
                break
            # A little later than needed, each at another time: a herd would meet again.
            wait_ms += 1 + wait_ms * (self.new_seed() % 100) // 1000
            books.waited_ms += wait_ms
            await self.sleep(wait_ms / 1000)
        else:
            made = await self._taken(books)
        if not made.candidates:
            raise refusal(made, books.snapshot)
        books.call.lap("resolve")
        return made

    async def _taken(self, books: Settlement) -> Plan:
        """A plan that is gone by: its turns are taken before anybody else can plan."""
        books.snapshot, books.plan = self.dry(books.call)
        if books.plan.requested_model != books.call.model:
            books.call = _undirected(books.call)
        while self.quotas is not None and await self.quotas.preflight(
            books.plan, books.call.left_ms(self.now_ms())
        ):
            books.snapshot, books.plan = self.dry(books.call)
        self.live.chosen(books.plan)
        return books.plan
