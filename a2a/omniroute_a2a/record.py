"""A task as the seed dialect and the REST helpers show it (04 §4.1, §4.3)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from a2a.types import Message, Task

from omniroute.storage.records.agents import PushDelivery, TaskEvent, TaskRow
from omniroute_a2a.parts import SEED_ROLE, role_of, text_of
from omniroute_a2a.proto import to_builtin, to_dict
from omniroute_a2a.states import FAILED, STORED, WAITING
from omniroute_a2a.task_events import is_move


def seed_result(task: Task) -> dict[str, Any]:
    """The result of a seed `message/send`."""
    return {
        "task": {"id": task.id, "state": STORED[task.status.state]},
        "artifacts": seed_artifacts(task),
        "metadata": seed_metadata(task),
    }


def task_record(row: TaskRow, task: Task, events: Iterable[TaskEvent]) -> dict[str, Any]:
    """The whole record: what was asked, what came of it, and when."""
    asked: dict[str, Any] = {
        "skill": row.skill,
        "messages": [{"role": role_of(turn), "content": text_of(turn)} for turn in task.history],
    }
    if options := options_of(task.history):
        asked["metadata"] = options
    return {
        "id": row.id,
        "skill": row.skill,
        "state": row.state,
        "input": asked,
        "artifacts": seed_artifacts(task),
        "events": [event_record(event) for event in events if is_move(event)],
        "metadata": seed_metadata(task),
        "createdAt": iso(row.created_at_ms),
        "updatedAt": iso(row.updated_at_ms),
        "expiresAt": iso(row.expires_at_ms),
    }


def seed_artifacts(task: Task) -> list[dict[str, str]]:
    """Text and data parts; of a failed task why, of one that waits what for."""
    if STORED[task.status.state] == FAILED:
        return [{"type": "error", "content": text_of(task.status.message)}]
    if task.status.state in WAITING:  # seed has no word for it, but its clients should know
        return [{"type": "text", "content": text_of(task.status.message)}]
    found: list[dict[str, str]] = []
    for part in (part for artifact in task.artifacts for part in artifact.parts):
        if part.HasField("text"):
            found.append({"type": "text", "content": part.text})
        elif part.HasField("data"):
            data = msgspec.json.encode(to_builtin(part.data)).decode()
            found.append({"type": "json", "content": data})
    return found


def seed_metadata(task: Task) -> dict[str, Any]:
    """What the skill reported beside its text."""
    metadata: dict[str, Any] = {}
    for artifact in task.artifacts:
        metadata |= to_dict(artifact.metadata)
    return metadata


def options_of(history: Sequence[Message]) -> dict[str, Any]:
    """The metadata the newest message came with."""
    metadata = to_dict(history[-1].metadata) if history else {}
    return {name: value for name, value in metadata.items() if name != SEED_ROLE}


def event_record(event: TaskEvent) -> dict[str, Any]:
    """One step in the life of a task."""
    record = {"timestamp": iso(event.timestamp_ms), "state": event.state}
    return record if event.message is None else {**record, "message": event.message}


def delivery_record(delivery: PushDelivery) -> dict[str, Any]:
    """A message to a receiver, without what it says."""
    return {
        "configId": delivery.push_config.removeprefix(f"{delivery.task_id}/"),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "reason": delivery.reason,
        "createdAt": iso(delivery.created_at_ms),
        "updatedAt": iso(delivery.updated_at_ms),
    }


def iso(time_ms: int) -> str:
    """Unix milliseconds as ISO-8601 UTC."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
