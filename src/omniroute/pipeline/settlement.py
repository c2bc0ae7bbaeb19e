"""What is written down about a request, once, however it ends: ledger, health, trace, usage."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from omniroute.catalog.overrides import told
from omniroute.chat import Usage
from omniroute.dialects.left_behind import left_behind
from omniroute.errors import OmniRouteError, UpstreamFailed
from omniroute.pipeline.call_record import call_row
from omniroute.pipeline.exchange import ChatCall, Receipt, ReplyHead, spoken
from omniroute.pipeline.money.estimate import need_of
from omniroute.pipeline.money.ledger import Ledger, Reservation
from omniroute.pipeline.outbound import Endpoint
from omniroute.pipeline.run_steps import model_step
from omniroute.pipeline.telemetry import Telemetry
from omniroute.routing.plan import Plan
from omniroute.routing.resilience.verdicts import Failure, Verdict
from omniroute.routing.sizes import input_tokens
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Candidate
from omniroute.routing.trace import AttemptTrace, RouteTrace
from omniroute.storage.records.usage import FinishedRequest, SpentCharge, TraceRow, UsageRow

Record: TypeAlias = Callable[[FinishedRequest], None]
"""Keeps a finished request so that it survives the process."""

Observer: TypeAlias = Callable[[ChatCall, RouteTrace], None]
"""Hears of every finished request; must neither wait nor fail."""


@dataclass(slots=True)
class Settlement:
    """The open books of one request. `close` may be called on every way out; the first counts.

    `candidates` are those of the plan that may be tried, where not all may. `now_ms` is epoch
    milliseconds.
    """

    call: ChatCall
    stream: bool
    now_ms: Callable[[], int]
    record: Record
    ledger: Ledger
    snapshot: Snapshot
    telemetry: Telemetry
    observers: tuple[Observer, ...] = ()
    receipt: Receipt = field(default_factory=Receipt)
    plan: Plan | None = None
    reservation: Reservation | None = None
    attempts: list[AttemptTrace] = field(default_factory=list)
    started_at_ms: int = 0
    waited_ms: int = 0
    source: str = "upstream"
    on_completed: list[Callable[[], None]] = field(default_factory=list)
    candidates: tuple[Candidate, ...] | None = None
    closed: bool = False
    _parts: dict[int, tuple[Usage, int | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started_at_ms = self.now_ms()

    def attempted(
        self,
        candidate: Candidate,
        started_at_ms: int,
        *,
        ttft_ms: int | None = None,
        failure: Failure | None = None,
        verdict: Verdict | None = None,
        continues_at: int | None = None,
        key: int | None = None,
        proxy: str | None = None,
    ) -> None:
        """Note one attempt, good or bad; one that goes on says after how many characters."""
        account = self.snapshot.connections[candidate.connection]
        row = self.snapshot.provider_for(candidate.provider, candidate.model)
        dialect = spoken(self.call, row)
        native = self.call.native(dialect)
        self.attempts.append(
            AttemptTrace(
                number=len(self.attempts) + 1,
                provider=candidate.provider,
                model=candidate.model,
                connection=candidate.connection,
                connection_name=account.name,
                reasons=candidate.reasons,
                started_at_ms=started_at_ms,
                duration_ms=self.now_ms() - started_at_ms,
                ttft_ms=ttft_ms,
                status=failure.status if failure else 200,
                verdict=verdict.reason if verdict else None,
                action=verdict.action if verdict else None,
                error=failure.text if failure else None,
                retry_after_ms=failure.retry_after_ms if failure else None,
                continues_at=continues_at,
                key=key,
                proxy=proxy,
                dialect=dialect,
                left_behind=self.call.left_behind
                + (() if native else left_behind(self.call.request, dialect)),
            )
        )

    def broke(self, failure: Failure, verdict: Verdict) -> None:
        """The newest attempt delivered content and then failed after all."""
        newest = self.attempts[-1]
        self.attempts[-1] = msgspec.structs.replace(
            newest,
            duration_ms=self.now_ms() - newest.started_at_ms,
            status=failure.status,
            verdict=verdict.reason,
            action=verdict.action,
            error=failure.text,
        )

    def paid_in_part(
        self, attempt: int, candidate: Candidate, usage: Usage | None, tokens_seen: int
    ) -> int:
        """An attempt gave a part of the answer before another went on: what that cost."""
        part = self._parts[attempt] = self._spent(candidate, usage, tokens_seen)
        return part[1] or 0

    def _spent(
        self, candidate: Candidate, usage: Usage | None, tokens_seen: int
    ) -> tuple[Usage, int | None]:
        """What an attempt used and what it cost: as the upstream says, else as far as is known."""
        usage = usage or Usage(
            input_tokens=input_tokens(self.call.request),
            output_tokens=tokens_seen,
            estimated=True,
        )
        if usage.reported_micro_usd is not None:
            return usage, usage.reported_micro_usd
        price = self.snapshot.price(candidate.provider, candidate.model)
        return usage, price.cost_micro_usd(usage) if price else None

    def covers(self, candidate: Candidate) -> bool:
        """Whether what is set aside is enough for a candidate nobody had planned for."""
        held = self.reservation
        if held is None or not held.purses:
            return True
        price = self.snapshot.price(candidate.provider, candidate.model)
        need = need_of(self.call.request, [price])
        return need.reading <= held.need.reading and need.token_pico <= held.need.token_pico

    async def affords(self, tokens: int) -> bool:
        """Whether an answer of `tokens` tokens is paid for, with more money where that takes it."""
        held = self.reservation
        return held is None or await self.ledger.grow(held, tokens)

    def give_up(self, error: BaseException) -> None:
        """Close the books on a request that got no answer, and say whose doing that was."""
        match error:
            case OmniRouteError():
                outcome = "failed" if self.attempts else "refused"
                status = error.status if isinstance(error, UpstreamFailed) else 0
                self.close(outcome, status, error=str(error))
            case asyncio.CancelledError():
                self.close("client_gone", 499)
            case _:
                self.close("failed", 500, error="The gateway failed on this request.")

    def close(
        self,
        outcome: str,
        status: int,
        *,
        served_by: Candidate | None = None,
        usage: Usage | None = None,
        tokens_seen: int = 0,
        error: str | None = None,
        attempt: int | None = None,
    ) -> None:
        """Settle the reservation and record the request.

        Args:
            outcome: see `RouteTrace`.
            served_by: the candidate whose answer (or part of one) reached the caller.
            usage: what the upstream reported; estimated from `tokens_seen` when it did not.
            attempt: the number of its attempt; the newest without.
        """
        if self.closed:
            return
        self.closed = True
        self._lapped(served=served_by is not None)
        cost: int | None = None
        if served_by is not None:
            number = len(self.attempts) if attempt is None else attempt
            usage, cost = self._parts[number] = self._spent(served_by, usage, tokens_seen)
            # A part nobody knows the price of must not hide what the others cost.
            known = [part for _, part in self._parts.values() if part is not None]
            cost = sum(known) if known else None
        self._fill_receipt(status, usage, cost)
        charges: tuple[SpentCharge, ...] = ()
        if self.reservation is not None:
            charges = self.ledger.settle(self.reservation, cost or 0)
        trace, finished = self._finished(outcome, served_by, usage, cost, error)
        self.record(msgspec.structs.replace(finished, charges=charges))
        for observe in self.observers:
            observe(self.call, trace)
        if outcome == "completed":
            for told in self.on_completed:
                told()
        if self.call.watch is not None:
            self.call.watch.lap("finalize")
            self.telemetry.note(
                self.call.watch, served_by.provider if served_by is not None else None, outcome
            )

    def _lapped(self, *, served: bool) -> None:
        """Say what the request was at when it ended."""
        if served:
            self.call.lap("stream")
        elif self.attempts:
            self.call.lap("connect")
        elif self.call.watch is not None:
            self.call.watch.skip()  # it was refused, or waited for somebody else's answer

    def _fill_receipt(self, status: int, usage: Usage | None, cost: int | None) -> None:
        receipt = self.receipt
        receipt.status = status
        receipt.latency_ms = self.now_ms() - self.started_at_ms
        receipt.cost_micro_usd = cost
        if usage is not None:
            receipt.input_tokens = usage.total_input_tokens
            receipt.output_tokens = usage.total_output_tokens
            receipt.estimated = usage.estimated

    def _finished(
        self,
        outcome: str,
        served_by: Candidate | None,
        usage: Usage | None,
        cost: int | None,
        error: str | None,
    ) -> tuple[RouteTrace, FinishedRequest]:
        call, receipt = self.call, self.receipt
        dialect = call.dialect
        provider = None
        if served_by is not None:
            provider = self.snapshot.provider_for(served_by.provider, served_by.model)
        trace = RouteTrace(
            request_id=call.request_id,
            door=call.caller.door,
            client_dialect=dialect,
            stream=self.stream,
            api_key_id=call.caller.key_id,
            session_id=call.session,
            run_id=call.caller.run_id,
            task_id=call.caller.task_id,
            requested_model=call.request.model,
            plan=self.plan,
            attempts=tuple(map(self._priced, self.attempts)),
            outcome=outcome,
            status=receipt.status,
            error=error,
            started_at_ms=self.started_at_ms,
            duration_ms=receipt.latency_ms,
            waited_ms=self.waited_ms,
            provider=served_by.provider if served_by else None,
            model=served_by.model if served_by else None,
            input_tokens=receipt.input_tokens,
            output_tokens=receipt.output_tokens,
            usage_estimated=receipt.estimated,
            reserved_micro_usd=self.reservation.micro_usd if self.reservation else None,
            cost_micro_usd=cost,
            source=self.source,
            cache=call.cache,
            changes=call.changes,
            translated=provider is not None and not call.native(spoken(call, provider)),
        )
        row = TraceRow(
            request_id=call.request_id,
            timestamp_ms=self.started_at_ms,
            api_key_id=call.caller.key_id,
            source=call.caller.door,
            combo=self.plan.combo if self.plan else None,
            provider=trace.provider,
            model=trace.model,
            success=outcome == "completed",
            status=receipt.status,
            cost_micro_usd=cost,
            latency_ms=receipt.latency_ms,
            data=msgspec.json.encode(trace).decode(),
        )
        rows = tuple(self._usage_row(attempt) for attempt in self.attempts)
        used = [part for part, _ in self._parts.values()] or ([usage] if usage else [])
        line = None if call.caller.no_log else call_row(call, trace, used)
        return trace, FinishedRequest(
            trace=row, usage=rows, call=line, step=model_step(call.caller, trace)
        )

    def _priced(self, attempt: AttemptTrace) -> AttemptTrace:
        """An attempt with what it used, what that cost, and the price that was known."""
        part = self._parts.get(attempt.number)
        if part is None:
            return attempt
        price = self.snapshot.price(attempt.provider, attempt.model)
        return msgspec.structs.replace(
            attempt,
            usage=part[0],
            cost_micro_usd=part[1],
            price=told(price) if price is not None else None,
        )

    def _usage_row(self, attempt: AttemptTrace) -> UsageRow:
        spent, cost = self._parts.get(attempt.number, (Usage(), None))
        return UsageRow(
            id=f"{self.call.request_id}:{attempt.number}",
            request_id=self.call.request_id,
            attempt=attempt.number,
            timestamp_ms=attempt.started_at_ms,
            provider=attempt.provider,
            model=attempt.model,
            connection_id=attempt.connection,
            api_key_id=self.call.caller.key_id,
            combo=self.plan.combo if self.plan else None,
            input_tokens=spent.input_tokens,
            cache_read_tokens=spent.cache_read_tokens,
            cache_write_tokens=spent.cache_write_tokens,
            cache_write_1h_tokens=spent.cache_write_1h_tokens,
            output_tokens=spent.output_tokens,
            reasoning_tokens=spent.reasoning_tokens,
            input_audio_tokens=spent.input_audio_tokens,
            input_image_tokens=spent.input_image_tokens,
            output_audio_tokens=spent.output_audio_tokens,
            output_image_tokens=spent.output_image_tokens,
            estimated=spent.estimated,
            cost_micro_usd=cost,
            status=attempt.status,
            success=attempt.verdict is None,
            error_code=attempt.verdict,
            latency_ms=attempt.duration_ms,
            ttft_ms=attempt.ttft_ms,
        )


def head_of(books: Settlement, made: Plan, to: Endpoint) -> ReplyHead:
    """What is known of an answer when its first content is there."""
    return ReplyHead(
        request_id=books.call.request_id,
        plan=made,
        chosen=to.candidate,
        provider_alias=to.provider.alias or to.provider.id,
        connection_name=to.account.name,
        attempts=tuple(books.attempts),
        latency_ms=books.now_ms() - books.started_at_ms,
        purses=books.reservation.purses if books.reservation is not None else (),
        changes=books.call.changes,
    )
