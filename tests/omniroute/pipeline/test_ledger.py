"""Money: never past a limit, never lost, never refused only because others hold it."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from omniroute.caller import Caller
from omniroute.errors import BudgetExceeded
from omniroute.pipeline.money.budgets import Budget, Period, Scope, bounds, budgets_for, windows_of
from omniroute.pipeline.money.ledger import FEWEST_TOKENS, SLICE_TOKENS, Ledger, Need, Reservation
from omniroute.storage.records.money import BudgetRow, WindowKey, WindowStanding
from omniroute.storage.records.usage import SpentCharge

NOW_MS = 1_700_000_000_000  # Tuesday 2023-11-14 22:13:20 UTC
DAY_MS = 86_400_000
KEY = Scope("key", "k")
DOLLAR_A_TOKEN = 1_000_000  # pico-USD: one micro-USD
SHARED = 10_000


def budget(limit: int, **more: object) -> Budget:
    return Budget(scope=KEY, daily=limit, **more)  # type: ignore[arg-type]


def need(reading: int, tokens: int) -> Need:
    """Micro-USD for reading; each token costs one micro-USD."""
    return Need(reading=reading, token_pico=DOLLAR_A_TOKEN, max_tokens=tokens)


class Store:
    """The shared store in memory, as strict as the one in SQL."""

    def __init__(self) -> None:
        self.spent: dict[WindowKey, int] = {}
        self.leases: dict[tuple[str, WindowKey], int] = {}
        self.calls = 0

    def vault(self, holder: str) -> "View":
        return View(self, holder)

    def charge(self, charges: tuple[SpentCharge, ...]) -> None:
        """What draining the journal does."""
        for one in charges:
            key = WindowKey(one.kind, one.id, one.period, one.start_ms)
            self.spent[key] = self.spent.get(key, 0) + one.micro_usd
            place = one.holder, key
            self.leases[place] = self.leases.get(place, 0) - one.micro_usd

    def out(self, key: WindowKey) -> int:
        """Leased by anybody."""
        return sum(max(0, n) for (_, window), n in self.leases.items() if window == key)


class View:
    """The store as one process sees it."""

    def __init__(self, store: Store, holder: str) -> None:
        self._store = store
        self._holder = holder

    @property
    def holder(self) -> str:
        return self._holder

    async def lease(
        self, key: WindowKey, _end_ms: int | None, limit: int, want: int
    ) -> WindowStanding:
        store, place = self._store, (self._holder, key)
        store.calls += 1
        await asyncio.sleep(0)
        spent, mine = store.spent.get(key, 0), store.leases.get(place, 0)
        others = store.out(key) - max(0, mine)
        granted = max(0, min(want, limit - spent - others - max(0, mine)))
        store.leases[place] = mine + granted
        return WindowStanding(spent=spent, granted=granted, mine=mine + granted, others=others)

    async def give_back(self, key: WindowKey, micro_usd: int) -> None:
        await asyncio.sleep(0)
        self._store.leases[self._holder, key] -= micro_usd


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


BOUNDS: dict[str, tuple[Period, str, str, str | None]] = {
    "today": ("daily", "00:00", "2023-11-14T00:00", "2023-11-15T00:00"),
    "a day that begins later": ("daily", "23:00", "2023-11-13T23:00", "2023-11-14T23:00"),
    "a week begins on Monday": ("weekly", "00:00", "2023-11-13T00:00", "2023-11-20T00:00"),
    "a month on the first": ("monthly", "06:30", "2023-11-01T06:30", "2023-12-01T06:30"),
    "all time": ("total", "00:00", "1970-01-01T00:00", None),
}


@pytest.mark.parametrize(("period", "reset", "start", "end"), BOUNDS.values(), ids=BOUNDS)
def test_windows(period: Period, reset: str, start: str, end: str | None) -> None:
    from datetime import UTC, datetime

    def told(ms: int | None) -> str | None:
        if ms is None:
            return None
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M")

    found = bounds(period, reset, NOW_MS)
    assert (told(found[0]), told(found[1])) == (start, end)


@given(
    st.sampled_from(["daily", "weekly", "monthly"]),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(NOW_MS, NOW_MS + 800 * DAY_MS),
)
def test_windows_follow_each_other_without_a_gap(
    period: Period, hour: int, minute: int, now_ms: int
) -> None:
    reset = f"{hour:02}:{minute:02}"
    start, end = bounds(period, reset, now_ms)
    assert end is not None
    assert start <= now_ms < end
    assert bounds(period, reset, end)[0] == end
    assert bounds(period, reset, start)[0] == start


def test_a_caller_counts_against_its_key_its_session_its_run_and_its_task() -> None:
    scopes = [("key", "k"), ("session", "ext:s"), ("session", "s"), ("run", "r"), ("task", "t")]
    scopes.append(("guard", "k"))
    rows = {
        (kind, name): BudgetRow(scope_kind=kind, scope_id=name, total_micro_usd=1)
        for kind, name in (*scopes, ("key", "other"))
    }
    caller = Caller(door="http", key_id="k", run_id="r", task_id="t")
    found = budgets_for(caller, "ext:s", rows)
    assert [(one.scope.kind, one.scope.id) for one in found] == scopes
    assert budgets_for(Caller(door="http"), None, rows) == []


def test_every_limit_that_is_set_has_a_window() -> None:
    row = Budget(scope=KEY, daily=1, monthly=2)
    assert [(w.period, w.limit) for w in windows_of(row, NOW_MS)] == [("daily", 1), ("monthly", 2)]


def test_a_limit_that_is_lowered_holds_for_what_was_leased_before() -> None:
    async def work() -> None:
        store = Store()
        ledger = Ledger(lambda: NOW_MS, store.vault("a"))
        held = await ledger.reserve("k", need(0, 100), [budget(100_000)])
        store.charge(ledger.settle(held, 90))
        with pytest.raises(BudgetExceeded):
            await ledger.reserve("k", need(0, 100), [budget(100)])
        await ledger.give_back(everything=True)
        assert store.out(next(iter(windows_of(budget(100), NOW_MS))).key) == 0

    run(work)


def test_far_from_the_limit_a_request_holds_all_it_can_cost() -> None:
    async def work() -> None:
        ledger = Ledger(lambda: NOW_MS, Store().vault("a"))
        held = await ledger.reserve("k", need(10, 90), [budget(100_000)])
        assert (held.micro_usd, held.max_tokens, held.cut) == (100, None, False)

    run(work)


def test_near_the_limit_the_answer_is_cut_to_what_is_unspent() -> None:
    async def work() -> None:
        ledger = Ledger(lambda: NOW_MS, Store().vault("a"))
        held = await ledger.reserve("k", need(10, 5_000), [budget(1_000)])
        assert (held.micro_usd, held.max_tokens, held.granted_tokens) == (1_000, 990, 990)

    run(work)


def test_where_others_hold_a_part_a_request_begins_with_a_slice_and_grows() -> None:
    async def work() -> None:
        ledger = Ledger(lambda: NOW_MS, Store().vault("a"))
        limits = [budget(1_000)]
        first = await ledger.reserve("k", need(10, 600), limits)
        second = await ledger.reserve("k", need(10, 600), limits)
        assert (first.cut, second.micro_usd) == (False, 10 + SLICE_TOKENS)
        assert (second.max_tokens, second.granted_tokens) == (600, SLICE_TOKENS)
        growing = asyncio.create_task(ledger.grow(second, SLICE_TOKENS + 1))
        await asyncio.sleep(0.01)
        assert not growing.done(), "the first may still settle for less"
        ledger.settle(first, 20)
        assert await growing
        assert second.granted_tokens == 2 * SLICE_TOKENS + 1
        assert ledger.settle(second, 300)[0].micro_usd == 300

    run(work)


def test_who_holds_all_that_is_left_lets_go_of_it_for_those_who_wait() -> None:
    async def work() -> None:
        ledger = Ledger(lambda: NOW_MS)
        limits = [budget(2_000)]
        first = await ledger.reserve("k", need(0, 5_000), limits)
        assert first.granted_tokens == 2_000
        second = asyncio.create_task(ledger.reserve("k", need(0, 5_000), limits))
        await asyncio.sleep(0)
        assert await ledger.grow(first, 100)
        assert first.granted_tokens == 100 + SLICE_TOKENS
        assert (await second).granted_tokens == SLICE_TOKENS

    run(work)


def test_when_all_who_hold_money_wait_the_last_one_ends() -> None:
    async def work() -> None:
        ledger = Ledger(lambda: NOW_MS)
        limits = [budget(3 * SLICE_TOKENS)]
        filler = await ledger.reserve("k", need(0, SLICE_TOKENS), limits)
        one, two = [await ledger.reserve("k", need(0, 10_000), limits) for _ in "12"]
        assert (one.granted_tokens, two.granted_tokens) == (SLICE_TOKENS, SLICE_TOKENS)
        ledger.settle(filler, SLICE_TOKENS)
        waiting = asyncio.create_task(ledger.grow(one, SLICE_TOKENS + 1))
        await asyncio.sleep(0)
        assert await ledger.grow(two, SLICE_TOKENS + 1) is False
        assert two.stopped_by is not None
        ledger.settle(two, SLICE_TOKENS)
        ledger.settle(one, SLICE_TOKENS)
        waiting.cancel()

    run(work)


def test_a_refusal_names_everything() -> None:
    async def work() -> None:
        ledger = Ledger(lambda: NOW_MS, Store().vault("a"))
        held = await ledger.reserve("k", need(0, 100), [budget(100)])
        ledger.settle(held, 95)
        with pytest.raises(BudgetExceeded) as refused:
            await ledger.reserve("k", need(3, 100), [budget(100)])
        end = bounds("daily", "00:00", NOW_MS)[1]
        assert refused.value.extras == {
            "scope": "key",
            "scope_id": "k",
            "period": "daily",
            "limit_usd": 0.0001,
            "spent_usd": 0.000095,
            "reserved_usd": 0.0,
            "reset_at": end,
            "action": "deny",
        }
        assert refused.value.retry_after_s == -(-((end or 0) - NOW_MS) // 1000)
        assert "daily budget of key 'k'" in str(refused.value)

    run(work)


def test_what_costs_nothing_is_always_let_in() -> None:
    async def work() -> None:
        ledger = Ledger(lambda: NOW_MS, Store().vault("a"))
        ledger.settle(await ledger.reserve("k", need(0, 100), [budget(100)]), 100)
        free = Need(reading=0, token_pico=0, max_tokens=100)
        assert (await ledger.reserve("k", free, [budget(100)])).micro_usd == 0

    run(work)


def test_who_goes_on_at_another_target_pays_for_both_parts() -> None:
    async def work() -> None:
        ledger = Ledger(lambda: NOW_MS)
        held = await ledger.reserve("k", need(10, 50), [budget(200)])
        assert held.micro_usd == 60
        assert await ledger.go_on(held, 30, need(40, 50))
        assert (held.micro_usd, held.cut) == (30 + 40 + 50, False)
        assert await ledger.go_on(held, 70, need(50, 50)), "the second part cost 70"
        assert (held.micro_usd, held.max_tokens) == (200, None), "it just fits"
        assert not await ledger.go_on(held, 60, need(50, 50)), "160 are gone, 50 are for reading"
        assert ledger.settle(held, 160)[0].micro_usd == 160

    asyncio.run(work())


def test_an_alert_that_is_over_its_limit_does_not_stop_an_answer() -> None:
    async def work() -> None:
        ledger = Ledger(lambda: NOW_MS)
        told = Budget(scope=Scope("session", "s"), total=1, action="alert")
        held = await ledger.reserve("k", need(0, 300), [budget(100), told])
        assert (held.cut, held.max_tokens) == (True, 100)
        assert await ledger.grow(held, 90)
        assert ledger.settle(held, 90)

    asyncio.run(work())


def test_an_alert_lets_everything_pass_and_counts_it() -> None:
    async def work() -> None:
        store = Store()
        ledger = Ledger(lambda: NOW_MS, store.vault("a"))
        limits = [budget(100, action="alert")]
        for _ in range(3):
            held = await ledger.reserve("k", need(0, 100), limits)
            store.charge(ledger.settle(held, 100))
        (purse,) = await ledger.looked_up(limits[0])
        assert (purse.spent, purse.warned) == (300, True)

    run(work)


def test_a_new_window_starts_afresh() -> None:
    async def work() -> None:
        clock = [NOW_MS]
        ledger = Ledger(lambda: clock[0], Store().vault("a"))
        ledger.settle(await ledger.reserve("k", need(0, 100), [budget(100)]), 100)
        with pytest.raises(BudgetExceeded):
            await ledger.reserve("k", need(0, 100), [budget(100)])
        clock[0] += DAY_MS
        assert (await ledger.reserve("k", need(0, 100), [budget(100)])).micro_usd == 100

    run(work)


def test_all_windows_or_none() -> None:
    async def work() -> None:
        ledger = Ledger(lambda: NOW_MS, Store().vault("a"))
        session = Budget(scope=Scope("session", "s"), total=50)
        ledger.settle(await ledger.reserve("k", need(0, 40), [budget(1_000), session]), 40)
        with pytest.raises(BudgetExceeded, match="session 's'"):
            await ledger.reserve("k", need(0, 40), [budget(1_000), session])
        assert ledger.open_reservations == 0
        assert [purse.held for purse in ledger.standing(budget(1_000))] == [0]

    run(work)


def test_far_from_the_limit_the_store_is_seldom_asked() -> None:
    async def work() -> None:
        store = Store()
        ledger = Ledger(lambda: NOW_MS, store.vault("a"))
        for _ in range(1_000):
            held = await ledger.reserve("k", need(1, 9), [budget(1_000_000)])
            store.charge(ledger.settle(held, 10))
        assert store.calls <= 2

    run(work)


def test_idle_money_goes_back_and_is_there_for_others() -> None:
    async def work() -> None:
        clock, store = [NOW_MS], Store()
        one = Ledger(lambda: clock[0], store.vault("a"))
        two = Ledger(lambda: clock[0], store.vault("b"))
        ledger_of_all = await one.reserve("k", need(0, 100), [budget(100)])
        store.charge(one.settle(ledger_of_all, 10))
        await one.give_back()
        clock[0] += 5_000
        await one.give_back()
        assert (await two.reserve("k", need(0, 90), [budget(100)])).max_tokens is None

    run(work)


async def agent(
    ledger: Ledger, store: Store, limits: list[Budget], rng: random.Random, seen: list[int]
) -> None:
    """Asks until it is refused; its answers are shorter than it may expect."""
    while True:
        wants = rng.randrange(FEWEST_TOKENS, 400)
        try:
            held = await ledger.reserve("k", need(5, 400), limits)
        except BudgetExceeded:
            return
        tokens = 0
        while tokens < wants:
            await asyncio.sleep(0)
            step = min(wants, tokens + 40, held.max_tokens or wants)
            if step == tokens or not await ledger.grow(held, step):
                break
            tokens = step
        cost = 5 + tokens
        seen.append(cost)
        store.charge(ledger.settle(held, cost))


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.integers(100, SHARED), st.integers(1, 3))
def test_parallel_agents_spend_the_last_cent_and_never_more(
    seed: int, limit: int, processes: int
) -> None:
    async def work() -> None:
        store, seen = Store(), list[int]()
        limits = [budget(limit)]
        ledgers = [Ledger(lambda: NOW_MS, store.vault(f"p{at}")) for at in range(processes)]
        rng = random.Random(seed)
        async with asyncio.timeout(20):
            await asyncio.gather(
                *(agent(ledgers[at % processes], store, limits, rng, seen) for at in range(16))
            )
        for ledger in ledgers:
            await ledger.give_back(everything=True)
        (key,) = store.spent
        assert store.spent[key] == sum(seen) <= limit
        left = limit - store.spent[key]
        assert left < 5 + FEWEST_TOKENS, "nobody was refused while money was left"
        assert store.out(key) == 0

    run(work)


class LedgerMachine(RuleBasedStateMachine):
    """Two processes reserve, grow, settle, die and give back in any order, over one limit."""

    reservations = Bundle("reservations")

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.limits = [budget(5_000)]
        self.ledgers = {name: Ledger(lambda: NOW_MS, self.store.vault(name)) for name in "ab"}
        self.undrained: list[tuple[SpentCharge, ...]] = []
        self.spent = 0
        self.loop = asyncio.new_event_loop()

    @rule(
        target=reservations,
        name=st.sampled_from("ab"),
        reading=st.integers(0, 300),
        tokens=st.integers(1, 900),
    )
    def reserve(self, name: str, reading: int, tokens: int) -> tuple[str, Reservation] | None:
        async def work() -> Reservation | None:
            try:
                async with asyncio.timeout(0.01):
                    return await self.ledgers[name].reserve("k", need(reading, tokens), self.limits)
            except (BudgetExceeded, TimeoutError):
                return None

        held = self.loop.run_until_complete(work())
        return None if held is None else (name, held)

    @rule(
        row=reservations,
        share=st.floats(0, 1),
        reading=st.integers(0, 300),
        tokens=st.integers(1, 900),
    )
    def break_off_and_go_on(
        self, row: tuple[str, Reservation] | None, share: float, reading: int, tokens: int
    ) -> None:
        if row is None or not row[1].open:
            return
        name, held = row
        known = held.granted_tokens or held.need.max_tokens
        part = int(held.need.cost(known) * share)
        before = held.micro_usd
        work = self.ledgers[name].go_on(held, part, need(reading, tokens))
        if not self.loop.run_until_complete(work):
            assert held.micro_usd == before, "nothing more was set aside"
            assert held.stopped_by
            charges = self.ledgers[name].settle(held, held.spent)
            if held.purses:
                self.undrained.append(charges)
                self.spent += held.spent

    @rule(row=reservations, share=st.floats(0, 1))
    def settle(self, row: tuple[str, Reservation] | None, share: float) -> None:
        if row is None:
            return
        name, held = row
        if not held.open:
            return
        tokens = held.granted_tokens or held.max_tokens or held.need.max_tokens
        cost = held.spent + int(held.need.cost(tokens) * share)
        charges = self.ledgers[name].settle(held, cost)
        if held.purses:
            self.undrained.append(charges)
            self.spent += cost
        assert self.ledgers[name].settle(held, cost) == ()

    @rule()
    def drain(self) -> None:
        for charges in self.undrained:
            self.store.charge(charges)
        self.undrained.clear()

    @rule(name=st.sampled_from("ab"))
    def give_back(self, name: str) -> None:
        self.loop.run_until_complete(self.ledgers[name].give_back(everything=True))

    @invariant()
    def spent_and_leased_never_pass_the_limit(self) -> None:
        for key in self.store.spent.keys() | {window for _, window in self.store.leases}:
            assert self.store.spent.get(key, 0) + self.store.out(key) <= 5_000

    @invariant()
    def held_is_covered_by_leases(self) -> None:
        for ledger in self.ledgers.values():
            for purse in ledger._purses.values():
                assert 0 <= purse.held <= max(purse.leased, 0)
                assert purse.leased <= self.store.out(purse.window.key) + purse.spent

    def teardown(self) -> None:
        self.loop.close()
        self.drain()
        for key in self.store.spent:
            assert self.store.spent[key] == self.spent <= 5_000


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
