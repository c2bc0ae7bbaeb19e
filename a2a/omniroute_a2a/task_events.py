"""The event table of tasks (04 §4.6): the moves of a task, and what happened on the way."""

from collections.abc import Iterator
from typing import Any

from a2a.types import Task

from omniroute.storage.records.agents import TaskEvent, TaskRow
from omniroute_a2a.parts import text_of
from omniroute_a2a.proto import to_dict
from omniroute_a2a.states import EXPIRED_EVENT, MOVES, STORED, SUBMITTED, TERMINAL, WORKING

STREAM = "stream"
"""Call state: whether a stream is to be noted as `BEGUN`, or has been and will be as ended."""
BEGUN, NOTED = "begun", "noted"

ROUTE_EVENTS = {
    "primary_selected": "provider_selected",
    "fallback_needed": "fallback_triggered",
    "fallback_selected": "provider_selected",
}
"""What an entry of a skill's resilience trace is called here."""

CHECKS = {"policy_verdict": "budget_check", "queryType": "quota_check"}
"""Members of a skill's metadata that tell of a check."""


def is_move(event: TaskEvent) -> bool:
    """Whether an event took the task to another state."""
    return event.type == EXPIRED_EVENT or event.type in MOVES.values()


def events_of(
    task: Task,
    before: TaskRow | None,
    now_ms: int,
    stream: str | None = None,
    expired: bool = False,
) -> list[TaskEvent]:
    """What is to be noted as a task is stored, in order.

    Args:
        before: the row as it was, None when the task is new.
        stream: the call state `STREAM` of the call that changed it.
        expired: whether it ends because its time is up.
    """
    state = STORED[task.status.state]
    arrivals = [] if before is not None and before.state == state else [state]
    if before is None and state != SUBMITTED:
        arrivals.insert(0, SUBMITTED)
    message = text_of(task.status.message) if task.status.HasField("message") else None

    def event(kind: str, at: str, said: str | None = None) -> TaskEvent:
        return TaskEvent(task_id=task.id, type=kind, state=at, timestamp_ms=now_ms, message=said)

    found: list[TaskEvent] = []
    for arrival in arrivals:
        if arrival in TERMINAL:
            found += [event(kind, WORKING, said) for kind, said in on_the_way(task)]
        kind = EXPIRED_EVENT if expired else MOVES[arrival]
        found.append(event(kind, arrival, message if arrival == state else None))
    if stream == BEGUN:
        found.append(event("streaming_started", state))
    if stream is not None and arrivals and state in TERMINAL:
        found.append(event("streaming_ended", state))
    return found


def on_the_way(task: Task) -> Iterator[tuple[str, str]]:
    """Type and message of what a task's skill reports beside its text."""
    for artifact in task.artifacts:
        metadata: dict[str, Any] = to_dict(artifact.metadata)
        for entry in metadata.get("resilience_trace", ()):
            if entry["event"] in ROUTE_EVENTS:
                yield ROUTE_EVENTS[entry["event"]], entry["provider"]
        for member, kind in CHECKS.items():
            told = metadata.get(member)
            if told is not None:
                yield kind, told["reason"] if isinstance(told, dict) else told
