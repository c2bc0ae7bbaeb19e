"""What is noted of a task's life: moves, and what happened on the way."""

from typing import Any

import pytest
from a2a.types import Task
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]

from omniroute.storage.records.agents import TaskRow
from omniroute_a2a.task_events import BEGUN, NOTED, events_of

TRACE = [
    {"event": "fallback_needed", "provider": "openai", "timestamp": "t"},
    {"event": "fallback_selected", "provider": "demo", "timestamp": "t"},
]
ROUTED = {"resilience_trace": TRACE, "policy_verdict": {"allowed": True, "reason": "within budget"}}


def row(state: str) -> TaskRow:
    return TaskRow(
        id="t",
        owner="o",
        context_id="c",
        skill="s",
        state=state,
        finished=False,
        data="{}",
        created_at_ms=1,
        updated_at_ms=1,
        expires_at_ms=9,
    )


NOTES: dict[str, tuple[str, dict[str, Any], str | None, str | None, list[tuple[str, str]]]] = {
    "a new task": ("SUBMITTED", {}, None, None, [("task_created", "submitted")]),
    "a new one of a stream": (
        "SUBMITTED",
        {},
        None,
        BEGUN,
        [("task_created", "submitted"), ("streaming_started", "submitted")],
    ),
    "a new one that works already": (
        "WORKING",
        {},
        None,
        None,
        [("task_created", "submitted"), ("task_working", "working")],
    ),
    "nothing": ("WORKING", {}, "working", NOTED, []),
    "a question": ("INPUT_REQUIRED", {}, "working", NOTED, []),
    "an end without a report": (
        "FAILED",
        {},
        "working",
        NOTED,
        [("task_failed", "failed"), ("streaming_ended", "failed")],
    ),
    "a routed end": (
        "COMPLETED",
        ROUTED,
        "working",
        None,
        [
            ("fallback_triggered", "working"),
            ("provider_selected", "working"),
            ("budget_check", "working"),
            ("task_completed", "completed"),
        ],
    ),
    "an end that looked at quotas": (
        "COMPLETED",
        {"queryType": "ranking"},
        "working",
        None,
        [("quota_check", "working"), ("task_completed", "completed")],
    ),
}


@pytest.mark.parametrize(
    ("state", "metadata", "before", "stream", "noted"), NOTES.values(), ids=NOTES
)
def test_what_is_noted(
    state: str,
    metadata: dict[str, Any],
    before: str | None,
    stream: str | None,
    noted: list[tuple[str, str]],
) -> None:
    artifacts = [{"artifactId": "a", "parts": [{"text": "x"}], "metadata": metadata}]
    task = {"id": "t", "status": {"state": f"TASK_STATE_{state}"}, "artifacts": artifacts}
    found = events_of(ParseDict(task, Task()), row(before) if before else None, 5, stream)
    assert [(event.type, event.state) for event in found] == noted


def test_an_expired_task_says_so() -> None:
    task = ParseDict({"id": "t", "status": {"state": "TASK_STATE_FAILED"}}, Task())
    assert [one.type for one in events_of(task, row("working"), 5, expired=True)] == [
        "task_expired"
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["message/stream", "SendStreamingMessage"])
async def test_a_stream_is_noted_once_and_the_record_shows_moves_only(
    world: Any, method: str
) -> None:
    params = {"messages": [{"content": "a b"}]}
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "a b"}]}
    await world.rpc(method, params if method == "message/stream" else {"message": message})
    task_id = world.asked[0].task_id
    assert [event.type for event in await world.records.events(task_id)] == [
        "task_created",
        "streaming_started",
        "task_working",
        "task_completed",
        "streaming_ended",
    ]
    record = (await world.result("tasks/get", {"taskId": task_id}))["task"]
    assert [one["state"] for one in record["events"]] == ["submitted", "working", "completed"]
