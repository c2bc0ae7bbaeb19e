"""The line in front of an account: fair, bounded, and nothing leaks, whoever hangs up."""

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.builders import account, node, snapshot

from omniroute.pipeline.accounts.slots import LONGEST_LINE, Busy, Slots, Turnstiles
from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.resilience.policy import Policy
from omniroute.routing.resilience.profiles import Defaults

NEVER_S = 3_600.0


class SlotsMachine(RuleBasedStateMachine):
    """Requests arrive, leave and hang up in any order."""

    @initialize(most=st.integers(1, 3))
    def start(self, most: int) -> None:
        self.most = most
        self.slots = Slots()
        self.loop = asyncio.new_event_loop()
        self.running: list[asyncio.Task[None]] = []
        self.line: list[asyncio.Task[None]] = []

    def teardown(self) -> None:
        while self.line:
            self.line.pop().cancel()
        self.settle()
        self.loop.close()

    def settle(self) -> None:
        """Let everything happen that can; who got in, got in by the order of the line."""

        async def turn() -> None:
            for _ in range(6):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turn())
        while self.line and self.line[0].done() and self.line[0].exception() is None:
            self.running.append(self.line.pop(0))

    @rule()
    def arrives(self) -> None:
        before = len(self.line)
        task = self.loop.create_task(self.slots.enter(self.most, NEVER_S))
        self.line.append(task)
        self.settle()
        if before >= LONGEST_LINE:
            assert isinstance(self.line.pop().exception(), Busy)

    @rule(which=st.integers(0, 10))
    def leaves(self, which: int) -> None:
        if self.running:
            self.running.pop(which % len(self.running))
            self.slots.leave()
            self.settle()

    @rule(which=st.integers(0, 30))
    def hangs_up(self, which: int) -> None:
        if self.line:
            self.line.pop(which % len(self.line)).cancel()
            self.settle()

    @rule(which=st.integers(0, 30))
    def hangs_up_when_its_turn_has_come(self, which: int) -> None:
        if self.line and self.running:
            self.running.pop(which % len(self.running))
            self.slots.leave()
            self.line.pop(0).cancel()
            self.settle()

    @rule(most=st.integers(1, 3))
    def the_limit_changes(self, most: int) -> None:
        self.most = most

    @invariant()
    def nothing_leaks(self) -> None:
        assert self.slots.running == len(self.running)
        assert len(self.slots.waiting) == len(self.line) <= LONGEST_LINE
        assert not any(task.done() for task in self.line)
        assert self.running or not self.line


SlotsMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestSlots = SlotsMachine.TestCase


def turnstiles(clock: list[int], slept: list[float], **more: Any) -> Turnstiles:
    """Lanes of one account `a`, whose options and rules are `more`."""
    rules = more.pop("rules", {})
    world = snapshot(
        nodes=[node("one")], accounts=[account("one-one", "a", **more)], resilience=rules
    )

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += round(seconds * 1000)

    return Turnstiles(
        Policy(lambda: world, Defaults()), Quotas(lambda: clock[0]), lambda: clock[0], sleep
    )


QUEUE = "requestQueue"
LIMIT = {"x-ratelimit-limit-requests": "600"}
PACED: dict[str, tuple[dict[str, Any], list[float]]] = {
    "nobody set anything": ({}, []),
    "an operator's gap": ({QUEUE: {"minTimeBetweenRequestsMs": 200}}, [0.2, 0.2, 0.2]),
    "an operator's limit": ({QUEUE: {"requestsPerMinute": 2}}, [60.0]),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("rules", "waits"), PACED.values(), ids=PACED)
async def test_requests_follow_at_the_pace_that_was_set(
    rules: dict[str, Any], waits: list[float]
) -> None:
    clock, slept = [1_000_000], []  # type: list[int], list[float]
    made = turnstiles(clock, slept, rules=rules)
    place = made.at(account("one-one", "a"), "m")
    for _ in range(4):
        (await place.enter(None))()
    assert slept == waits
    assert (place.lane.done, place.lane.queued, place.lane.slots.running) == (4, 0, 0)


LEARNED: dict[str, tuple[int, dict[str, str], int | None, list[float]]] = {
    "plenty is left": (200, {**LIMIT, "x-ratelimit-remaining-requests": "500"}, None, []),
    "less than half is left": (
        200,
        {**LIMIT, "x-ratelimit-remaining-requests": "200"},
        None,
        [0.09],
    ),
    "one is left": (
        200,
        {
            **LIMIT,
            "x-ratelimit-remaining-requests": "1",
            "x-ratelimit-reset-requests": "20s",
        },
        None,
        [20.0],
    ),
    "one is left at Anthropic": (
        200,
        {
            "anthropic-ratelimit-requests-limit": "600",
            "anthropic-ratelimit-requests-remaining": "1",
            "anthropic-ratelimit-requests-reset": "1970-01-01T00:17:00Z",
        },
        None,
        [20.0],
    ),
    "a refusal with a hint": (429, {}, 5_000, [5.0]),
    "a refusal without one": (429, {}, None, []),
    "nonsense": (200, {**LIMIT, "x-ratelimit-remaining-requests": "many"}, None, []),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "headers", "hint", "waits"), LEARNED.values(), ids=LEARNED)
async def test_the_pace_is_learned_from_answers(
    status: int, headers: dict[str, str], hint: int | None, waits: list[float]
) -> None:
    clock, slept = [1_000_000], []  # type: list[int], list[float]
    place = turnstiles(clock, slept).at(account("one-one", "a"), "m")
    place.learn(status, headers, hint)
    for _ in range(2):
        (await place.enter(None))()
    assert slept == waits


@pytest.mark.anyio
async def test_a_wait_that_would_be_too_long_is_refused_at_once() -> None:
    clock, slept = [1_000_000], []  # type: list[int], list[float]
    place = turnstiles(clock, slept).at(account("one-one", "a"), "m")
    place.learn(429, {}, 30_000)
    with pytest.raises(Busy) as refused:
        await place.enter(10.0)
    assert (refused.value.code, refused.value.retry_after_ms) == ("RATE_LIMIT_WAIT", 30_000)
    assert (slept, place.lane.slots.running, place.lane.queued) == ([], 0, 0)
    (await place.enter(None))()
    assert slept == [30.0]


@pytest.mark.anyio
async def test_a_slot_is_given_back_once() -> None:
    place = turnstiles([0], [], max_concurrent=1).at(account("one-one", "a", max_concurrent=1), "m")
    leave = await place.enter(None)
    with pytest.raises(Busy) as refused:
        await place.enter(0)
    assert refused.value.code == "SEMAPHORE_TIMEOUT"
    leave()
    leave()
    assert place.lane.slots.running == 0
    (await place.enter(0))()


PROTECTED: dict[str, tuple[dict[str, Any], dict[str, Any], bool | None, bool]] = {
    "an API key": ({}, {}, None, True),
    "an API key, switched off for all": (
        {},
        {QUEUE: {"autoEnableApiKeyProviders": False}},
        None,
        False,
    ),
    "an API key, switched off by the environment": ({}, {}, False, False),
    "a sign-in": ({"auth_type": "oauth"}, {}, True, False),
    "a sign-in, switched on": (
        {"auth_type": "oauth", "rate_limit_protection": True},
        {},
        None,
        True,
    ),
    "an API key, switched off": ({"rate_limit_protection": False}, {}, True, False),
}


@pytest.mark.parametrize(("more", "rules", "told", "expected"), PROTECTED.values(), ids=PROTECTED)
def test_who_has_a_request_queue(
    more: dict[str, Any], rules: dict[str, Any], told: bool | None, expected: bool
) -> None:
    row = account("one-one", "a", **more)
    world = snapshot(nodes=[node("one")], accounts=[row], resilience=rules)
    policy = Policy(lambda: world, Defaults(protect_api_keys=told))
    assert policy.protected(row) is policy.queue(row).paced is expected
