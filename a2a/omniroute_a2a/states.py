"""The states of a task and what each dialect calls them (04 §4.6, §5, §7.2)."""

from typing import Final

from a2a.types import TaskState

SUBMITTED: Final = "submitted"
WORKING: Final = "working"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"

SEED_STATES: tuple[str, ...] = (SUBMITTED, WORKING, COMPLETED, FAILED, CANCELLED)
TERMINAL: frozenset[str] = frozenset({COMPLETED, FAILED, CANCELLED})

STORED: dict[TaskState, str] = {
    TaskState.TASK_STATE_SUBMITTED: SUBMITTED,
    TaskState.TASK_STATE_WORKING: WORKING,
    TaskState.TASK_STATE_INPUT_REQUIRED: WORKING,
    TaskState.TASK_STATE_AUTH_REQUIRED: WORKING,
    TaskState.TASK_STATE_COMPLETED: COMPLETED,
    TaskState.TASK_STATE_FAILED: FAILED,
    TaskState.TASK_STATE_REJECTED: FAILED,
    TaskState.TASK_STATE_CANCELED: CANCELLED,
}
"""The seed name, which the `state` column holds; the exact 1.0 state is in the row's `data`."""

WAITING = frozenset({TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED})
"""States in which nobody works: the caller has to answer, before the task expires."""

MOVES: dict[str, str] = {
    SUBMITTED: "task_created",
    WORKING: "task_working",
    COMPLETED: "task_completed",
    FAILED: "task_failed",
    CANCELLED: "task_cancelled",
}
"""What an arrival in a state is called in the event table."""

EXPIRED_EVENT: Final = "task_expired"
"""What it is called when a task fails because its time is up."""
