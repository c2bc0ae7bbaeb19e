"""What is written down about a search: its decision, its attempts and cost, its line in the log."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from omniroute.caller import Caller
from omniroute.pipeline.run_steps import model_step
from omniroute.pipeline.search.asking import Searcher
from omniroute.pipeline.settlement import Record
from omniroute.routing.resilience.verdicts import Failure, Verdict
from omniroute.routing.trace import AttemptTrace, RouteTrace
from omniroute.storage.records.usage import (
    SEARCHES,
    CallRow,
    FinishedRequest,
    SpentCharge,
    TraceRow,
    UsageRow,
)

MODEL = "search"
"""What records and rules of keys call the model of every search."""

PATH = "/v1/search"


@dataclass(slots=True)
class SearchBooks:
    """The open books of one search; `close` the first time counts. `now_ms` is epoch ms."""

    caller: Caller
    request_id: str
    now_ms: Callable[[], int]
    record: Record
    attempts: list[AttemptTrace] = field(default_factory=list)
    started_ms: int = 0
    closed: bool = False

    def __post_init__(self) -> None:
        self.started_ms = self.now_ms()

    def attempted(
        self,
        to: Searcher,
        started_ms: int,
        failure: Failure | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        """Note one attempt, good or bad."""
        self.attempts.append(
            AttemptTrace(
                number=len(self.attempts) + 1,
                provider=to.provider.id,
                model=MODEL,
                connection=to.account.id,
                connection_name=to.account.name,
                reasons=(),
                started_at_ms=started_ms,
                duration_ms=self.now_ms() - started_ms,
                status=failure.status if failure else 200,
                verdict=verdict.reason if verdict else None,
                action=verdict.action if verdict else None,
                error=failure.text if failure else None,
                retry_after_ms=failure.retry_after_ms if failure else None,
                key=to.key,
                cost_micro_usd=None if failure else to.api.micro_usd,
            )
        )

    def close(
        self,
        outcome: str,
        status: int,
        *,
        cost_micro_usd: int = 0,
        reserved_micro_usd: int | None = None,
        charges: tuple[SpentCharge, ...] = (),
        source: str = "upstream",
        provider: str | None = None,
        error: str | None = None,
    ) -> None:
        """Record the search.

        Args:
            outcome: see `RouteTrace`.
            source: `upstream`, `cache`, or `shared` for somebody else's answer.
            provider: who found the results.
        """
        if self.closed:
            return
        self.closed = True
        trace = RouteTrace(
            request_id=self.request_id,
            door=self.caller.door,
            client_dialect=None,
            stream=False,
            api_key_id=self.caller.key_id,
            session_id=self.caller.session_id,
            run_id=self.caller.run_id,
            task_id=self.caller.task_id,
            requested_model=MODEL,
            plan=None,
            attempts=tuple(self.attempts),
            outcome=outcome,
            status=status,
            error=error,
            started_at_ms=self.started_ms,
            duration_ms=self.now_ms() - self.started_ms,
            provider=provider,
            model=MODEL if provider else None,
            reserved_micro_usd=reserved_micro_usd,
            cost_micro_usd=cost_micro_usd,
            source=source,
        )
        row = TraceRow(
            request_id=trace.request_id,
            timestamp_ms=trace.started_at_ms,
            api_key_id=trace.api_key_id,
            source=trace.door,
            combo=None,
            provider=trace.provider,
            model=trace.model,
            success=outcome == "completed",
            status=status,
            cost_micro_usd=cost_micro_usd,
            latency_ms=trace.duration_ms,
            data=msgspec.json.encode(trace).decode(),
        )
        usage = tuple(self._usage(attempt) for attempt in self.attempts)
        line = None if self.caller.no_log else self._line(trace)
        step = model_step(self.caller, trace)
        self.record(FinishedRequest(trace=row, usage=usage, charges=charges, call=line, step=step))

    def _usage(self, attempt: AttemptTrace) -> UsageRow:
        return UsageRow(
            id=f"{self.request_id}:{attempt.number}",
            request_id=self.request_id,
            attempt=attempt.number,
            timestamp_ms=attempt.started_at_ms,
            provider=attempt.provider,
            model=MODEL,
            connection_id=attempt.connection,
            api_key_id=self.caller.key_id,
            combo=None,
            cost_micro_usd=attempt.cost_micro_usd,
            status=attempt.status,
            success=attempt.verdict is None,
            error_code=attempt.verdict,
            latency_ms=attempt.duration_ms,
        )

    def _line(self, trace: RouteTrace) -> CallRow:
        last = trace.attempts[-1] if trace.attempts else None
        over_http = trace.door == "http"
        return CallRow(
            id=trace.request_id,
            timestamp_ms=trace.started_at_ms,
            door=trace.door,
            method="POST" if over_http else None,
            path=PATH if over_http else None,
            status=trace.status or None,
            success=trace.outcome == "completed",
            outcome=trace.outcome,
            requested_model=MODEL,
            provider=trace.provider or (last.provider if last else None),
            model=MODEL if last or trace.provider else None,
            connection_id=last.connection if last else None,
            account=last.connection_name if last else None,
            attempts=len(trace.attempts),
            duration_ms=trace.duration_ms,
            cost_micro_usd=trace.cost_micro_usd,
            cache_source=trace.source if last or trace.provider else None,
            source_format=SEARCHES,
            api_key_id=trace.api_key_id,
            api_key_name=self.caller.key_name,
            error=trace.error,
        )
