"""The chat pipeline: admit, plan, dispatch, answer, settle. This page is the whole way."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from omniroute.chat import Event, Started, Usage
from omniroute.errors import BudgetExceeded, InvalidRequest, OmniRouteError, UpstreamFailed
from omniroute.pipeline.attempt import (
    Limits,
    begin_stream,
    fetch_whole,
)
from omniroute.pipeline.delivery import Delivery
from omniroute.pipeline.dispatch import Dispatch
from omniroute.pipeline.estimate import bound_micro_usd, input_tokens, price_for
from omniroute.pipeline.exchange import (
    ChatCall,
    ReplyHead,
    StreamAnswer,
    WholeAnswer,
    spoken,
)
from omniroute.pipeline.flow import EventFlow, Flow, Reading, RelayFlow, TranslatedFlow
from omniroute.pipeline.ledger import Ledger
from omniroute.pipeline.outbound import Endpoint, tags_thinking
from omniroute.pipeline.recall import Recall, Remembering
from omniroute.pipeline.settlement import Record, Settlement
from omniroute.pipeline.token_count import TokenCount, count_at, estimated
from omniroute.routing.health import Health
from omniroute.routing.plan import Candidate, Plan, RouteFacts, plan, recovery_ms, refusal
from omniroute.routing.snapshot import Snapshot
from omniroute.upstream.credentials import Credentials
from omniroute.upstream.send import Sender

ResultT = TypeVar("ResultT")
OutT = TypeVar("OutT", bytes, list[Event])

DRAIN_S = 0.25


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request for one model waits for its accounts' pauses to end (05 §4.7)."""

    retries: int = 3
    longest_s: float = 30.0


@dataclass(frozen=True, slots=True)
class ChatPipeline:
    """Everything a chat call passes through. Collaborators are injected; the pipeline has no state.

    `now_ms` is epoch milliseconds, `new_seed` draws the planner's seed, `allow_private` says
    whether the operator lets custom upstreams sit on private addresses.
    """

    snapshot: Callable[[], Snapshot]
    health: Health
    ledger: Ledger
    recall: Recall
    record: Record
    gate: Sender
    demo: Sender
    credentials: Credentials
    now_ms: Callable[[], int]
    new_seed: Callable[[], int]
    limits: Limits
    allow_private: bool
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    patience: Patience = field(default_factory=Patience)

    async def complete(self, call: ChatCall) -> WholeAnswer:
        """Answer with a whole reply.

        Raises:
            OmniRouteError: refused, or every target failed.
        """
        call = self._recalled(call)
        books = self._open(call, stream=False)
        try:
            made = await self._admit(books)
            to, (reply, raw) = await self._dispatch.first(
                books,
                made,
                lambda call, to: fetch_whole(
                    call, to, self._reading(call, to), self.limits, self.now_ms()
                ),
            )
            self.health.succeeded(*to.candidate.place)
            head = self._head(books, made, to)
            books.close("completed", 200, served_by=to.candidate, usage=reply.usage)
            if call.client is not None and not books.call.native(to.dialect):
                raw = call.client.encode_reply(reply, call.request)
            return WholeAnswer(head, books.receipt, reply, raw)
        except BaseException as error:
            _give_up(books, error)
            raise

    async def stream_bytes(self, call: ChatCall) -> StreamAnswer[bytes]:
        """Answer with a stream as the client speaks; returns when its first content is there.

        Raises:
            OmniRouteError: refused, or every target failed before its first content.
        """
        client = call.client
        if client is None:
            raise ValueError("A caller without a wire format gets events")

        def flow(call: ChatCall, to: Endpoint) -> Flow[bytes]:
            if call.native(to.dialect):
                return RelayFlow(to.dialect, hide_usage=not call.request.include_usage)
            return TranslatedFlow(self._events(call, to), client.encoder(call.request))

        return await self._stream(self._recalled(call), flow)

    async def stream_events(self, call: ChatCall) -> StreamAnswer[list[Event]]:
        """Answer with neutral events, for callers without a wire format.

        Raises:
            OmniRouteError: as for `stream_bytes`.
        """
        return await self._stream(self._recalled(call), self._events)

    def _recalled(self, call: ChatCall) -> ChatCall:
        return replace(call, request=self.recall.completed(call.request, call.caller.owner))

    def _events(self, call: ChatCall, to: Endpoint) -> EventFlow:
        return EventFlow(to.dialect, self._reading(call, to))

    def _reading(self, call: ChatCall, to: Endpoint) -> Reading:
        return Reading(
            request=call.request,
            fallback=Started(call.request_id, to.candidate.model, self.now_ms() // 1000),
            see=Remembering(self.recall, call.caller.owner).see,
            own_ids=call.own_ids,
            think_tags=tags_thinking(to.provider, to.candidate.model),
        )

    def plan(self, call: ChatCall) -> tuple[Snapshot, Plan]:
        """What would be tried right now; also the dry run of a request.

        Raises:
            OmniRouteError: the model does not resolve, or the caller may not use it.
        """
        snapshot = self.snapshot()
        facts = RouteFacts(
            model=call.request.model,
            allowed_models=call.caller.allowed_models,
            allowed_connections=call.caller.allowed_connections,
            pinned_connection=call.pinned_connection,
        )
        return snapshot, plan(facts, snapshot, self.health.view(), self.new_seed())

    async def count_tokens(self, call: ChatCall) -> TokenCount:
        """How much a request would make its first target read. Nothing is generated.

        Raises:
            Forbidden: the caller's key may not use the model.
        """
        try:
            snapshot, made = self.plan(call)
        except InvalidRequest:
            return await estimated(call)  # a model that does not resolve is no reason not to count
        for candidate in made.candidates[:1]:
            counted = await count_at(call, self._endpoint(call, candidate, snapshot), self.limits)
            if counted is not None:
                return counted
        return await estimated(call)

    async def _stream(
        self, call: ChatCall, flow_for: Callable[[ChatCall, Endpoint], Flow[OutT]]
    ) -> StreamAnswer[OutT]:
        books = self._open(call, stream=True)
        try:
            made = await self._admit(books)
            to, begun = await self._dispatch.first(
                books,
                made,
                lambda call, to: begin_stream(
                    call, to, flow_for(call, to), self.limits, self.now_ms()
                ),
            )
            outputs = Delivery(self.health, books, to, begun).outputs()
            return StreamAnswer(self._head(books, made, to), books.receipt, outputs)
        except BaseException as error:
            _give_up(books, error)
            raise

    @property
    def _dispatch(self) -> Dispatch:
        return Dispatch(self.health, self.now_ms, self._endpoint)

    def _open(self, call: ChatCall, *, stream: bool) -> Settlement:
        return Settlement(
            call, stream, self.now_ms, self.record, self.ledger, snapshot=self.snapshot()
        )

    async def _admit(self, books: Settlement) -> Plan:
        """Plan, refuse what cannot be done or paid for, and reserve the most it can cost."""
        call = books.call
        made = await self._plan_patiently(books)
        if not made.candidates:
            raise refusal(made, books.snapshot)
        providers = books.snapshot.providers
        prices = [price_for(providers[row.provider], row.model) for row in made.candidates]
        if call.max_cost_micro_usd is not None:
            read = Usage(input_tokens=input_tokens(call.request))
            cheapest = min((p.cost_micro_usd(read) for p in prices if p), default=0)
            if cheapest > call.max_cost_micro_usd:
                raise BudgetExceeded(
                    f"Reading this request costs at least ${cheapest / 1e6:.6f}, over its budget "
                    f"of ${call.max_cost_micro_usd / 1e6:.6f}. Raise the budget or send less."
                )
        bound = bound_micro_usd(call.request, prices)
        books.reservation = self.ledger.reserve(call.caller.owner, bound)
        return made

    async def _plan_patiently(self, books: Settlement) -> Plan:
        for _ in range(self.patience.retries):
            books.snapshot, books.plan = self.plan(books.call)
            wait_ms = None if books.plan.candidates else recovery_ms(books.plan)
            if wait_ms is None or wait_ms > self.patience.longest_s * 1000:
                return books.plan
            books.waited_ms += wait_ms
            await self.sleep((wait_ms + 1) / 1000)
        books.snapshot, books.plan = self.plan(books.call)
        return books.plan

    def _endpoint(self, call: ChatCall, candidate: Candidate, snapshot: Snapshot) -> Endpoint:
        provider = snapshot.provider_for(candidate.provider, candidate.model)
        account = snapshot.connections[candidate.connection]
        return Endpoint(
            candidate=candidate,
            provider=provider,
            dialect=spoken(call, provider),
            account=account,
            sender=self.demo if provider.in_process else self.gate,
            fetch=self.gate,
            credentials=self.credentials,
            allow_private=self.allow_private or provider.probe_port is not None,
        )

    def _head(self, books: Settlement, made: Plan, to: Endpoint) -> ReplyHead:
        return ReplyHead(
            request_id=books.call.request_id,
            plan=made,
            chosen=to.candidate,
            provider_alias=to.provider.alias or to.provider.id,
            connection_name=to.account.name,
            attempts=tuple(books.attempts),
            latency_ms=self.now_ms() - books.started_at_ms,
        )


def _give_up(books: Settlement, error: BaseException) -> None:
    """Close the books on a request that got no answer, and say whose doing that was."""
    match error:
        case OmniRouteError():
            outcome = "failed" if books.attempts else "refused"
            status = error.status if isinstance(error, UpstreamFailed) else 0
            books.close(outcome, status, error=str(error))
        case asyncio.CancelledError():
            books.close("client_gone", 499)
        case _:
            books.close("failed", 500, error="The gateway failed on this request.")
