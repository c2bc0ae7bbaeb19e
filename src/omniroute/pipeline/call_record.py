"""A finished request as a line of the call log: its trace, told in one row."""

from collections.abc import Sequence
from typing import Any

from omniroute.chat import Usage
from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.trace import AttemptTrace, RouteTrace
from omniroute.storage.records.usage import CallRow

_SOURCES = {"cache": "semantic"}
"""What the call log calls where an answer came from, where the trace has another word."""


def call_row(call: ChatCall, trace: RouteTrace, used: Sequence[Usage]) -> CallRow:
    """The row of a request.

    Args:
        used: what the upstreams that gave its answer used, or what a kept answer had used.
    """
    last = trace.attempts[-1] if trace.attempts else None
    kept = trace.source != "upstream"
    return CallRow(
        id=trace.request_id,
        timestamp_ms=trace.started_at_ms,
        door=trace.door,
        # Model APIs that write a call down take nothing but POST.
        method="POST" if call.path else None,
        path=call.path or None,
        status=trace.status or None,
        success=trace.outcome == "completed",
        outcome=trace.outcome,
        requested_model=trace.requested_model,
        attempts=len(trace.attempts),
        duration_ms=trace.duration_ms,
        tokens_in=sum(one.total_input_tokens for one in used),
        tokens_out=sum(one.total_output_tokens for one in used),
        tokens_cache_read=sum(one.cache_read_tokens for one in used),
        tokens_cache_creation=sum(
            one.cache_write_tokens + one.cache_write_1h_tokens for one in used
        ),
        tokens_reasoning=sum(one.reasoning_tokens for one in used),
        estimated=any(one.estimated for one in used),
        cost_micro_usd=0 if kept else trace.cost_micro_usd,
        cache_source=_SOURCES.get(trace.source, trace.source) if kept or last else None,
        source_format=trace.client_dialect,
        api_key_id=trace.api_key_id,
        api_key_name=call.caller.key_name,
        combo_name=trace.plan.combo if trace.plan is not None else None,
        error=trace.error,
        **(_ended_with(trace, last) if last is not None else {}),
    )


def _ended_with(trace: RouteTrace, attempt: AttemptTrace) -> dict[str, Any]:
    row = trace.planned(attempt)
    return {
        "provider": attempt.provider,
        "model": attempt.model,
        "connection_id": attempt.connection,
        "account": attempt.connection_name,
        "target_format": attempt.dialect,
        "combo_step_id": row.step if row is not None else None,
        "combo_execution_key": (row.key or None) if row is not None else None,
    }
