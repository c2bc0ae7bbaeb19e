"""From a call to its plan: dry for whoever only looks, patient for a real run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec.structs import replace as replace_fields

from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.facts import facts_of
from omniroute.pipeline.settlement import Settlement
from omniroute.routing.live import Live
from omniroute.routing.plan import Plan, plan
from omniroute.routing.refusals import recovery_ms, refusal
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Asked


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request for one model waits for its accounts' pauses to end (05 §4.7)."""

    retries: int = 3
    longest_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Planning:
    """Makes plans. `now_ms` is epoch milliseconds, `new_seed` draws a plan's seed."""

    snapshot: Callable[[], Snapshot]
    live: Live
    now_ms: Callable[[], int]
    new_seed: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]
    patience: Callable[[], Patience]

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
        facts = facts_of(call, snapshot.settings["sessionAffinity"])
        if asked is not None:
            facts = replace_fields(facts, asked=asked)
        seed = self.new_seed() if seed is None else seed
        return snapshot, plan(facts, snapshot, self.live.world(), seed, call.request)

    async def real(self, books: Settlement) -> Plan:
        """What will be tried. One model waits for its accounts, as long as that makes sense.

        Raises:
            OmniRouteError: as for `dry`, or nothing can be tried.
        """
        patience = self.patience()
        books.call.lap("policy")
        for _ in range(patience.retries):
            made = self._taken(books)
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
            made = self._taken(books)
        if not made.candidates:
            raise refusal(made, books.snapshot)
        books.call.lap("resolve")
        return made

    def _taken(self, books: Settlement) -> Plan:
        """A plan that is gone by: its turns are taken before anybody else can plan."""
        books.snapshot, books.plan = self.dry(books.call)
        self.live.chosen(books.plan)
        return books.plan
