"""What the planner may see of the moving world: health, measurements, turns, quotas, sessions."""

from dataclasses import dataclass
from typing import Protocol

from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.resilience.health import Cooldown, HealthView
from omniroute.routing.scoring.healing import SelfHealing
from omniroute.routing.scoring.measured import Measured
from omniroute.routing.targets import (
    AccountUse,
    BreakerState,
    Healing,
    LastGood,
    Performance,
    Quota,
)
from omniroute.routing.turns.affinity import Affinity
from omniroute.routing.turns.pins import Pins
from omniroute.routing.turns.rotation import Rotation


class World(Protocol):
    """The state a plan is made in. Live for real and dry runs, a recording for replays."""

    @property
    def now_ms(self) -> int:
        """The time of the plan, epoch milliseconds."""

    def breaker(self, provider: str) -> BreakerState:
        """State of a provider's breaker."""

    def blocked(self, provider: str, connection: str, model: str) -> tuple[str, int | None] | None:
        """Why a target of an account may not be tried, and until when (epoch ms)."""

    def trouble(self, connection: str) -> tuple[int, int | None]:
        """How far an account has backed off, and the status of its last failure."""

    def performance(self, provider: str, model: str) -> Performance | None:
        """What was measured of a model at a provider."""

    def requests(self, combo: str, model: str) -> int:
        """How often a combo asked a model."""

    def last_good(self, combo: str) -> LastGood | None:
        """Who answered a combo last."""

    def turn(self, counter: str) -> int:
        """The value of a counter."""

    def use(self, connection: str) -> AccountUse:
        """How an account was used."""

    def in_flight(self, connection: str) -> int:
        """Requests an account is busy with."""

    def quota(self, connection: str) -> Quota | None:
        """What is left of an account's quota."""

    def remark(self, connection: str) -> str | None:
        """What is to be said about the quota of an account that may be tried."""

    def bound(self, session: str, provider: str) -> str | None:
        """The account a session used last at a provider."""

    def pinned(self, conversation: str, combo: str) -> tuple[str, str] | None:
        """Provider and model a conversation keeps in a combo."""

    def healing(self, provider: str) -> Healing | None:
        """Why `auto` keeps a provider back."""


@dataclass(frozen=True, slots=True)
class LiveWorld:
    """The world right now. Read within one synchronous plan, so nothing moves meanwhile."""

    health: HealthView
    measured: Measured
    rotation: Rotation
    affinity: Affinity
    self_healing: SelfHealing
    pins: Pins
    quotas: Quotas

    @property
    def now_ms(self) -> int:
        return self.health.now_ms

    def breaker(self, provider: str) -> BreakerState:
        return self.health.breaker(provider)

    def blocked(self, provider: str, connection: str, model: str) -> tuple[str, int | None] | None:
        return self.health.blocked(provider, connection, model) or self.quotas.held(connection)

    def trouble(self, connection: str) -> tuple[int, int | None]:
        cooldown: Cooldown | None = self.health.cooldowns.get(connection)
        return (0, None) if cooldown is None else (cooldown.level, cooldown.status)

    def performance(self, provider: str, model: str) -> Performance | None:
        return self.measured.performance(provider, model)

    def requests(self, combo: str, model: str) -> int:
        return self.measured.requests(combo, model)

    def last_good(self, combo: str) -> LastGood | None:
        return self.measured.last_good(combo)

    def turn(self, counter: str) -> int:
        return self.rotation.turn(counter)

    def use(self, connection: str) -> AccountUse:
        return self.rotation.use(connection)

    def in_flight(self, connection: str) -> int:
        return self.rotation.in_flight(connection)

    def quota(self, connection: str) -> Quota | None:
        return self.quotas.of(connection)

    def remark(self, connection: str) -> str | None:
        return self.quotas.remark(connection)

    def bound(self, session: str, provider: str) -> str | None:
        return self.affinity.bound(session, provider)

    def pinned(self, conversation: str, combo: str) -> tuple[str, str] | None:
        pin = self.pins.of(conversation, combo)
        return None if pin is None else (pin.provider, pin.model)

    def healing(self, provider: str) -> Healing | None:
        return self.self_healing.of(provider)
