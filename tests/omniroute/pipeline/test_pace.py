"""The pace as a state machine: whatever was set or learned holds for every start."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from omniroute.pipeline.accounts.pace import MINUTE_MS, Pace


class PaceMachine(RuleBasedStateMachine):
    """Requests start as soon as they may; answers teach; time passes."""

    @initialize(per_minute=st.none() | st.integers(1, 5), gap_ms=st.sampled_from([0, 200, 5_000]))
    def start(self, per_minute: int | None, gap_ms: int) -> None:
        self.now = 10_000_000
        self.pace = Pace()
        self.per_minute, self.gap_ms = per_minute, gap_ms
        self.starts: list[int] = []

    @rule(ms=st.integers(1, 90_000))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule()
    def a_request_waits_and_starts(self) -> None:
        wait = self.pace.wait_ms(self.now, self.per_minute, self.gap_ms)
        self.now += wait
        assert self.pace.wait_ms(self.now, self.per_minute, self.gap_ms) == 0
        self.pace.take(self.now)
        self.starts.append(self.now)

    @rule(hint_ms=st.integers(1, 100_000))
    def a_refusal_pauses(self, hint_ms: int) -> None:
        self.pace.learn(429, {}, hint_ms, self.now)
        assert self.pace.wait_ms(self.now, self.per_minute, self.gap_ms) >= hint_ms

    @rule(left=st.integers(0, 100), reset_s=st.integers(1, 90))
    def an_answer_teaches(self, left: int, reset_s: int) -> None:
        headers = {
            "x-ratelimit-limit-requests": "100",
            "x-ratelimit-remaining-requests": str(left),
            "x-ratelimit-reset-requests": f"{reset_s}s",
        }
        self.pace.learn(200, headers, None, self.now)
        if left == 0:
            wait = self.pace.wait_ms(self.now, self.per_minute, self.gap_ms)
            assert wait >= reset_s * 1000

    @invariant()
    def an_operators_limits_hold(self) -> None:
        gaps = [later - earlier for earlier, later in zip(self.starts, self.starts[1:])]  # noqa: B905
        assert all(gap >= self.gap_ms for gap in gaps)
        if self.per_minute is not None and self.starts:
            # Counted by the minute, so two of them may touch: never more than twice as many.
            recent = [at for at in self.starts if at > self.starts[-1] - MINUTE_MS]
            assert len(recent) <= 2 * self.per_minute


PaceMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPace = PaceMachine.TestCase
