"""Money in integer micro-USD: set aside before dispatch, settled after, never past a limit.

While a limit is far, a request reserves the most it can cost. Near it the longest answer is
cut down to what is unspent, and where others hold part of that, a request starts with a first
slice of output and adds slices as tokens arrive. Only spent money refuses; money that is merely
reserved is waited for. Source: the design's section 10.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog
from msgspec import Struct

from omniroute.errors import BudgetExceeded
from omniroute.pipeline.money.budgets import Budget, Window, windows_of
from omniroute.pipeline.money.purse import SLICES, Purse, Vault
from omniroute.storage.records.money import WindowKey
from omniroute.storage.records.usage import SpentCharge

log = structlog.get_logger(__name__)

SLICE_TOKENS = 256
"""Output tokens a request starts with, and adds at a time, where money is short."""

FEWEST_TOKENS = 16
"""An answer that would have to be shorter is not begun."""

PATIENCE_S = 30.0
IDLE_MS = 5_000
_PICO_PER_MICRO = 1_000_000


class Need(Struct, frozen=True, kw_only=True):
    """The most a request can cost: reading it (micro-USD), and each token of its answer
    (pico-USD) up to `max_tokens`."""

    reading: int
    token_pico: int
    max_tokens: int

    def cost(self, tokens: int) -> int:
        """Reading, and an answer of so many tokens; rounded up."""
        return self.reading + -(-tokens * self.token_pico // _PICO_PER_MICRO)

    def tokens_for(self, micro_usd: int) -> int:
        """How long an answer may be for this money, as far as it is asked for."""
        if not self.token_pico:
            return self.max_tokens if micro_usd >= self.reading else -1
        room = (micro_usd - self.reading) * _PICO_PER_MICRO
        return min(self.max_tokens, room // self.token_pico)


@dataclass(slots=True, eq=False)
class Reservation:
    """Money set aside for one request. Settled exactly once, on every way out.

    `max_tokens` is set where the answer was cut down to what is unspent; `granted_tokens` is then
    how much of that is set aside: all of it, or a slice while others want some. `spent` is what
    earlier targets have cost that gave a part of the answer; `need` is what is still to come.
    """

    owner: str
    need: Need
    micro_usd: int
    purses: Sequence[Purse] = ()
    max_tokens: int | None = None
    granted_tokens: int | None = None
    stopped_by: str | None = None
    open: bool = True
    spent: int = 0

    @property
    def limits(self) -> list[Purse]:
        """The purses that can refuse."""
        return [purse for purse in self.purses if purse.window.action != "alert"]

    def bound(self, tokens: int) -> int:
        """The most that is spent when what is still to come has so many tokens."""
        return self.spent + self.need.cost(tokens)

    @property
    def cut(self) -> bool:
        """Whether money is so short that the answer has to be watched while it grows."""
        return self.max_tokens is not None


@dataclass(slots=True)
class Ledger:
    """What is reserved and spent, and the purses of every limit this process has touched.

    `now_ms` is epoch milliseconds; `wait` waits for a condition to be signalled, at most so many
    seconds.
    """

    now_ms: Callable[[], int]
    vault: Vault | None = None
    _purses: dict[WindowKey, Purse] = field(default_factory=dict)
    _reserved: dict[str, int] = field(default_factory=dict)
    _spent: dict[str, int] = field(default_factory=dict)
    _open: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def reserve(self, owner: str, need: Need, budgets: Iterable[Budget] = ()) -> Reservation:
        """Set aside what a request needs in every window it counts against, all or nothing.

        Raises:
            BudgetExceeded: what is unspent is too little for reading and one slice of an answer.
        """
        purses = [
            self._purse(window)
            for budget in budgets
            if budget.action != "alert"
            for window in windows_of(budget, self.now_ms())
        ]
        watched = [
            self._purse(window)
            for budget in budgets
            if budget.action == "alert"
            for window in windows_of(budget, self.now_ms())
        ]
        most = need.cost(need.max_tokens)
        for purse in (*watched, *(() if most else purses)):  # nothing is leased of these
            if not purse.known:
                await self._lease(purse, 0)
        if not purses or not most:
            return self._made(Reservation(owner, need, most, (*purses, *watched)))
        made = await self._try(owner, need, purses, watched)
        if made is not None:
            return made
        for purse in purses:
            purse.waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    for purse in purses:
                        await self._share(purse)
                    await self._something_settles()
                    made = await self._try(owner, need, purses, watched)
                    if made is not None:
                        return made
        except TimeoutError:
            raise self._refusal(min(purses, key=lambda purse: purse.free), need) from None
        finally:
            for purse in purses:
                purse.waiting -= 1

    async def grow(self, reservation: Reservation, tokens: int) -> bool:
        """See to it that an answer of `tokens` tokens is paid for; False when it has to end.

        Waits while somebody else may still settle. Of those who all wait for each other, the
        last one to ask ends.
        """
        granted, most = reservation.granted_tokens, reservation.max_tokens
        if granted is None or most is None:
            return True
        if granted > tokens + SLICE_TOKENS and any(p.waiting for p in reservation.purses):
            granted = self._shrink(reservation, tokens + SLICE_TOKENS)
        if tokens <= granted or granted >= most:
            return True  # the upstream itself ends at `most`
        for purse in reservation.purses:
            purse.growing += 1
            purse.waiting += 1
        try:
            while True:
                wanted = min(most, tokens + SLICE_TOKENS)
                more = reservation.bound(wanted) - reservation.micro_usd
                if await self._have(reservation.limits, more):
                    self._hold(reservation, more)
                    reservation.granted_tokens = wanted
                    return True
                poorest = min(reservation.limits, key=lambda purse: purse.free)
                if poorest.growing >= poorest.holders:
                    reservation.stopped_by = _told(poorest)
                    return False
                await self._something_settles()
        finally:
            for purse in reservation.purses:
                purse.growing -= 1
                purse.waiting -= 1

    async def go_on(self, reservation: Reservation, spent: int, need: Need) -> bool:
        """Set aside what it takes to go on at another target, beside what a part has cost.

        Without waiting: somebody is in the middle of an answer. Where money is short, what is
        still to come is cut; False where even that is too much.

        Args:
            spent: micro-USD of the part that is there.
            need: the most that what follows can cost.
        """
        limits = reservation.limits
        reservation.spent += spent
        reservation.need = need
        reservation.max_tokens = reservation.granted_tokens = None
        more = reservation.bound(need.max_tokens) - reservation.micro_usd
        if limits and not await self._have(limits, more):
            room = min(purse.free for purse in limits) + reservation.micro_usd - reservation.spent
            tokens = need.tokens_for(room)
            if tokens < min(FEWEST_TOKENS, need.max_tokens):
                reservation.stopped_by = _told(min(limits, key=lambda purse: purse.free))
                return False
            reservation.max_tokens = reservation.granted_tokens = tokens
            more = reservation.bound(tokens) - reservation.micro_usd
        self._hold(reservation, more)
        return True

    def settle(self, reservation: Reservation, cost_micro_usd: int) -> tuple[SpentCharge, ...]:
        """Replace a reservation by what was really spent; a second call changes nothing.

        Returns:
            What the shared store has to hear, to be kept with the record of the request.
        """
        if not reservation.open:
            return ()
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
        for purse in reservation.purses:
            purse.settle(reservation.micro_usd, cost_micro_usd)
            purse.used_at_ms = self.now_ms()
            self._warn(purse)
        if reservation.purses:
            self._changed.set()
        if not cost_micro_usd:
            return ()
        return tuple(
            SpentCharge(
                holder=self.vault.holder if self.vault is not None else "",
                kind=purse.window.scope.kind,
                id=purse.window.scope.id,
                period=purse.window.period,
                start_ms=purse.window.start_ms,
                micro_usd=cost_micro_usd,
            )
            for purse in reservation.purses
        )

    def spent_out(self, budgets: Iterable[Budget]) -> BudgetExceeded | None:
        """What is to be said of a budget that refuses everything that costs something."""
        for budget in budgets:
            for purse in self.standing(budget) if budget.action == "deny" else ():
                if purse.unspent <= 0:
                    return self._refusal(purse)
        return None

    async def give_back(self, *, everything: bool = False) -> None:
        """Return what purses hold that nobody has used for a while, or all that is free."""
        for key, purse in list(self._purses.items()):
            idle = self.now_ms() - purse.used_at_ms >= IDLE_MS
            if everything or (idle and not purse.held):
                await self._return(purse)
            over = purse.window.end_ms is not None and purse.window.end_ms <= self.now_ms()
            if over and not purse.held and not purse.unheld:
                self._purses.pop(key, None)

    def forget(self, kind: str, scope_id: str) -> None:
        """A budget is gone, and with it what was known of its windows."""
        for key in [key for key in self._purses if (key.kind, key.id) == (kind, scope_id)]:
            del self._purses[key]

    def standing(self, budget: Budget) -> list[Purse]:
        """The purses of a budget's windows, as this process knows them."""
        return [self._purse(window) for window in windows_of(budget, self.now_ms())]

    async def looked_up(self, budget: Budget) -> list[Purse]:
        """The purses of a budget's windows, as the shared store knows them."""
        purses = self.standing(budget)
        for purse in purses:
            await self._lease(purse, 0)
        return purses

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

    async def _try(
        self, owner: str, need: Need, purses: Sequence[Purse], watched: Sequence[Purse]
    ) -> Reservation | None:
        """A reservation as large as money allows; None when it has to wait for others."""
        every = (*purses, *watched)
        if await self._have(purses, need.cost(need.max_tokens)):
            return self._made(Reservation(owner, need, need.cost(need.max_tokens), every))
        poorest = min(purses, key=lambda purse: purse.unspent)
        affordable = need.tokens_for(poorest.unspent)
        first = min(SLICE_TOKENS, need.max_tokens)
        if affordable < min(FEWEST_TOKENS, need.max_tokens):
            raise self._refusal(poorest, need)
        if await self._have(purses, need.cost(affordable)):
            made = Reservation(owner, need, need.cost(affordable), every, affordable, affordable)
            return self._made(made)
        first = min(first, affordable)
        if await self._have(purses, need.cost(first)):
            made = Reservation(owner, need, need.cost(first), every, affordable, first)
            return self._made(made)
        return None

    def _made(self, reservation: Reservation) -> Reservation:
        self._open += 1
        owner, amount = reservation.owner, reservation.micro_usd
        self._reserved[owner] = self._reserved.get(owner, 0) + amount
        for purse in reservation.purses:
            purse.held += amount
            purse.holders += 1
            purse.used_at_ms = self.now_ms()
        return reservation

    def _shrink(self, reservation: Reservation, tokens: int) -> int:
        """Let go of what an answer does not need yet, for those who wait."""
        self._hold(reservation, reservation.bound(tokens) - reservation.micro_usd)
        reservation.granted_tokens = tokens
        self._changed.set()
        return tokens

    def _hold(self, reservation: Reservation, more: int) -> None:
        reservation.micro_usd += more
        owner = reservation.owner
        self._reserved[owner] = self._reserved.get(owner, 0) + more
        for purse in reservation.purses:
            purse.held += more

    async def _have(self, purses: Sequence[Purse], micro_usd: int) -> bool:
        """Whether every purse has this much free, once the shared store was asked for more.

        What it finds holds until somebody else runs: the caller takes it at once.
        """
        for purse in purses:
            if purse.free < micro_usd:
                missing = micro_usd - purse.free
                await self._lease(purse, max(missing, purse.window.limit // SLICES))
        return all(purse.free >= micro_usd for purse in purses)

    async def _lease(self, purse: Purse, want: int) -> None:
        if self.vault is None:  # one process without a store: everything is its own
            purse.known = True
            purse.leased = max(purse.leased, purse.window.limit - purse.spent)
            return
        window = purse.window
        async with purse.lock:
            purse.saw(await self.vault.lease(window.key, window.end_ms, window.limit, want))

    async def _share(self, purse: Purse) -> None:
        """Return what is too little for us and what another process may be waiting for."""
        if purse.others and not purse.holders:
            await self._return(purse)

    async def _return(self, purse: Purse) -> None:
        """Give back what is free of a lease."""
        if self.vault is None:
            return
        async with purse.lock:
            unheld = purse.unheld
            if unheld > 0:
                purse.leased -= unheld
                await self.vault.give_back(purse.window.key, unheld)

    async def _something_settles(self) -> None:
        """Wait for a settlement here, or a little, for one elsewhere."""
        self._changed.clear()
        try:
            async with asyncio.timeout(0.05 if self.vault is not None else None):
                await self._changed.wait()
        except TimeoutError:
            return

    def _purse(self, window: Window) -> Purse:
        purse = self._purses.get(window.key)
        if purse is None:
            purse = self._purses[window.key] = Purse(window, used_at_ms=self.now_ms())
        purse.window = window  # its limit may have been changed
        return purse

    def _warn(self, purse: Purse) -> None:
        """Say once a window that most of it is spent."""
        due = purse.window.limit * purse.window.warn_at
        if not purse.warned and purse.spent >= due:
            purse.warned = True
            log.warning(
                "budget_warning",
                scope=str(purse.window.scope),
                period=purse.window.period,
                spent_usd=purse.spent / 1e6,
                limit_usd=purse.window.limit / 1e6,
            )

    def _refusal(self, purse: Purse, need: Need | None = None) -> BudgetExceeded:
        window = purse.window
        seconds = None
        if window.end_ms is not None:
            seconds = -(-(window.end_ms - self.now_ms()) // 1000)
        reading = ""
        if need is not None:
            reading = f" Reading this request alone costs up to {_usd(need.reading)}."
        return BudgetExceeded(
            f"The {window.period} budget of {window.scope.kind} '{window.scope.id}' is used up: "
            f"{_told(purse)}.{reading}",
            code="budget_exceeded",
            retry_after_s=seconds,
            extras={
                "scope": window.scope.kind,
                "scope_id": window.scope.id,
                "period": window.period,
                "limit_usd": window.limit / 1e6,
                "spent_usd": purse.spent / 1e6,
                "reserved_usd": purse.reserved / 1e6,
                "reset_at": window.end_ms,
                "action": window.action,
            },
        )


def _told(purse: Purse) -> str:
    return (
        f"{_usd(purse.spent)} of {_usd(purse.window.limit)} spent, {_usd(purse.reserved)} reserved"
    )


def _usd(micro_usd: int) -> str:
    return f"${micro_usd / 1e6:.6f}"
