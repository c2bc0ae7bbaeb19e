"""A finished request as a step of the run it belongs to."""

from omniroute.caller import Caller
from omniroute.routing.trace import RouteTrace
from omniroute.storage.records.runs import RunStep, StepStatus

STATUSES: dict[str, StepStatus] = {
    "completed": "completed",
    "client_gone": "cancelled",
    "refused": "denied",
}
"""How a request's outcome reads in a run; whatever is not here has failed."""


def model_step(caller: Caller, trace: RouteTrace) -> RunStep | None:
    """The step, None where the caller is in no run."""
    if caller.run_id is None:
        return None
    served = f"{trace.provider}/{trace.model}" if trace.provider else trace.requested_model
    return RunStep(
        id=trace.request_id,
        run_id=caller.run_id,
        parent_id=caller.step_id,
        kind="model",
        name=served,
        door=trace.door,
        owner=caller.owner,
        status=STATUSES.get(trace.outcome, "failed"),
        verdict=_verdict(trace),
        request_id=trace.request_id,
        input_tokens=trace.input_tokens,
        output_tokens=trace.output_tokens,
        cost_micro_usd=trace.cost_micro_usd,
        started_at_ms=trace.started_at_ms,
        ended_at_ms=trace.started_at_ms + trace.duration_ms,
    )


def _verdict(trace: RouteTrace) -> str:
    """In a few words: the outcome, what was tried before, where else the answer came from."""
    told = [trace.outcome if trace.error is None else f"{trace.outcome}: {trace.error}"]
    before = len(trace.attempts) - (trace.outcome == "completed" and trace.source == "upstream")
    if before > 0:
        told.append(f"after {before} failed {'attempt' if before == 1 else 'attempts'}")
    if trace.source != "upstream":
        told.append(f"from {trace.source}")
    return ", ".join(told)
