"""The walk over the candidates of a plan, until one delivers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from omniroute.dialects.left_behind import without_state
from omniroute.pipeline.attempt import AttemptFailed
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.failures import no_answer
from omniroute.pipeline.outbound import Endpoint
from omniroute.pipeline.settlement import Settlement
from omniroute.routing.health import Health
from omniroute.routing.plan import Candidate, Plan
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.verdicts import CLIENT_GONE, FOREIGN_STATE, Failure, Verdict, classify

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Tries candidates and feeds health once per attempt.

    `now_ms` is epoch milliseconds, `endpoint` makes a candidate of a snapshot callable.
    """

    health: Health
    now_ms: Callable[[], int]
    endpoint: Callable[[ChatCall, Candidate, Snapshot], Endpoint]

    async def first(
        self,
        books: Settlement,
        made: Plan,
        attempt: Callable[[ChatCall, Endpoint], Awaitable[ResultT]],
    ) -> tuple[Endpoint, ResultT]:
        """Try the candidates in order until one delivers.

        Raises:
            UpstreamFailed: none did; carries the most informative failure.
        """
        failures: list[tuple[Candidate, Failure, Verdict]] = []
        queue = list(reversed(made.candidates))
        retried: set[Candidate] = set()
        while queue:
            candidate = queue.pop()
            to = self.endpoint(books.call, candidate, books.snapshot)
            started_ms = self.now_ms()
            self.health.begin(candidate.provider)
            try:
                result = await attempt(books.call, to)
            except AttemptFailed as failed:
                failure, verdict = failed.failure, classify(failed.failure)
                books.attempted(candidate, started_ms, failure=failure, verdict=verdict)
                judge(self.health, candidate, books.snapshot, failure, verdict)
                failures.append((candidate, failure, verdict))
                if verdict.reason == FOREIGN_STATE:
                    books.call = unburdened(books.call)
                if verdict.action == "answer":
                    break
                if verdict.action == "retry" and candidate not in retried:
                    retried.add(candidate)
                    queue.append(candidate)
                elif verdict.action == "next-target":
                    gone = (candidate.provider, candidate.model)
                    queue = [row for row in queue if (row.provider, row.model) != gone]
            except BaseException:
                self.health.abandoned(candidate.provider)
                books.attempted(
                    candidate,
                    started_ms,
                    failure=Failure(cause="cut", status=499, text="The caller hung up"),
                    verdict=CLIENT_GONE,
                )
                raise
            else:
                ttft_ms = self.now_ms() - started_ms
                books.attempted(candidate, started_ms, ttft_ms=ttft_ms)
                return to, result
        raise no_answer(failures, made, self.health.view(), books.snapshot)


def judge(
    health: Health, candidate: Candidate, snapshot: Snapshot, failure: Failure, verdict: Verdict
) -> None:
    """Let a failure count against whoever is to blame."""
    # The built-in demo fails on request, which says nothing about its health.
    if snapshot.providers[candidate.provider].in_process:
        health.abandoned(candidate.provider)
    else:
        health.failed(*candidate.place, failure, verdict)


def unburdened(call: ChatCall) -> ChatCall:
    """The call without state of providers; what its client wrote is no longer sent as it is."""
    request, dropped = without_state(call.request)
    return replace(call, request=request, body=None, left_behind=dropped) if dropped else call
