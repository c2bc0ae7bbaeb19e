"""A stream that has begun, handed on to its end: judged and settled whatever that end is."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from omniroute.chat import Dialect, Event
from omniroute.dialects.codec import ErrorFacts, MalformedReply
from omniroute.pipeline.attempt import Begun
from omniroute.pipeline.dispatch import judge
from omniroute.pipeline.exchange import Outputs
from omniroute.pipeline.outbound import Endpoint
from omniroute.pipeline.settlement import Settlement
from omniroute.pipeline.streams.flow import failed_facts
from omniroute.routing.live import Live
from omniroute.routing.resilience.policy import category_of
from omniroute.routing.resilience.verdicts import Failure, classify
from omniroute.upstream.send import TransportFailed

OutT = TypeVar("OutT", bytes, list[Event])

DRAIN_S = 0.25


class Resume(Protocol[OutT]):
    """Finds a target that goes on where a stream broke off; None when there is none."""

    async def __call__(
        self, broken: Begun[OutT], spent_micro_usd: int
    ) -> tuple[Endpoint, Begun[OutT]] | None:
        """Where the answer comes from now; what is there has cost `spent_micro_usd`."""


@dataclass(slots=True)
class Delivery(Generic[OutT]):
    """What is left to do with a begun stream. Without `resume` a stream that breaks off fails.

    `attempt` is the number of the attempt that gives what arrives now.
    """

    live: Live
    books: Settlement
    to: Endpoint
    begun: Begun[OutT]
    resume: Resume[OutT] | None = None
    attempt: int = 0

    def __post_init__(self) -> None:
        self.attempt = len(self.books.attempts)

    def outputs(self) -> Outputs[OutT]:
        """What the caller gets, to be closed on every way out."""
        return Outputs(self._given(), self._leave)

    async def _given(self) -> AsyncGenerator[OutT, None]:
        """Hand on what arrives; settle before the last of it leaves."""
        try:
            while True:
                flow, pending = self.begun.flow, self.begun.primed
                failure = None
                try:
                    while not (flow.done or flow.failure):
                        if not await self.books.affords(flow.content_bytes):
                            yield pending + self._stopped()
                            return
                        if pending:
                            yield pending
                        chunk = await anext(self.begun.chunks, None)
                        if chunk is None:
                            pending = flow.flush()
                            break
                        pending = flow.feed(chunk)
                    failure = self._failure()
                except (TransportFailed, MalformedReply) as error:
                    pending = self.begun.primed[:0]
                    # Only usage and markers are missing when the reason to stop has arrived.
                    failure = None if flow.finished else _cut(str(error))
                if failure is None:
                    self.live.health.succeeded(*self.to.candidate.place)
                    self._close("completed", 200)
                    yield self._final_values() + pending + flow.close()
                    await self._drain()
                    return
                self._judge(failure)
                if self.resume is not None and pending:
                    yield pending
                resumed = await self._resumed()
                if resumed is not None:
                    yield resumed
                    continue
                held = self.books.reservation
                poor = held.stopped_by if held is not None else None
                why = f"{failure.text}; going on would pass the budget: {poor}"
                self._close("cut", failure.status, error=why if poor else failure.text)
                if flow.failure is not None and self.resume is None:
                    yield pending  # the upstream's own words, as the caller is told them
                else:
                    yield flow.fail(self._facts(failure))
                return
        finally:
            await self._leave()

    def _final_values(self) -> OutT:
        """What the headers could not say when the stream began, in remarks before its end."""
        said = self.begun.primed[:0]
        if self.books.call.dialect is Dialect.GEMINI:  # its clients know no comments
            return said
        receipt = self.books.receipt
        told = {
            "latency-ms": receipt.latency_ms,
            "tokens-in": receipt.input_tokens,
            "tokens-out": receipt.output_tokens,
            "response-cost": f"{(receipt.cost_micro_usd or 0) / 1e6:.10f}",
        }
        for name, value in told.items():
            said = said + self.begun.flow.note(f"x-omniroute-{name}={value}")
        return said

    def _stopped(self) -> OutT:
        """The end of an answer that nobody pays for any further: clean, and with the reason."""
        flow, held = self.begun.flow, self.books.reservation
        why = held.stopped_by if held is not None and held.stopped_by else ""
        self.live.health.succeeded(*self.to.candidate.place)
        self._close("stopped", 200, error=f"The budget ended this answer: {why}")
        return flow.note(f"x-omniroute-budget=stopped {why}") + flow.stop()

    async def _resumed(self) -> OutT | None:
        """The stream of another target that goes on, with a remark in the place of the seam."""
        if self.resume is None:
            return None
        broken, flow = self.begun, self.begun.flow
        self.books.call.lap("stream")
        await broken.response.aclose()
        spent = self.books.paid_in_part(
            self.attempt, self.to.candidate, flow.usage, flow.tokens_seen
        )
        found = await self.resume(broken, spent)
        if found is None:
            return None
        self.live.ended(self.to.candidate)
        self.to, self.begun = found
        self.attempt = len(self.books.attempts)
        target = f"{self.to.provider.alias or self.to.provider.id}/{self.to.candidate.model}"
        return self.begun.flow.note(f"x-omniroute-failover={target}")

    async def _leave(self) -> None:
        """However a stream ended: nothing stays open. Books still open mean the caller left."""
        if not self.books.closed:
            self.live.health.abandoned(self.to.provider.id)
            self._close("client_gone", 499)
        await self.begun.response.aclose()

    def _failure(self) -> Failure | None:
        """What is wrong with a stream that has ended; None when it finished properly."""
        flow = self.begun.flow
        if flow.failure is not None and not (self.resume is not None and flow.finished):
            failed = flow.failure
            return Failure(cause="cut", status=failed.status, text=failed.message)
        if flow.finished or not self.to.provider.marks_stream_end:
            return None
        return _cut("the stream ended before the answer was finished")

    def _judge(self, failure: Failure) -> None:
        verdict = classify(failure, category_of(self.books.snapshot, self.to.account))
        judge(self.live.health, self.to.candidate, self.books.snapshot, failure, verdict)
        self.books.broke(failure, verdict)

    def _facts(self, failure: Failure) -> ErrorFacts:
        """The failure as the caller is told it."""
        failed = self.begun.flow.failure
        if failed is not None:
            return failed_facts(failed)
        message = f"{self.to.provider.name}: {failure.text}"
        return ErrorFacts(status=502, message=message, type="upstream_error")

    def _close(self, outcome: str, status: int, *, error: str | None = None) -> None:
        flow = self.begun.flow
        self.live.ended(self.to.candidate)
        self.books.close(
            outcome,
            status,
            served_by=self.to.candidate,
            usage=flow.usage,
            tokens_seen=flow.tokens_seen,
            error=error,
            attempt=self.attempt,
        )

    async def _drain(self) -> None:
        """Read a finished stream to its end, so that its connection can serve again."""
        try:
            async with asyncio.timeout(DRAIN_S):
                async for _ in self.begun.chunks:
                    pass
        except (TimeoutError, TransportFailed):
            pass


def _cut(text: str) -> Failure:
    return Failure(cause="cut", status=502, text=text)
