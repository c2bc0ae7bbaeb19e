"""The chat pipeline: admit, plan, dispatch, answer, settle. This page is the whole way."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from omniroute.chat import Event, Started, collect, events_of
from omniroute.dialects.codec import ClientCodec
from omniroute.dialects.sse import EVENT_STREAM
from omniroute.errors import (
    BudgetExceeded,
    Forbidden,
    InvalidRequest,
    OmniRouteError,
    UpstreamFailed,
)
from omniroute.pipeline.accounts.key_ring import KeyRing
from omniroute.pipeline.accounts.logins import Logins
from omniroute.pipeline.accounts.quota_desk import QuotaDesk
from omniroute.pipeline.accounts.slots import ComboSlots, Turnstiles
from omniroute.pipeline.attempt import (
    Limits,
    fetch_whole,
)
from omniroute.pipeline.dispatch import Dispatch
from omniroute.pipeline.entrance import Entrance
from omniroute.pipeline.exchange import (
    ChatCall,
    Outputs,
    ReplyHead,
    StreamAnswer,
    WholeAnswer,
    spoken,
)
from omniroute.pipeline.handoffs.relay import ContextRelay
from omniroute.pipeline.money.ledger import Ledger
from omniroute.pipeline.money.reserving import reserve
from omniroute.pipeline.outbound import Endpoint, protocol_of, tags_thinking
from omniroute.pipeline.planning import Patience, Planning, directed
from omniroute.pipeline.preparing import prepared
from omniroute.pipeline.reuse.answers import Answers, Source, Tape
from omniroute.pipeline.reuse.recall import Recall, Remembering
from omniroute.pipeline.reuse.response_cache import Kept
from omniroute.pipeline.settlement import Observer, Record, Settlement, head_of
from omniroute.pipeline.streams.flow import EventFlow, Flow, Reading, RelayFlow, TranslatedFlow
from omniroute.pipeline.streams.seam import Committed, SeamedFlow
from omniroute.pipeline.streams.streaming import FlowFor, Streaming
from omniroute.pipeline.telemetry import Telemetry
from omniroute.pipeline.tokens.token_count import TokenCount, count_at, estimated
from omniroute.pipeline.walk import walk_of
from omniroute.routing.live import Live
from omniroute.routing.plan import Plan
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Asked, Candidate
from omniroute.upstream.credentials import Credentials
from omniroute.upstream.send import Sender

ResultT = TypeVar("ResultT")
OutT = TypeVar("OutT", bytes, list[Event])


@dataclass(frozen=True, slots=True)
class ChatPipeline:
    """Everything a chat call passes through. Collaborators are injected; the pipeline has no state.

    `now_ms` is epoch milliseconds, `new_seed` draws the planner's seed, `allow_private` says
    whether the operator lets custom upstreams sit on private addresses.
    """

    snapshot: Callable[[], Snapshot]
    live: Live
    ledger: Ledger
    entrance: Entrance
    recall: Recall
    answers: Answers
    record: Record
    telemetry: Telemetry
    observers: tuple[Observer, ...]
    gate: Sender
    demo: Sender
    credentials: Credentials
    now_ms: Callable[[], int]
    new_seed: Callable[[], int]
    limits: Limits
    turnstiles: Turnstiles
    relay: ContextRelay
    allow_private: bool
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    patience: Callable[[], Patience] = Patience
    quotas: QuotaDesk | None = None
    keys: KeyRing = field(default_factory=KeyRing)
    logins: Logins | None = None

    async def complete(self, call: ChatCall) -> WholeAnswer:
        """Answer with a whole reply.

        Raises:
            OmniRouteError: refused, or every target failed.
        """
        async with self._let_in(call, stream=False) as entrance:
            answer = await self.answers.whole(
                self._arrived(call), self.snapshot(), self._asked, self._served
            )
            return entrance.answered(call, answer)

    @asynccontextmanager
    async def _let_in(self, call: ChatCall, *, stream: bool) -> AsyncGenerator[Entrance]:
        """Count a request at the entrance; one that its model or money refuses does not count."""
        try:
            counted = await self.entrance.enter(call, self.snapshot(), self.plan)
        except OmniRouteError as refused:
            self._open(call, stream=stream).give_up(refused)
            raise
        try:
            yield self.entrance
        except (Forbidden, BudgetExceeded):
            self.entrance.rates.uncount(counted)
            raise

    async def _asked(self, call: ChatCall) -> WholeAnswer:
        """Answer with a whole reply of an upstream."""
        books = self._open(call, stream=False)
        try:
            made = await self._ready(books)
            if books.reservation is not None and books.reservation.cut:
                return await self._collected(books, made)
            walk = walk_of(
                books,
                made,
                lambda call, to: fetch_whole(
                    call, to, self._reading(call, to), self.limits, self.now_ms()
                ),
                _nothing_to_close,
            )
            to, (reply, raw) = await self._dispatch.first(walk)
            self.live.health.succeeded(*to.candidate.place)
            self.live.ended(to.candidate)
            head = head_of(books, made, to)
            books.close("completed", 200, served_by=to.candidate, usage=reply.usage)
            if call.client is not None and not books.call.native(to.dialect):
                raw = call.client.encode_reply(reply, call.request)
            return WholeAnswer(head, books.receipt, reply, raw)
        except BaseException as error:
            books.give_up(error)
            raise

    def _served(self, call: ChatCall, kept: Kept, source: Source) -> WholeAnswer:
        """Answer with what is there already; it costs nothing and asks nobody."""
        books = self._open(call, stream=False)
        head = self._settled(books, kept, source)
        raw = call.client.encode_reply(kept.reply, call.request) if call.client is not None else b""
        return WholeAnswer(head, books.receipt, kept.reply, raw)

    def _replayed(self, call: ChatCall, kept: Kept, told: OutT) -> StreamAnswer[OutT]:
        """The same for whoever wants a stream."""
        books = self._open(call, stream=True)
        head = self._settled(books, kept, "cache")

        async def given() -> AsyncGenerator[OutT, None]:
            yield told

        return StreamAnswer(head, books.receipt, Outputs(given(), _nothing_to_leave))

    def _settled(self, books: Settlement, kept: Kept, source: Source) -> ReplyHead:
        try:
            books.source = source
            books.snapshot, books.plan = self.plan(books.call)
            usage = kept.reply.usage
            books.close("completed", 200, usage=usage)
        except BaseException as error:
            books.give_up(error)
            raise
        return ReplyHead(
            request_id=books.call.request_id,
            plan=books.plan,
            chosen=kept.candidate,
            provider_alias=kept.provider_alias,
            connection_name=kept.connection_name,
            attempts=(),
            latency_ms=self.now_ms() - books.started_at_ms,
            source=source,
            purses=self.entrance.purses(books.call, books.snapshot),
        )

    async def _collected(self, books: Settlement, made: Plan) -> WholeAnswer:
        """A whole reply, read as a stream so that it can be stopped where the money ends."""
        streaming = Streaming(self._dispatch, self.limits, self.now_ms, self._events)
        answer = await streaming.begun(books, made)
        async with aclosing(answer.outputs):
            reply = collect([event async for events in answer.outputs for event in events])
        if reply.failure is not None:
            failed = reply.failure
            raise UpstreamFailed(failed.message, status=failed.status, code=failed.code)
        client = books.call.client
        raw = client.encode_reply(reply, books.call.request) if client is not None else b""
        return WholeAnswer(answer.head, books.receipt, reply, raw)

    async def stream_bytes(self, call: ChatCall) -> StreamAnswer[bytes]:
        """Answer with a stream as the client speaks; returns when its first content is there.

        Raises:
            OmniRouteError: refused, or every target failed before its first content.
        """
        client = call.client
        if client is None:
            raise ValueError("A caller without a wire format gets events")

        async with self._let_in(call, stream=True) as entrance:
            return entrance.answered(call, await self._streamed(self._arrived(call), client))

    async def _streamed(self, call: ChatCall, client: ClientCodec) -> StreamAnswer[bytes]:
        call, kept = await self.answers.kept(call, self.snapshot())
        if kept is not None:
            encoder = client.encoder(call.request)
            told = b"".join([*map(encoder.feed, events_of(kept.reply)), encoder.close()])
            return self._replayed(call, kept, told)
        tape = self.answers.tape(call, self.snapshot())

        def flow(
            call: ChatCall, to: Endpoint, seam: Committed | None, before: Flow[bytes] | None
        ) -> Flow[bytes]:
            if seam is None and call.native(to.dialect):
                hidden = not call.request.include_usage
                reading = self._reading(call, to, tape) if tape is not None else None
                beside = EventFlow(to.dialect, reading) if reading is not None else None
                return RelayFlow(to.dialect, hide_usage=hidden, beside=beside)
            events = self._events(call, to, seam, None, tape)
            if isinstance(before, TranslatedFlow):
                return before.taken_over(events)
            remarks = client.stream_type == EVENT_STREAM
            return TranslatedFlow(events, client.encoder(call.request), remarks=remarks)

        return await self._stream(call, flow, tape)

    async def stream_events(self, call: ChatCall) -> StreamAnswer[list[Event]]:
        """Answer with neutral events, for callers without a wire format.

        Raises:
            OmniRouteError: as for `stream_bytes`.
        """
        async with self._let_in(call, stream=True) as entrance:
            call, kept = await self.answers.kept(self._arrived(call), self.snapshot())
            if kept is not None:
                return self._replayed(call, kept, list(events_of(kept.reply)))
            return entrance.answered(call, await self._stream(call, self._events))

    def _arrived(self, call: ChatCall) -> ChatCall:
        """The call with what its client dropped, on its way to the model rules send it to."""
        request = self.recall.completed(call.request, call.caller.owner)
        return directed(replace(call, request=request), self.snapshot())

    def _events(
        self,
        call: ChatCall,
        to: Endpoint,
        seam: Committed | None,
        _before: Flow[list[Event]] | None,
        tape: Tape | None = None,
    ) -> Flow[list[Event]]:
        events = EventFlow(to.dialect, self._reading(call, to, tape))
        return events if seam is None else SeamedFlow(events, seam)

    def _reading(self, call: ChatCall, to: Endpoint, tape: Tape | None = None) -> Reading:
        remember = Remembering(self.recall, call.caller.owner).see
        if tape is not None:
            tape.rewind()

        def see(event: Event) -> None:
            remember(event)
            if tape is not None:
                tape.hear(event)

        return Reading(
            request=call.request,
            fallback=Started(call.request_id, to.candidate.model, self.now_ms() // 1000),
            see=see if tape is not None else remember,
            own_ids=call.own_ids,
            think_tags=tags_thinking(to.provider, to.candidate.model),
        )

    def plan(
        self, call: ChatCall, asked: Asked | None = None, seed: int | None = None
    ) -> tuple[Snapshot, Plan]:
        """What would be tried right now; also the dry run of a request.

        Args:
            asked: what is known of a request that does not exist yet.
            seed: what draws are made from; a new one without.

        Raises:
            OmniRouteError: the model does not resolve, or the caller may not use it.
        """
        return self._planning.dry(directed(call, self.snapshot()), asked, seed)

    async def _ready(self, books: Settlement) -> Plan:
        """Everything that comes before the first byte is sent: plan, prepare, set money aside."""
        made = await self._planning.real(books)
        books.call = prepared(books.call, books.snapshot, made.combo)
        if made.combo is not None:
            # Not through the entrance: nobody asked for a summary, so no rule counts it.
            books.on_completed.append(lambda: self.relay.delivered(books, self._asked))
        heaviest = self.relay.heaviest(books.call, books.snapshot, made.combo)
        return await reserve(books, made, heaviest)

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
        self, call: ChatCall, flow_for: FlowFor[OutT], tape: Tape | None = None
    ) -> StreamAnswer[OutT]:
        books = self._open(call, stream=True)
        try:
            made = await self._ready(books)
            streaming = Streaming(self._dispatch, self.limits, self.now_ms, flow_for, tape)
            return await streaming.begun(books, made)
        except BaseException as error:
            books.give_up(error)
            raise

    @property
    def _planning(self) -> Planning:
        return Planning(
            self.snapshot,
            self.live,
            self.now_ms,
            self.new_seed,
            self.sleep,
            self.patience,
            self.quotas,
        )

    @property
    def _dispatch(self) -> Dispatch:
        return Dispatch(self.live, self.now_ms, self._endpoint, self.sleep, self.relay, self.keys)

    def _open(self, call: ChatCall, *, stream: bool) -> Settlement:
        timed = call if call.watch is not None else replace(call, watch=self.telemetry.watch())
        return Settlement(
            timed,
            stream,
            self.now_ms,
            self.record,
            self.ledger,
            snapshot=self.snapshot(),
            telemetry=self.telemetry,
            observers=self.observers,
        )

    def _endpoint(
        self, call: ChatCall, candidate: Candidate, snapshot: Snapshot, combo: str | None = None
    ) -> Endpoint:
        provider = snapshot.provider_for(candidate.provider, candidate.model)
        account, key = self.keys.pick(snapshot.connections[candidate.connection])
        return Endpoint(
            candidate=candidate,
            provider=provider,
            dialect=spoken(call, provider),
            account=account,
            key=key,
            compat=snapshot.compat_for(candidate.provider, candidate.model, protocol_of(call)),
            sender=self.demo if provider.in_process else self.gate,
            fetch=self.gate,
            credentials=self.credentials,
            allow_private=self.allow_private or provider.probe_port is not None,
            turnstile=self.turnstiles.at(
                account, candidate.model, self._combo_slots(combo, candidate, snapshot)
            ),
            route=snapshot.proxying.route(account, combo),
            logins=self.logins,
        )

    def _combo_slots(
        self, combo: str | None, candidate: Candidate, snapshot: Snapshot
    ) -> ComboSlots | None:
        config = snapshot.conduct(combo, candidate.provider)
        if combo is None or config is None or config.concurrency_per_model is None:
            return None
        wait_s = config.queue_timeout_ms / 1000
        return self.turnstiles.of_combo(combo, candidate.key, config.concurrency_per_model, wait_s)


async def _nothing_to_leave() -> None:
    """A replay holds nothing open."""


async def _nothing_to_close(_result: object) -> None:
    """A whole reply that came too late holds nothing open."""
