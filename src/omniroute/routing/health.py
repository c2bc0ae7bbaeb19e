"""What is known about the fitness of providers, accounts and models, fed once per attempt.

Three scopes that never express one another: a breaker per provider, a cooldown per account, a
lockout per model of an account. Source: 05 §4. A healthy thing has no entry, so the state is
small and a view of it is a reference: every change replaces the mapping it is in.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from omniroute.routing.verdicts import Failure, Verdict

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

BreakerState: TypeAlias = Literal["CLOSED", "OPEN", "HALF_OPEN"]

BREAKER_THRESHOLD = 12
BREAKER_RESET_MS = 30_000
SAME_CONNECTION_WINDOW_MS = 5_000
BASE_COOLDOWN_MS = 3_000
MAX_BACKOFF_STEPS = 5


class Breaker(Struct, frozen=True, kw_only=True):
    """Failures of one provider in a row. `probing` is the one call HALF_OPEN lets through."""

    failures: int = 0
    last_failure_ms: int = 0
    last_connection: str | None = None
    tripped: bool = False
    probing: bool = False

    def state(self, now_ms: int) -> BreakerState:
        """OPEN turns into HALF_OPEN by the clock alone, when somebody looks."""
        if not self.tripped:
            return "CLOSED"
        return "HALF_OPEN" if now_ms - self.last_failure_ms >= BREAKER_RESET_MS else "OPEN"


class Cooldown(Struct, frozen=True, kw_only=True):
    """An account to leave alone. `terminal` states have no end by themselves."""

    until_ms: int
    level: int
    reason: str
    message: str
    status: int
    terminal: str | None = None


class Lockout(Struct, frozen=True, kw_only=True):
    """A model of an account to leave alone."""

    until_ms: int
    failures: int
    reason: str


ModelKey: TypeAlias = tuple[str, str, str]
"""Provider id, connection id, upstream model id."""


class HealthView(Struct, frozen=True):
    """Health as one request sees it. Only what is not healthy has an entry."""

    now_ms: int
    breakers: Mapping[str, Breaker] = MappingProxyType({})
    cooldowns: Mapping[str, Cooldown] = MappingProxyType({})
    lockouts: Mapping[ModelKey, Lockout] = MappingProxyType({})

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
                return "provider_circuit_open", breaker.last_failure_ms + BREAKER_RESET_MS
        cooldown = self.cooldowns.get(connection)
        if cooldown is not None:
            if cooldown.terminal is not None:
                return f"account_{cooldown.terminal}", None
            if cooldown.until_ms > self.now_ms:
                return f"cooldown_{cooldown.reason}", cooldown.until_ms
        lockout = self.lockouts.get((provider, connection, model))
        if lockout is not None and lockout.until_ms > self.now_ms:
            return f"model_lockout_{lockout.reason}", lockout.until_ms
        return None


class Health:
    """The live state behind the views. All methods are synchronous: a change is atomic.

    Args:
        now_ms: the injected clock, epoch milliseconds.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._breakers: dict[str, Breaker] = {}
        self._cooldowns: dict[str, Cooldown] = {}
        self._lockouts: dict[ModelKey, Lockout] = {}

    def view(self) -> HealthView:
        """Health right now; later changes do not show in it."""
        return HealthView(self._now_ms(), self._breakers, self._cooldowns, self._lockouts)

    def begin(self, provider: str) -> None:
        """An attempt starts. Takes the single probe of a half-open breaker."""
        breaker = self._breakers.get(provider)
        if breaker is not None and breaker.state(self._now_ms()) == "HALF_OPEN":
            self._set_breaker(provider, msgspec.structs.replace(breaker, probing=True))

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
        if verdict.trips_breaker:
            self._trip(provider, connection)
        else:
            self.abandoned(provider)
        if verdict.terminal is not None or (
            verdict.cooldown is not None and verdict.blame in ("connection", "provider")
        ):
            self._cool(connection, failure, verdict)
        elif verdict.cooldown is not None and verdict.blame == "model":
            self._lock((provider, connection, model), verdict)

    def abandoned(self, provider: str) -> None:
        """An attempt ended without a judgement: a half-open probe gives its place back."""
        breaker = self._breakers.get(provider)
        if breaker is not None and breaker.probing:
            self._set_breaker(provider, msgspec.structs.replace(breaker, probing=False))

    def forget(self, connection: str) -> None:
        """A credential changed: its account starts afresh."""
        self._cooldowns = _without(self._cooldowns, connection)
        self._lockouts = {key: row for key, row in self._lockouts.items() if key[1] != connection}

    def _trip(self, provider: str, connection: str) -> None:
        now = self._now_ms()
        old = self._breakers.get(provider, Breaker())
        state = old.state(now)
        if state == "OPEN":
            return  # further failures do not extend the pause
        recent = now - old.last_failure_ms < SAME_CONNECTION_WINDOW_MS
        again = recent and old.last_connection == connection and state == "CLOSED"
        failures = old.failures if again else old.failures + 1
        self._set_breaker(
            provider,
            Breaker(
                failures=failures,
                last_failure_ms=old.last_failure_ms if again else now,
                last_connection=connection,
                tripped=state == "HALF_OPEN" or failures >= BREAKER_THRESHOLD,
            ),
        )

    def _cool(self, connection: str, failure: Failure, verdict: Verdict) -> None:
        now = self._now_ms()
        old = self._cooldowns.get(connection)
        if old is not None and (old.terminal is not None or old.until_ms > now):
            return  # a herd of failures counts once
        level = 0
        if old is not None:
            # One level is forgiven for each further pause that passed in peace.
            elapsed = (now - old.until_ms) // (BASE_COOLDOWN_MS * 2**old.level)
            level = max(0, old.level - int(elapsed))
        pause, next_level = _pause_ms(failure, verdict, level)
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

    def _lock(self, key: ModelKey, verdict: Verdict) -> None:
        now = self._now_ms()
        old = self._lockouts.get(key)
        pause = verdict.cooldown if isinstance(verdict.cooldown, int) else BASE_COOLDOWN_MS
        until = max(now + pause, old.until_ms if old else 0)
        failures = (old.failures if old else 0) + 1
        self._lockouts = {
            **self._lockouts,
            key: Lockout(until_ms=until, failures=failures, reason=verdict.reason),
        }

    def _set_breaker(self, provider: str, breaker: Breaker) -> None:
        self._breakers = {**self._breakers, provider: breaker}


def _pause_ms(failure: Failure, verdict: Verdict, level: int) -> tuple[int, int]:
    """How long to stay away, and the level the next failure starts from."""
    if verdict.terminal is not None:
        return 0, 0
    if failure.retry_after_ms:
        return failure.retry_after_ms, 0
    if isinstance(verdict.cooldown, int):
        return verdict.cooldown, level
    return BASE_COOLDOWN_MS * 2**level, min(level + 1, MAX_BACKOFF_STEPS)


def _without(mapping: Mapping[KeyT, ValueT], key: KeyT) -> dict[KeyT, ValueT]:
    return {name: value for name, value in mapping.items() if name != key}
