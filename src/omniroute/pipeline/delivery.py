"""A stream that has begun, handed on to its end: judged and settled whatever that end is."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Generic, TypeVar

from omniroute.chat import Event
from omniroute.dialects.codec import ErrorFacts, MalformedReply
from omniroute.pipeline.attempt import Begun
from omniroute.pipeline.dispatch import judge
from omniroute.pipeline.exchange import Outputs
from omniroute.pipeline.outbound import Endpoint
from omniroute.pipeline.settlement import Settlement
from omniroute.routing.health import Health
from omniroute.routing.verdicts import Failure, classify
from omniroute.upstream.send import TransportFailed

OutT = TypeVar("OutT", bytes, list[Event])

DRAIN_S = 0.25


@dataclass(frozen=True, slots=True)
class Delivery(Generic[OutT]):
    """What is left to do with a begun stream."""

    health: Health
    books: Settlement
    to: Endpoint
    begun: Begun[OutT]

    def outputs(self) -> Outputs[OutT]:
        """What the caller gets, to be closed on every way out."""
        return Outputs(self._given(), self._leave)

    async def _given(self) -> AsyncGenerator[OutT, None]:
        """Hand on what arrives; settle before the last of it leaves."""
        begun = self.begun
        flow, pending = begun.flow, begun.primed
        try:
            while not (flow.done or flow.failure):
                if pending:
                    yield pending
                chunk = await anext(begun.chunks, None)
                if chunk is None:
                    pending = flow.flush()
                    break
                pending = flow.feed(chunk)
            self._end()
            yield pending if flow.failure else pending + flow.close()
            await self._drain()
        except (TransportFailed, MalformedReply) as error:
            self._broke(Failure(cause="cut", status=502, text=str(error)))
            message = f"{self.to.provider.name}: {error}"
            yield flow.fail(ErrorFacts(status=502, message=message, type="upstream_error"))
        finally:
            await self._leave()

    async def _leave(self) -> None:
        """However a stream ended: nothing stays open. Books still open mean the caller left."""
        if not self.books.closed:
            self.health.abandoned(self.to.provider.id)
            self._close("client_gone", 499)
        await self.begun.response.aclose()

    def _end(self) -> None:
        """Judge a stream that has ended, and close the books on it.

        Raises:
            TransportFailed: it broke off without saying that it was finished.
        """
        flow = self.begun.flow
        if flow.failure is not None:
            failed = flow.failure
            self._broke(Failure(cause="cut", status=failed.status, text=failed.message))
        elif flow.finished or not self.to.provider.marks_stream_end:
            self.health.succeeded(*self.to.candidate.place)
            self._close("completed", 200)
        else:
            raise TransportFailed("broken", "the stream ended before the answer was finished")

    def _broke(self, failure: Failure) -> None:
        verdict = classify(failure)
        judge(self.health, self.to.candidate, self.books.snapshot, failure, verdict)
        self.books.broke(failure, verdict)
        self._close("cut", failure.status, error=failure.text)

    def _close(self, outcome: str, status: int, *, error: str | None = None) -> None:
        flow = self.begun.flow
        self.books.close(
            outcome,
            status,
            served_by=self.to.candidate,
            usage=flow.usage,
            tokens_seen=flow.tokens_seen,
            error=error,
        )

    async def _drain(self) -> None:
        """Read a finished stream to its end, so that its connection can serve again."""
        try:
            async with asyncio.timeout(DRAIN_S):
                async for _ in self.begun.chunks:
                    pass
        except (TimeoutError, TransportFailed):
            pass
