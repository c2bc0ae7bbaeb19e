"""Fixed windows: never more than the limit, whoever counts, and exactly it for one process."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.caller import RateRule
from omniroute.errors import RateLimited, StorageUnavailable
from omniroute.pipeline.callers.rates import LocalCounts, Rates
from omniroute.storage.records.live import RateWindow

pytestmark = pytest.mark.anyio

START_MS = 1_800_000_000_000


class Watched(LocalCounts):
    """Counts that say how often they were asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def take(self, window: RateWindow, limit: int, want: int) -> tuple[int, int]:
        self.asked += 1
        await asyncio.sleep(0)
        return await super().take(window, limit, want)


async def admitted(rates: Rates, times: int, *rules: RateRule) -> int:
    """How many of so many requests at once are let in."""

    async def once() -> bool:
        try:
            await rates.count("k", rules)
        except RateLimited:
            return False
        return True

    return sum(await asyncio.gather(*(once() for _ in range(times))))


@pytest.mark.parametrize("limit", [1, 2, 5, 16, 17, 100, 333])
async def test_one_process_lets_exactly_the_limit_in(limit: int) -> None:
    clock = [START_MS]
    rates = Rates(lambda: clock[0], Watched())
    rule = RateRule(limit, 60)
    assert await admitted(rates, limit - 1, rule) == limit - 1
    assert await admitted(rates, 5, rule) == 1
    clock[0] += 60_000
    assert await admitted(rates, limit + 5, rule) == limit


async def test_far_from_the_limit_nobody_is_asked() -> None:
    store = Watched()
    rates = Rates(lambda: START_MS, store)
    assert await admitted(rates, 1_000, RateRule(100_000, 60)) == 1_000
    assert store.asked == 1


async def test_a_window_that_is_used_up_is_not_asked_for_again_at_once() -> None:
    clock, store = [START_MS], Watched()
    rates = Rates(lambda: clock[0], store)
    await admitted(rates, 3, RateRule(2, 60))
    before = store.asked
    assert await admitted(rates, 50, RateRule(2, 60)) == 0
    assert store.asked == before
    clock[0] += 1_000
    assert await admitted(rates, 50, RateRule(2, 60)) == 0
    assert store.asked == before + 1


async def test_a_request_counts_in_every_window_or_in_none() -> None:
    clock = [START_MS]
    rates = Rates(lambda: clock[0])
    minute, hour = RateRule(2, 60), RateRule(5, 3_600)
    assert await admitted(rates, 4, minute, hour) == 2
    clock[0] += 60_000
    assert await admitted(rates, 4, minute, hour) == 2
    clock[0] += 60_000
    assert await admitted(rates, 4, minute, hour) == 1
    clock[0] += 60_000
    assert await admitted(rates, 4, minute, hour) == 0


async def test_a_refusal_names_the_window_the_limit_and_the_reset() -> None:
    clock = [START_MS + 18_500]  # 18.5 seconds into its minute
    rates = Rates(lambda: clock[0])
    rules = (RateRule(1, 60), RateRule(1, 10), RateRule(9, 3_600))
    await rates.count("k", rules)
    with pytest.raises(RateLimited) as refused:
        await rates.count("k", rules)
    assert str(refused.value) == (
        "This API key may ask 1 times a minute, and has. The next window begins in 42 s."
    )
    assert refused.value.retry_after_s == 42
    assert refused.value.extras == {"limit": 1, "window": 60, "reset_at": START_MS + 60_000}


async def test_of_two_rules_for_one_window_the_lower_counts() -> None:
    rates = Rates(lambda: START_MS)
    assert await admitted(rates, 9, RateRule(7, 60), RateRule(3, 60)) == 3


async def test_keys_do_not_count_for_each_other() -> None:
    rates = Rates(lambda: START_MS)
    await rates.count("one", [RateRule(1, 60)])
    await rates.count("two", [RateRule(1, 60)])
    with pytest.raises(RateLimited):
        await rates.count("one", [RateRule(1, 60)])


async def test_a_limit_that_changes_holds_at_once() -> None:
    rates = Rates(lambda: START_MS)
    assert await admitted(rates, 10, RateRule(100, 60)) == 10
    assert await admitted(rates, 10, RateRule(12, 60)) == 2
    assert await admitted(rates, 10, RateRule(15, 60)) == 3


async def test_what_was_counted_too_early_is_uncounted() -> None:
    rates = Rates(lambda: START_MS)
    counted = await rates.count("k", [RateRule(1, 60)])
    rates.uncount(counted)
    assert await admitted(rates, 5, RateRule(1, 60)) == 1


async def test_what_one_process_does_not_use_others_may() -> None:
    clock, store, rule = [START_MS], LocalCounts(), RateRule(160, 3_600)
    one, two = Rates(lambda: clock[0], store), Rates(lambda: clock[0], store)
    assert await admitted(one, 1, rule) == 1
    assert await admitted(two, 200, rule) == 150  # a slice of ten lies with the other one
    clock[0] += 6_000
    await one.give_back()
    assert await admitted(two, 200, rule) == 9


class Step:
    """What happens in a run: time passes, or a process is asked, stops well, or dies."""

    kinds = st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 7_000), st.just(0)),
        st.tuples(st.just("ask"), st.integers(1, 40), st.integers(0, 2)),
        st.tuples(st.just("stop"), st.just(0), st.integers(0, 2)),
        st.tuples(st.just("die"), st.just(0), st.integers(0, 2)),
        st.tuples(st.just("tidy"), st.just(0), st.integers(0, 2)),
    )


@given(
    limit=st.integers(1, 60),
    window_s=st.integers(1, 10),
    steps=st.lists(Step.kinds, max_size=40),
)
def test_never_more_than_the_limit_over_all_processes(
    limit: int, window_s: int, steps: list[tuple[str, int, int]]
) -> None:
    async def run() -> None:
        clock, store = [START_MS], Watched()
        rule = RateRule(limit, window_s)
        processes = [Rates(lambda: clock[0], store) for _ in range(3)]
        seen: dict[int, int] = {}
        for kind, amount, which in steps:
            if kind == "wait":
                clock[0] += amount
            elif kind == "ask":
                window = clock[0] // 1000 // window_s
                seen[window] = seen.get(window, 0) + await admitted(processes[which], amount, rule)
                assert seen[window] <= limit
            elif kind == "tidy":
                await processes[which].give_back()
            else:
                if kind == "stop":
                    await processes[which].give_back(everything=True)
                processes[which] = Rates(lambda: clock[0], store)

    asyncio.run(run())


async def test_where_nobody_can_count_nobody_is_let_in() -> None:
    class Broken(LocalCounts):
        async def take(self, window: RateWindow, limit: int, want: int) -> tuple[int, int]:
            raise StorageUnavailable("The database cannot be reached.")

    rates = Rates(lambda: START_MS, Broken())
    with pytest.raises(StorageUnavailable):
        await rates.count("k", [RateRule(5, 60)])
    assert await rates.count("k", []) == ()
