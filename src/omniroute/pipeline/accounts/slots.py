"""How many requests an account serves at once, and how fast they follow: waiting in line.

Source: 05 §4.8-4.9, design §9: no limit but what an operator set or the provider's headers taught.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from omniroute.pipeline.accounts.pace import Pace
from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.resilience.policy import Policy, QueueRules
from omniroute.storage.records.configuration import Connection

LONGEST_WAIT_S = 30.0
LONGEST_LINE = 20


class Busy(Exception):
    """No request can get in now; `code` says why, `retry_after_ms` when it is worth a try."""

    def __init__(self, text: str, code: str, retry_after_ms: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.retry_after_ms = retry_after_ms


@dataclass(slots=True)
class Slots:
    """A semaphore that is fair, whose size may change, and whose line has an end."""

    running: int = 0
    most: int | None = None
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    async def enter(self, most: int | None, wait_s: float) -> None:
        """Take a slot, in the order of arrival.

        Raises:
            Busy: the line is too long, or the wait was.
        """
        self.most = most
        if not self.waiting and self._free:
            self.running += 1
            return
        if len(self.waiting) >= LONGEST_LINE:
            raise Busy("Too many requests wait for this account", "SEMAPHORE_QUEUE_FULL")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            async with asyncio.timeout(wait_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was our turn just when we went away
            elif turn in self.waiting:
                self.waiting.remove(turn)
            if isinstance(error, TimeoutError):
                text = "Every slot of this account stayed taken"
                raise Busy(text, "SEMAPHORE_TIMEOUT") from None
            raise

    def leave(self) -> None:
        """Give a slot back; the first in line has it at once."""
        self.running -= 1
        while self.waiting and self._free:
            turn = self.waiting.popleft()
            if not turn.done():
                self.running += 1
                turn.set_result(None)

    @property
    def _free(self) -> bool:
        return self.most is None or self.running < self.most


@dataclass(slots=True)
class Lane:
    """The line in front of one account, or one model of it."""

    slots: Slots = field(default_factory=Slots)
    pace: Pace = field(default_factory=Pace)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    nap: asyncio.Future[None] | None = None
    paced: int = 0
    done: int = 0

    @property
    def queued(self) -> int:
        """Requests in line."""
        return len(self.slots.waiting) + self.paced

    def start_afresh(self) -> None:
        """Forget every pause and every limit that was learned; whoever waits for one goes on."""
        self.pace = Pace()
        if self.nap is not None:
            self.nap.cancel()


@dataclass(frozen=True, slots=True)
class ComboSlots:
    """The slots a combo has at one of its targets: `most` of them, waited for up to `wait_s`."""

    slots: Slots
    most: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class Turnstile:
    """The way in for one attempt: a lane under the rules of its account.

    `combo` are the slots its combo keeps there, taken before the account's. `told` keeps what
    headers say of quotas, `now_ms` is epoch milliseconds, `sleep` waits for seconds.
    """

    lane: Lane
    rules: QueueRules
    told: Callable[[Mapping[str, str]], None]
    now_ms: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]
    combo: ComboSlots | None = None

    async def enter(self, left_s: float | None) -> Callable[[], None]:
        """Wait for a slot and for the pace; what gives the slot back, once.

        Args:
            left_s: the longest wait the caller can afford; None for any.

        Raises:
            Busy: it would take too long.
        """
        own = self.combo
        if own is not None:
            await own.slots.enter(own.most, _at_most(own.wait_s, left_s))
        try:
            await self._into_lane(left_s)
        except BaseException:
            if own is not None:
                own.slots.leave()
            raise
        self.lane.pace.take(self.now_ms())
        return self._leave_once()

    async def _into_lane(self, left_s: float | None) -> None:
        lane = self.lane
        await lane.slots.enter(self.rules.most, _at_most(LONGEST_WAIT_S, left_s))
        try:
            if self.rules.paced and (lane.turn.locked() or self._wait_ms() > 0):
                await self._wait(self.rules.max_wait_ms / 1000, left_s)
        except BaseException:
            lane.slots.leave()
            raise

    def learn(self, status: int, headers: Mapping[str, str], hint_ms: int | None) -> None:
        """Take in what an answer says about limits."""
        self.told(headers)
        if self.rules.paced:
            self.lane.pace.learn(status, headers, hint_ms, self.now_ms())

    def _wait_ms(self) -> int:
        return self.lane.pace.wait_ms(self.now_ms(), self.rules.per_minute, self.rules.gap_ms)

    async def _wait(self, longest_s: float, left_s: float | None) -> None:
        wait_s = _at_most(longest_s, left_s)
        until_ms = self.now_ms() + wait_s * 1000
        self.lane.paced += 1
        try:
            async with asyncio.timeout(wait_s), self.lane.turn:
                while (wait_ms := self._wait_ms()) > 0:
                    if self.now_ms() + wait_ms > until_ms:
                        raise Busy("This account is at its rate limit", "RATE_LIMIT_WAIT", wait_ms)
                    await self._nap(wait_ms / 1000)
        except TimeoutError:
            text = "Too many requests wait for this account's rate limit"
            raise Busy(text, "RATE_LIMIT_WAIT", self._wait_ms() or None) from None
        finally:
            self.lane.paced -= 1

    async def _nap(self, seconds: float) -> None:
        """Sleep, unless the lane starts afresh meanwhile."""
        nap = self.lane.nap = asyncio.ensure_future(self.sleep(seconds))
        try:
            await asyncio.wait({nap})
        finally:
            nap.cancel()
            self.lane.nap = None

    def _leave_once(self) -> Callable[[], None]:
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self.lane.done += 1
                self.lane.slots.leave()
                if self.combo is not None:
                    self.combo.slots.leave()

        return leave


def _at_most(longest_s: float, left_s: float | None) -> float:
    return longest_s if left_s is None else min(longest_s, left_s)


class Turnstiles:
    """The lanes of all accounts.

    Args:
        policy: says what holds for an account.
        quotas: keeps what answers say of quotas.
        now_ms: epoch milliseconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        policy: Policy,
        quotas: Quotas,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._policy = policy
        self._quotas = quotas
        self._now_ms = now_ms
        self._sleep = sleep
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._combos: dict[tuple[str, str], Slots] = {}

    def at(self, account: Connection, model: str, combo: ComboSlots | None = None) -> Turnstile:
        """The way in to a model of an account, through a combo that has few slots there."""
        rules = self._policy.queue(account)
        key = (account.id, model if rules.per_model else "")
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane()
        told = partial(self._quotas.learn, account.id)
        return Turnstile(lane, rules, told, self._now_ms, self._sleep, combo)

    def of_combo(self, combo: str, target: str, most: int, wait_s: float) -> ComboSlots:
        """The slots a combo keeps at a target; `target` is its key in the combo."""
        return ComboSlots(self._combos.setdefault((combo, target), Slots()), most, wait_s)

    def start_afresh(self, connections: Container[str]) -> None:
        """Let go of the pauses of accounts: their key changed, or an operator says so."""
        for (account, _), lane in self._lanes.items():
            if account in connections:
                lane.start_afresh()

    def lanes(self, connection: str) -> Iterator[Lane]:
        """The lanes of an account that have been used."""
        return (lane for (account, _), lane in self._lanes.items() if account == connection)
