"""A task as a step of the run it belongs to."""

from a2a.types import Task, TaskState

from omniroute.storage.records.agents import TaskRow
from omniroute.storage.records.runs import RunStep, StepStatus
from omniroute_a2a.parts import text_of
from omniroute_a2a.states import CANCELLED, COMPLETED, FAILED, WAITING

STATUSES: dict[str, StepStatus] = {
    COMPLETED: "completed",
    FAILED: "failed",
    CANCELLED: "cancelled",
}
"""How a terminal state reads in a run; whatever is not here still runs, or waits."""


def task_step(task: Task, row: TaskRow) -> RunStep:
    """The step. A task that refers to another one was made below it."""
    waiting: StepStatus = "input-required" if task.status.state in WAITING else "running"
    said = text_of(task.status.message) if task.status.HasField("message") else ""
    referred = (one for turn in task.history for one in turn.reference_task_ids)
    return RunStep(
        id=row.id,
        run_id=row.run_id or row.context_id,
        parent_id=next(referred, None),
        kind="task",
        name=row.skill or "task",
        door="a2a",
        owner=row.owner,
        status=STATUSES.get(row.state, waiting),
        verdict=said[:500] or TaskState.Name(task.status.state).removeprefix("TASK_STATE_").lower(),
        started_at_ms=row.created_at_ms,
        ended_at_ms=row.updated_at_ms if row.finished else None,
    )
