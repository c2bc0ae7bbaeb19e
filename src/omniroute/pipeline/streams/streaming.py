"""Streams: begun at the first target that has something to say, continued where one breaks off."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, Protocol, TypeVar

from omniroute.chat import Event
from omniroute.errors import UpstreamFailed
from omniroute.pipeline.attempt import Begun, Limits, begin_stream
from omniroute.pipeline.dispatch import Dispatch
from omniroute.pipeline.exchange import ChatCall, StreamAnswer
from omniroute.pipeline.money.reserving import go_on
from omniroute.pipeline.outbound import Endpoint
from omniroute.pipeline.reuse.answers import Tape
from omniroute.pipeline.settlement import Settlement, head_of
from omniroute.pipeline.streams.delivery import Delivery, Resume
from omniroute.pipeline.streams.flow import Flow
from omniroute.pipeline.streams.seam import MOST_SEAMS, Committed, continued
from omniroute.pipeline.walk import Walk, walk_of
from omniroute.routing.plan import Plan

OutT = TypeVar("OutT", bytes, list[Event])


class FlowFor(Protocol[OutT]):
    """Makes the flow of an attempt; `before` is the one it takes over from."""

    def __call__(
        self, call: ChatCall, to: Endpoint, seam: Committed | None, before: Flow[OutT] | None, /
    ) -> Flow[OutT]:
        """A fresh flow."""


@dataclass(frozen=True, slots=True)
class Streaming(Generic[OutT]):
    """One kind of stream: what `flow_for` makes of the upstreams' bytes.

    `tape` hears streams whose answers may be kept. `now_ms` is epoch milliseconds.
    """

    dispatch: Dispatch
    limits: Limits
    now_ms: Callable[[], int]
    flow_for: FlowFor[OutT]
    tape: Tape | None = None

    async def begun(self, books: Settlement, made: Plan) -> StreamAnswer[OutT]:
        """The stream of an admitted request, once its first content is there.

        Raises:
            UpstreamFailed: every target failed before its first content.
        """
        config = books.snapshot.conduct(made.combo, made.candidates[0].provider)
        goes_on = config is not None and config.mid_stream_failover
        seam = Committed() if goes_on else None
        walk = walk_of(
            books,
            made,
            lambda call, to: begin_stream(
                call, to, self.flow_for(call, to, seam, None), self.limits, self.now_ms()
            ),
            _close,
        )
        to, begun = await self.dispatch.first(walk)
        resume = self._resume(walk, seam) if seam is not None else None
        outputs = Delivery(self.dispatch.live, books, to, begun, resume).outputs()
        head = head_of(books, made, to)
        if self.tape is not None:
            books.on_completed.append(partial(self.tape.keep, head))
        return StreamAnswer(head, books.receipt, outputs)

    def _resume(self, walk: Walk[Begun[OutT]], seam: Committed) -> Resume[OutT]:
        """How a stream that broke off goes on: with what is left of its plan."""

        async def resume(
            broken: Begun[OutT], spent_micro_usd: int
        ) -> tuple[Endpoint, Begun[OutT]] | None:
            if seam.seams >= MOST_SEAMS:
                return None
            if not await go_on(walk.books, walk.queue, seam.text, spent_micro_usd):
                return None
            seam.seams += 1
            walk.continues_at = len(seam.text)
            walk.attempt = lambda call, to: begin_stream(
                continued(replace(call, deadline_ms=None), seam.text, to),
                to,
                self.flow_for(call, to, seam, broken.flow),
                self.limits,
                self.now_ms(),
            )
            try:
                return await self.dispatch.first(walk)
            except UpstreamFailed:
                return None

        return resume


async def _close(begun: Begun[OutT]) -> None:
    await begun.response.aclose()
