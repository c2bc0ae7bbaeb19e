"""The moving world behind the planner, and the few things that move it: real requests."""

from collections.abc import Callable, Container
from dataclasses import dataclass

from omniroute.routing.plan import Plan, counted_on
from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.resilience.health import Health
from omniroute.routing.resilience.verdicts import OUT_OF_QUOTA, Verdict
from omniroute.routing.scoring.auto import LOW_SCORE, READMIT_SCORE
from omniroute.routing.scoring.healing import SelfHealing
from omniroute.routing.scoring.measured import Measured
from omniroute.routing.targets import Branch, Candidate, LastGood
from omniroute.routing.turns.affinity import Affinity
from omniroute.routing.turns.pins import Pins
from omniroute.routing.turns.rotation import Rotation
from omniroute.routing.world import LiveWorld


@dataclass(frozen=True, slots=True)
class Live:
    """Everything a plan reads and a real run changes. Every change is synchronous, so atomic.

    `now_ms` is epoch milliseconds.
    """

    now_ms: Callable[[], int]
    health: Health
    measured: Measured
    rotation: Rotation
    affinity: Affinity
    healing: SelfHealing
    quotas: Quotas
    pins: Pins

    @classmethod
    def fresh(
        cls, now_ms: Callable[[], int], health: Health, quotas: Quotas | None = None
    ) -> "Live":
        """A world in which nothing has happened yet."""
        return cls(
            now_ms,
            health,
            Measured(now_ms),
            Rotation(),
            Affinity(now_ms),
            SelfHealing(now_ms),
            quotas or Quotas(now_ms),
            Pins(now_ms),
        )

    def world(self) -> LiveWorld:
        """What a plan made right now may see."""
        return LiveWorld(
            self.health.view(),
            self.measured,
            self.rotation,
            self.affinity,
            self.healing,
            self.pins,
            self.quotas,
        )

    def chosen(self, made: Plan) -> None:
        """A real run goes by this plan: its first candidate takes its turns.

        Called before anything is awaited, so that no two requests take the same turn.
        """
        if made.strategy == "auto":
            self._heal(made)
        self.quotas.want(counted_on(made))
        if made.candidates:
            self.took(made.candidates[0], ())

    def took(self, candidate: Candidate, taken: tuple[str, ...]) -> None:
        """A candidate is about to be tried; `taken` are turns its request has taken already."""
        for counter in candidate.turns:
            if counter not in taken:
                self.rotation.advance(counter)
        self.rotation.used(candidate.provider, candidate.connection, self.now_ms())

    def began(self, candidate: Candidate, combo: str | None) -> None:
        """An attempt starts."""
        self.health.begin(candidate.provider)
        self.rotation.began(candidate.place)
        if combo is not None:
            self.measured.asked(combo, f"{candidate.provider}/{candidate.model}")

    def ended(self, candidate: Candidate) -> None:
        """An attempt is over, answer read and all."""
        self.rotation.ended(candidate.place)

    def delivered(
        self, candidate: Candidate, made: Plan, session: str | None, latency_ms: int
    ) -> None:
        """An attempt delivered its first content."""
        self.measured.note(candidate.provider, candidate.model, ok=True, latency_ms=latency_ms)
        self.healing.outcome(candidate.provider, ok=True)
        if made.combo is not None:
            good = LastGood(
                provider=candidate.provider,
                model=candidate.model,
                connection=candidate.connection,
                at_ms=self.now_ms(),
            )
            self.measured.answered(made.combo, good)
            self._pin(candidate, made)
        if session is not None:
            self.affinity.bind(session, candidate.provider, candidate.connection)

    def _pin(self, candidate: Candidate, made: Plan) -> None:
        root, conversation = made.survey.root, made.survey.facts.conversation
        if isinstance(root, Branch) and root.protects and conversation is not None:
            self.pins.answered(conversation, root.combo, candidate.provider, candidate.model)

    def failed(self, candidate: Candidate, verdict: Verdict, session: str | None) -> None:
        """An attempt failed. What is the client's doing counts against nobody."""
        if verdict.blame == "client":
            return
        self.measured.note(candidate.provider, candidate.model, ok=False, latency_ms=0)
        self.healing.outcome(candidate.provider, ok=False)
        if verdict.reason in OUT_OF_QUOTA:
            self.quotas.exhausted(candidate.connection)
        if session is not None and verdict.reason == "rate_limited":
            self.affinity.loosen(session, candidate.provider)

    def forget_all_but(self, connections: Container[str]) -> None:
        """Let go of what is remembered of accounts that are gone."""
        self.affinity.keep_only(connections)
        self.rotation.keep_only(connections)

    def _heal(self, made: Plan) -> None:
        for row in made.excluded:
            if row.reason == "provider_circuit_open":
                self.healing.exclude(row.provider, "its breaker is open")
        for candidate in made.candidates:
            if candidate.score is None:
                continue
            if candidate.score < LOW_SCORE:
                self.healing.exclude(candidate.provider, f"it scored {candidate.score:.2f}")
            elif candidate.score >= READMIT_SCORE:
                back = self.healing.of(candidate.provider)
                if back is not None and back.over(self.now_ms()):
                    self.healing.readmit(candidate.provider)
