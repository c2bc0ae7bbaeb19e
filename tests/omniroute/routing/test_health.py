"""Breaker, cooldown and lockout as state machines under an injected clock."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from omniroute.routing.resilience.health import (
    BASE_COOLDOWN_MS,
    BREAKER_RESET_MS,
    BREAKER_THRESHOLD,
    SAME_CONNECTION_WINDOW_MS,
    Health,
    HealthView,
)
from omniroute.routing.resilience.verdicts import Failure, classify

PROVIDERS = ("p", "q")
CONNECTIONS = {"p": ("p1", "p2"), "q": ("q1",)}
MODELS = ("m", "n")

places = st.sampled_from(PROVIDERS).flatmap(
    lambda provider: st.tuples(
        st.just(provider), st.sampled_from(CONNECTIONS[provider]), st.sampled_from(MODELS)
    )
)
failures = st.builds(
    Failure,
    cause=st.just("status"),
    status=st.sampled_from([400, 401, 404, 429, 500, 503, 529]),
    retry_after_ms=st.sampled_from([None, 1_000, 60_000]),
)


class HealthMachine(RuleBasedStateMachine):
    """Attempts come and go, time passes; the three scopes stay apart."""

    @initialize()
    def start(self) -> None:
        self.now = 10_000_000
        self.health = Health(lambda: self.now)
        self.earlier: list[tuple[HealthView, HealthView]] = []

    @rule(ms=st.integers(1, 120_000))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(place=places)
    def success(self, place: tuple[str, str, str]) -> None:
        self.health.begin(place[0])
        self.health.succeeded(*place)
        view = self.health.view()
        assert view.blocked(*place) is None
        assert view.breaker(place[0]) == "CLOSED"

    @rule(place=places, failure=failures)
    def failure(self, place: tuple[str, str, str], failure: Failure) -> None:
        provider, connection, model = place
        verdict = classify(failure)
        before = self.health.view()
        was_cooling = before.cooldowns.get(connection)
        self.health.begin(provider)
        self.health.failed(*place, failure, verdict)
        after = self.health.view()
        if not verdict.trips_breaker:
            old, new = before.breakers.get(provider), after.breakers.get(provider)
            assert (old and (old.failures, old.tripped)) == (new and (new.failures, new.tripped))
        if verdict.blame == "client":
            assert after.cooldowns == before.cooldowns
            assert after.lockouts == before.lockouts
        if verdict.blame == "model":
            assert after.cooldowns == before.cooldowns
            assert after.blocked(provider, connection, model) is not None
        if was_cooling is not None and was_cooling.until_ms > self.now:
            assert after.cooldowns[connection] == was_cooling
        elif failure.retry_after_ms and verdict.cooldown == "backoff":
            cooldown = after.cooldowns[connection]
            assert cooldown.terminal or cooldown.until_ms == self.now + failure.retry_after_ms

    @rule(provider=st.sampled_from(PROVIDERS))
    def probe(self, provider: str) -> None:
        if self.health.view().breaker(provider) == "HALF_OPEN":
            self.health.begin(provider)
            free = [
                self.health.view().blocked(provider, f"new-{number}", "m") for number in range(2)
            ]
            assert [found and found[0] for found in free] == ["provider_circuit_open"] * 2
            self.health.abandoned(provider)
            assert self.health.view().blocked(provider, "new", "m") is None

    @rule()
    def look(self) -> None:
        view = self.health.view()
        self.earlier.append((view, HealthView(view.now_ms, *map(dict, _maps(view)))))

    @invariant()
    def a_view_never_changes(self) -> None:
        for kept, copied in getattr(self, "earlier", []):
            assert kept == copied

    @invariant()
    def terminal_states_do_not_end_by_themselves(self) -> None:
        if not hasattr(self, "health"):
            return
        later = HealthView(self.now + 10**9, *_maps(self.health.view()))
        for connection, cooldown in later.cooldowns.items():
            if cooldown.terminal:
                assert later.blocked("none", connection, "m") is not None


def _maps(view: HealthView):  # type: ignore[no-untyped-def]
    return view.breakers, view.cooldowns, view.lockouts


TestHealth = HealthMachine.TestCase
TestHealth.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

DOWN = Failure(cause="status", status=503)


def test_a_breaker_opens_at_its_threshold_and_not_before() -> None:
    now = 0
    health = Health(lambda: now)
    for number in range(BREAKER_THRESHOLD):
        assert health.view().breaker("p") == "CLOSED", number
        health.failed("p", f"c{number}", "m", DOWN, classify(DOWN))
    assert health.view().breaker("p") == "OPEN"


def test_failures_of_one_account_within_five_seconds_count_once() -> None:
    health = Health(lambda: 1_000_000)
    for _ in range(2 * BREAKER_THRESHOLD):
        health.failed("p", "c", "m", DOWN, classify(DOWN))
    assert health.view().breakers["p"].failures == 1


def test_an_open_breaker_turns_half_open_by_the_clock_and_a_failed_probe_opens_it_again() -> None:
    clock = [0]
    health = Health(lambda: clock[0])
    for number in range(BREAKER_THRESHOLD):
        health.failed("p", f"c{number}", "m", DOWN, classify(DOWN))
    clock[0] = BREAKER_RESET_MS - 1
    health.failed("p", "late", "m", DOWN, classify(DOWN))
    assert health.view().breaker("p") == "OPEN"
    clock[0] = BREAKER_RESET_MS
    assert health.view().breaker("p") == "HALF_OPEN"
    health.begin("p")
    health.failed("p", "probe", "m", DOWN, classify(DOWN))
    assert health.view().breaker("p") == "OPEN"
    clock[0] *= 2
    health.begin("p")
    health.succeeded("p", "probe", "m")
    assert health.view().breaker("p") == "CLOSED"


def test_pauses_grow_while_failures_go_on_and_shrink_in_peace() -> None:
    clock = [0]
    health = Health(lambda: clock[0])
    pauses = []
    for _ in range(4):
        health.failed("p", "c", "m", DOWN, classify(DOWN))
        until = health.view().cooldowns["c"].until_ms
        pauses.append(until - clock[0])
        clock[0] = until
    assert pauses == [BASE_COOLDOWN_MS * 2**level for level in range(4)]
    clock[0] += 10**9
    health.failed("p", "c", "m", DOWN, classify(DOWN))
    assert health.view().cooldowns["c"].until_ms - clock[0] == BASE_COOLDOWN_MS


def test_failures_of_one_account_five_seconds_apart_count_each() -> None:
    clock = [1_000_000]
    health = Health(lambda: clock[0])
    counted = []
    for step_ms in (0, SAME_CONNECTION_WINDOW_MS - 1, 1, SAME_CONNECTION_WINDOW_MS):
        clock[0] += step_ms
        health.failed("p", "c", "m", DOWN, classify(DOWN))
        counted.append(health.view().breakers["p"].failures)
    assert counted == [1, 1, 2, 3]


BANNED = Failure(cause="status", status=403, text="Your account has been deactivated")
LIMITED = Failure(cause="status", status=429, retry_after_ms=5_000)
MISSING = Failure(cause="status", status=404)


def test_a_terminal_state_outlives_later_failures_and_ends_with_a_new_credential() -> None:
    clock = [1_000_000]
    health = Health(lambda: clock[0])
    health.failed("p", "c", "m", BANNED, classify(BANNED))
    clock[0] += 10**9
    health.failed("p", "c", "m", LIMITED, classify(LIMITED))
    assert health.view().blocked("p", "c", "m") == ("account_banned", None)
    health.forget("c")
    assert health.view().blocked("p", "c", "m") is None


def test_the_three_scopes_stay_apart() -> None:
    health = Health(lambda: 1_000_000)
    health.failed("p", "limited", "m", LIMITED, classify(LIMITED))
    health.failed("p", "missing", "m", MISSING, classify(MISSING))
    view = health.view()
    places = {
        (connection, model): (found := view.blocked("p", connection, model)) and found[0]
        for connection in ("limited", "missing", "sound")
        for model in ("m", "n")
    }
    assert places == {
        ("limited", "m"): "cooldown_rate_limited",
        ("limited", "n"): "cooldown_rate_limited",
        ("missing", "m"): "model_lockout_not_found",
        ("missing", "n"): None,
        ("sound", "m"): None,
        ("sound", "n"): None,
    }
    assert view.breaker("p") == "CLOSED"


def test_forgetting_an_account_leaves_the_others_alone() -> None:
    health = Health(lambda: 1_000_000)
    for connection in ("a", "b"):
        health.failed("p", connection, "m", LIMITED, classify(LIMITED))
        health.failed("p", connection, "n", MISSING, classify(MISSING))
    health.forget("a")
    view = health.view()
    assert (set(view.cooldowns), set(view.lockouts)) == ({"b"}, {("p", "b", "n")})


def test_a_neutral_probe_gives_its_place_back() -> None:
    clock = [0]
    health = Health(lambda: clock[0])
    for number in range(BREAKER_THRESHOLD):
        health.failed("p", f"c{number}", "m", DOWN, classify(DOWN))
    clock[0] = BREAKER_RESET_MS
    health.begin("p")
    assert health.view().blocked("p", "new", "m") == ("provider_circuit_open", BREAKER_RESET_MS)
    health.failed("p", "new", "m", MISSING, classify(MISSING))
    view = health.view()
    assert (view.breaker("p"), view.blocked("p", "newer", "m")) == ("HALF_OPEN", None)
