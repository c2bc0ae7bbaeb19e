"""A request on its way through a plan: what is left to try, and what came of the rest."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from omniroute.errors import UpstreamFailed
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.last_resorts import standing_by
from omniroute.pipeline.outbound import Endpoint
from omniroute.pipeline.settlement import Settlement
from omniroute.routing.plan import Plan
from omniroute.routing.resilience.verdicts import Failure, Verdict
from omniroute.routing.targets import Candidate
from omniroute.routing.trace import Change

ResultT = TypeVar("ResultT")

MOST_ATTEMPTS = 30
"""However a combo is configured, a request asks no more often than this."""


@dataclass(slots=True)
class Walk(Generic[ResultT]):
    """One request on its way through a plan: what is left to try, and what came of the rest.

    `discard` lets go of a result that came too late. `continues_at` is how many characters of the
    answer earlier targets have given already.
    """

    books: Settlement
    made: Plan
    attempt: Callable[[ChatCall, Endpoint], Awaitable[ResultT]]
    discard: Callable[[ResultT], Awaitable[None]]
    queue: list[Candidate]
    failures: list[tuple[Candidate, Failure, Verdict]] = field(default_factory=list)
    tries: dict[Candidate, int] = field(default_factory=dict)
    turns: tuple[str, ...] = ()
    continues_at: int | None = None

    def next(self) -> Candidate | None:
        """What to try now; None when the walk is over."""
        over = len(self.books.attempts) >= MOST_ATTEMPTS
        return None if over or not self.queue else self.queue.pop(0)

    def goes_on(self, error: UpstreamFailed) -> bool:
        """Whether something stands by for this end of the walk that has not been tried yet."""
        if self.books.candidates is not None or self.continues_at is not None:
            return False
        verdicts = [verdict for _, _, verdict in self.failures]
        ready = standing_by(self.made, verdicts, error)
        self.queue += [row for row in ready if row not in self.tries]
        return bool(self.queue) and len(self.books.attempts) < MOST_ATTEMPTS


def walk_of(
    books: Settlement,
    made: Plan,
    attempt: Callable[[ChatCall, Endpoint], Awaitable[ResultT]],
    discard: Callable[[ResultT], Awaitable[None]],
) -> Walk[ResultT]:
    """The whole way of a plan; its first candidate took its turns when the plan was made."""
    queue = list(made.candidates if books.candidates is None else books.candidates)
    return Walk(books, made, attempt, discard, queue, turns=made.candidates[0].turns)


@dataclass(frozen=True, slots=True, eq=False)
class Delivered(Generic[ResultT]):
    """An attempt that brought something, for a request changed so. Times are epoch milliseconds."""

    to: Endpoint
    result: ResultT
    started_ms: int
    at_ms: int
    changes: tuple[Change, ...]
