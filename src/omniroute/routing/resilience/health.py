"""What is known about the fitness of providers, accounts and models, fed once per attempt.

Three scopes that never express one another: a breaker per provider, a cooldown per account, a
lockout per model of an account. Source: 05 §4. A healthy thing has no entry, so the state is
small and a view of it is a reference: every change replaces the mapping it is in.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from omniroute.routing.resilience.profiles import DAY_MS, FailureKind, Profile, Profiles
from omniroute.routing.resilience.tool_limits import LEARNED_FOR_MS
from omniroute.routing.resilience.verdicts import Failure, Verdict, failure_kind

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

BreakerState: TypeAlias = Literal["CLOSED", "OPEN", "HALF_OPEN"]

USUAL = Profile()
BREAKER_THRESHOLD = USUAL.threshold
BREAKER_RESET_MS = USUAL.reset_ms
BASE_COOLDOWN_MS = USUAL.base_cooldown_ms
SAME_CONNECTION_WINDOW_MS = 5_000
FORGOTTEN_MS = 30 * 60_000
_NO_CREDIT_LOCK_MS = 120_000
_HOPELESS = frozenset({"not_found", "unknown_model"})


class Breaker(Struct, frozen=True, kw_only=True):
    """Failures of one provider in a row. `probing` is the one call HALF_OPEN lets through.

    `counted` says when the newest failures came, by connection; `open_ms` is how long it stays
    open after the last of them, `connection` whose that was and `kind` of which kind.
    """

    failures: int = 0
    last_failure_ms: int = 0
    kind: FailureKind = "transient"
    open_ms: int = BREAKER_RESET_MS
    connection: str = ""
    counted: tuple[tuple[str, int], ...] = ()
    tripped: bool = False
    probing: bool = False

    @property
    def half_open_at_ms(self) -> int:
        """When an open breaker lets the next call through, epoch ms."""
        return self.last_failure_ms + self.open_ms

    def state(self, now_ms: int) -> BreakerState:
        """OPEN turns into HALF_OPEN by the clock alone, when somebody looks."""
        if not self.tripped:
            return "CLOSED"
        return "HALF_OPEN" if now_ms >= self.half_open_at_ms else "OPEN"


class Cooldown(Struct, frozen=True, kw_only=True):
    """An account to leave alone. `terminal` states have no end by themselves."""

    until_ms: int
    level: int
    reason: str
    message: str
    status: int
    terminal: str | None = None


class Lockout(Struct, frozen=True, kw_only=True):
    """A model of an account to leave alone. `failures` are those in quick succession."""

    until_ms: int
    failures: int
    reason: str


class ToolLimit(Struct, frozen=True, kw_only=True):
    """The most tools a provider takes, until it is asked again."""

    most: int
    until_ms: int


ModelKey: TypeAlias = tuple[str, str, str]
"""Provider id, connection id, upstream model id."""


class HealthView(Struct, frozen=True):
    """Health as one request sees it. Only what is not healthy has an entry."""

    now_ms: int
    breakers: Mapping[str, Breaker] = MappingProxyType({})
    cooldowns: Mapping[str, Cooldown] = MappingProxyType({})
    lockouts: Mapping[ModelKey, Lockout] = MappingProxyType({})
    tool_limits: Mapping[str, ToolLimit] = MappingProxyType({})

    def most_tools(self, provider: str) -> int | None:
        """How many tools a provider takes, if it has ever said so."""
        limit = self.tool_limits.get(provider)
        return limit.most if limit is not None and limit.until_ms > self.now_ms else None

    def breaker(self, provider: str) -> BreakerState:
        """State of a provider's breaker."""
        breaker = self.breakers.get(provider)
        return breaker.state(self.now_ms) if breaker else "CLOSED"

    def blocked(self, provider: str, connection: str, model: str) -> tuple[str, int | None] | None:
        """Why a target of an account may not be tried, and until when (epoch ms), or None."""
        breaker = self.breakers.get(provider)
        if breaker is not None:
            state = breaker.state(self.now_ms)
            if state == "OPEN" or (state == "HALF_OPEN" and breaker.probing):
                return "provider_circuit_open", breaker.half_open_at_ms
        cooldown = self.cooldowns.get(connection)
        if cooldown is not None:
            if cooldown.terminal is not None:
                return f"account_{cooldown.terminal}", None
            if cooldown.until_ms > self.now_ms:
                return f"cooldown_{cooldown.reason}", cooldown.until_ms
        lockout = self.lockouts.get((provider, connection, model))
        if lockout is not None and lockout.until_ms > self.now_ms:
            # A model that is not there is nothing to wait for.
            until_ms = None if lockout.reason in _HOPELESS else lockout.until_ms
            return f"model_lockout_{lockout.reason}", until_ms
        return None


class Health:
    """The live state behind the views. All methods are synchronous: a change is atomic.

    Args:
        now_ms: the injected clock, epoch milliseconds.
        profiles: the thresholds and pauses of each account; the usual ones without.
    """

    def __init__(
        self, now_ms: Callable[[], int], profiles: Profiles = lambda _provider, _account: USUAL
    ) -> None:
        self._now_ms = now_ms
        self._profiles = profiles
        self._breakers: dict[str, Breaker] = {}
        self._cooldowns: dict[str, Cooldown] = {}
        self._lockouts: dict[ModelKey, Lockout] = {}
        self._tool_limits: dict[str, ToolLimit] = {}

    def view(self) -> HealthView:
        """Health right now; later changes do not show in it."""
        return HealthView(
            self._now_ms(), self._breakers, self._cooldowns, self._lockouts, self._tool_limits
        )

    def takes_tools(self, provider: str, most: int) -> None:
        """A provider said how many tools it takes; the smallest number it has named holds."""
        known = self.view().most_tools(provider)
        if known is None or most < known:
            limit = ToolLimit(most=most, until_ms=self._now_ms() + LEARNED_FOR_MS)
            self._tool_limits = {**self._tool_limits, provider: limit}

    def begin(self, provider: str) -> None:
        """An attempt starts. Takes the single probe of a half-open breaker."""
        breaker = self._breakers.get(provider)
        if breaker is not None and breaker.state(self._now_ms()) == "HALF_OPEN":
            self._set_breaker(provider, replace(breaker, probing=True))

    def succeeded(self, provider: str, connection: str, model: str) -> None:
        """An attempt delivered: clear everything that spoke against its target."""
        if provider in self._breakers:
            self._breakers = _without(self._breakers, provider)
        if connection in self._cooldowns:
            self._cooldowns = _without(self._cooldowns, connection)
        key = (provider, connection, model)
        if key in self._lockouts:
            self._lockouts = _without(self._lockouts, key)

    def failed(
        self, provider: str, connection: str, model: str, failure: Failure, verdict: Verdict
    ) -> None:
        """An attempt failed: change exactly the scope its verdict blames."""
        rules = self._profiles(provider, connection)
        if verdict.trips_breaker:
            self._trip(provider, connection, failure_kind(failure), rules)
        else:
            self.abandoned(provider)
        if verdict.terminal is None and verdict.cooldown is None:
            return
        key = (provider, connection, model)
        if verdict.blame == "model" or _concerns_one_model(model, failure, verdict, rules):
            self._lock(key, failure, verdict, rules)
        elif verdict.blame in ("connection", "provider"):
            self._cool(connection, failure, verdict, rules)

    def abandoned(self, provider: str) -> None:
        """An attempt ended without a judgement: a half-open probe gives its place back."""
        breaker = self._breakers.get(provider)
        if breaker is not None and breaker.probing:
            self._set_breaker(provider, replace(breaker, probing=False))

    def forget(self, connection: str) -> None:
        """A credential changed: its account starts afresh."""
        self._cooldowns = _without(self._cooldowns, connection)
        self._lockouts = {key: row for key, row in self._lockouts.items() if key[1] != connection}

    def rest(self, connection: str, until_ms: int) -> None:
        """An operator has an account left alone until a time, epoch ms."""
        told = Cooldown(until_ms=until_ms, level=0, reason="operator", message="", status=0)
        self._cooldowns = {**self._cooldowns, connection: told}

    def revive(self, connection: str) -> None:
        """An account is fit again: it answered a test, or an operator says so."""
        self._cooldowns = _without(self._cooldowns, connection)

    def reset(self, provider: str | None = None) -> int:
        """Close one breaker, or all; how many were not as new."""
        gone = [name for name in self._breakers if provider in (None, name)]
        self._breakers = {name: row for name, row in self._breakers.items() if name not in gone}
        return len(gone)

    def unlock(
        self, provider: str | None = None, model: str | None = None, connection: str | None = None
    ) -> int:
        """Lift the lockouts that match everything given; how many were in force."""
        now = self._now_ms()
        gone = [
            key
            for key in self._lockouts
            if provider in (None, key[0])
            and connection in (None, key[1])
            and model in (None, key[2])
        ]
        lifted = sum(self._lockouts[key].until_ms > now for key in gone)
        self._lockouts = {key: row for key, row in self._lockouts.items() if key not in gone}
        return lifted

    def retuned(self) -> None:
        """The profiles may have changed: open breakers wait as long as they say now."""
        self._breakers = {
            name: replace(row, open_ms=self._profiles(name, row.connection).open_ms(row.kind))
            for name, row in self._breakers.items()
        }

    def restore(self, view: HealthView) -> None:
        """Go on from what an earlier process knew. Its probes died with it."""
        self._breakers = {name: replace(row, probing=False) for name, row in view.breakers.items()}
        self._cooldowns = dict(view.cooldowns)
        self._lockouts = dict(view.lockouts)
        self._tool_limits = dict(view.tool_limits)

    def _trip(self, provider: str, connection: str, kind: FailureKind, rules: Profile) -> None:
        now = self._now_ms()
        old = self._breakers.get(provider, Breaker())
        state = old.state(now)
        if state == "OPEN":
            return  # further failures do not extend the pause
        recent = [row for row in old.counted if now - row[1] < SAME_CONNECTION_WINDOW_MS]
        if state == "CLOSED" and any(connection == name for name, _ in recent):
            return
        failures = old.failures + 1
        self._set_breaker(
            provider,
            Breaker(
                failures=failures,
                last_failure_ms=now,
                kind=kind,
                open_ms=rules.open_ms(kind),
                connection=connection,
                counted=(*recent, (connection, now)),
                tripped=state == "HALF_OPEN" or failures >= rules.threshold,
            ),
        )

    def _cool(self, connection: str, failure: Failure, verdict: Verdict, rules: Profile) -> None:
        now = self._now_ms()
        old = self._cooldowns.get(connection)
        if old is not None and (old.terminal is not None or old.until_ms > now):
            return  # a herd of failures counts once
        level = 0
        if old is not None:
            # One level is forgiven for each further pause that passed in peace.
            elapsed = (now - old.until_ms) // rules.backoff_ms(old.level)
            level = max(0, old.level - elapsed)
        pause, next_level = _pause_ms(failure, verdict, level, now, rules)
        self._cooldowns = {
            **self._cooldowns,
            connection: Cooldown(
                until_ms=now + pause,
                level=next_level,
                reason=verdict.reason,
                message=failure.text[:100],
                status=failure.status,
                terminal=verdict.terminal,
            ),
        }

    def _lock(self, key: ModelKey, failure: Failure, verdict: Verdict, rules: Profile) -> None:
        now = self._now_ms()
        breaker = self._breakers.get(key[0])
        if breaker is not None and breaker.state(now) == "OPEN":
            return  # nothing of this provider is tried anyway
        old = self._lockouts.get(key)
        # Counted from the end of the last lock: the time within it says nothing.
        again = old is not None and now - old.until_ms < rules.reset_ms
        failures = old.failures + 1 if old is not None and again else 1
        until = now + _lock_ms(failure, verdict, failures, now, rules)
        kept = {at: row for at, row in self._lockouts.items() if now - row.until_ms < FORGOTTEN_MS}
        self._lockouts = {
            **kept,
            key: Lockout(
                until_ms=max(until, old.until_ms if old else 0),
                failures=failures,
                reason=verdict.reason,
            ),
        }

    def _set_breaker(self, provider: str, breaker: Breaker) -> None:
        self._breakers = {**self._breakers, provider: breaker}


def _concerns_one_model(model: str, failure: Failure, verdict: Verdict, rules: Profile) -> bool:
    """Whether what an account refused holds for this model of it alone."""
    if verdict.blame != "connection":
        return False
    if rules.model_quotas:
        return verdict.terminal == "credits_exhausted" or failure.status == 429
    return verdict.cooldown == "midnight" and model.lower() in failure.text.lower()


def _hint_ms(failure: Failure, verdict: Verdict, rules: Profile) -> int | None:
    trusted = verdict.takes_hint or (rules.retry_hints and verdict.cooldown in ("backoff", "base"))
    return failure.retry_after_ms or None if trusted else None


def _until_midnight_ms(now_ms: int) -> int:
    return DAY_MS - now_ms % DAY_MS


def _pause_ms(
    failure: Failure, verdict: Verdict, level: int, now_ms: int, rules: Profile
) -> tuple[int, int]:
    """How long to stay away, and the level the next failure starts from."""
    if verdict.terminal is not None:
        return 0, 0
    hint = _hint_ms(failure, verdict, rules)
    if hint is not None:
        return hint, 0
    if verdict.cooldown == "midnight":
        return _until_midnight_ms(now_ms), level
    if verdict.cooldown == "base":
        return rules.backoff_ms(0), level
    if isinstance(verdict.cooldown, int):
        return verdict.cooldown, level
    return rules.backoff_ms(level), min(level + 1, rules.max_backoff_steps)


def _lock_ms(failure: Failure, verdict: Verdict, failures: int, now_ms: int, rules: Profile) -> int:
    """How long a model is left alone after this many failures in quick succession."""
    hint = _hint_ms(failure, verdict, rules)
    if hint is not None:
        return hint
    if verdict.cooldown == "midnight":
        return _until_midnight_ms(now_ms)
    base = rules.base_cooldown_ms or 1_000
    if verdict.terminal is not None:
        base = failure.retry_after_ms or _NO_CREDIT_LOCK_MS
    elif isinstance(verdict.cooldown, int):
        base = verdict.cooldown
    return base << min(failures - 1, rules.max_backoff_steps)


def _without(mapping: Mapping[KeyT, ValueT], key: KeyT) -> dict[KeyT, ValueT]:
    return {name: value for name, value in mapping.items() if name != key}
