"""The seed dialect, as transcripts of its API reference (04 §4)."""

import json
from typing import Any

import pytest

from omniroute.chat import Message, Text

pytestmark = pytest.mark.anyio

FORMS: dict[str, dict[str, Any]] = {
    "messages": {"messages": [{"role": "user", "content": "a b"}]},
    "role left out": {"messages": [{"content": "a b"}]},
    "entries without text dropped": {"messages": [{"content": 5}, "x", {"content": "a b"}]},
    "one message": {"message": {"role": "user", "content": "a b"}},
    "parts": {"skillId": "smart-routing", "message": {"parts": ["a b"]}},
    "parts with blanks": {
        "skill": "smart-routing",
        "message": {"parts": [" ", {"content": "a b"}, {"kind": "x"}, {"text": ""}]},
    },
}


@pytest.mark.parametrize("params", FORMS.values(), ids=FORMS)
async def test_send(world: Any, params: dict[str, Any]) -> None:
    result = await world.result("message/send", params)
    task_id = world.asked[-1].task_id
    assert result == {
        "task": {"id": task_id, "state": "completed"},
        "artifacts": [{"type": "text", "content": "ab"}],
        "metadata": {"words": 2},
    }
    assert world.asked[-1].messages == (Message("user", (Text("a b"),)),)


async def test_parts_are_joined_by_newlines(world: Any) -> None:
    await world.result(
        "message/send", {"skill": "smart-routing", "message": {"parts": ["a", {"text": "b"}]}}
    )
    assert world.asked[-1].last_text == "a\nb"


async def test_a_skill_gets_the_whole_conversation_and_the_metadata(world: Any) -> None:
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "a b")]
    await world.result(
        "message/send",
        {
            "messages": [{"role": role, "content": text} for role, text in turns],
            "metadata": {"model": "m", "budget": 0.5, "role": "coding"},
        },
        key="key-a",
    )
    asked = world.asked[-1]
    assert [(message.role, message.text) for message in asked.messages] == turns
    assert asked.options == {"model": "m", "budget": 0.5, "role": "coding"}
    assert (asked.caller.owner, asked.caller.task_id) == ("owner-a", asked.task_id)
    assert asked.caller.run_id == asked.caller.session_id not in (None, asked.task_id)


BAD: dict[str, dict[str, Any]] = {
    "no messages": {"skill": "smart-routing"},
    "messages not a list": {"messages": "hi"},
    "skill not a string": {"skill": 5, "messages": [{"content": "a"}]},
    "metadata not an object": {"messages": [{"content": "a"}], "metadata": [1]},
}


@pytest.mark.parametrize("params", BAD.values(), ids=BAD)
async def test_bad_params(world: Any, params: dict[str, Any]) -> None:
    assert (await world.rpc("message/send", params)).json()["error"]["code"] == -32602


def notifications(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


async def test_stream(world: Any) -> None:
    response = await world.rpc("message/stream", {"messages": [{"content": "a b"}]})
    assert {
        name: response.headers[name]
        for name in ("cache-control", "connection", "x-accel-buffering")
    } == {
        "cache-control": "no-cache, no-transform",
        "connection": "keep-alive",
        "x-accel-buffering": "no",
    }
    working = {"id": world.asked[0].task_id, "state": "working"}
    assert notifications(response.text) == [
        {"jsonrpc": "2.0", "method": "message/stream", "params": params}
        for params in (
            {"task": working, "chunk": {"type": "text", "content": "a"}},
            {"task": working, "chunk": {"type": "text", "content": "b"}},
            {"task": {**working, "state": "completed"}, "metadata": {"words": 2}},
        )
    ]


async def test_a_skill_that_emits_nothing_sends_one_chunk(world: Any) -> None:
    response = await world.rpc("message/stream", {"messages": [{"content": "silent"}]})
    chunks = [note["params"].get("chunk") for note in notifications(response.text)]
    assert chunks == [{"type": "text", "content": "all at once"}, None]


async def test_a_failing_stream_ends_with_the_reason(world: Any) -> None:
    response = await world.rpc("message/stream", {"messages": [{"content": "fail"}]})
    assert [note["params"] for note in notifications(response.text)] == [
        {
            "task": {"id": world.asked[0].task_id, "state": "failed"},
            "metadata": {"error": "Every target failed."},
        }
    ]


async def test_get_shows_the_record(world: Any) -> None:
    sent = await world.result(
        "message/send",
        {
            "messages": [{"role": "system", "content": "s"}, {"content": "a b"}],
            "metadata": {"x": 1},
        },
    )
    task_id = sent["task"]["id"]
    now = "2023-11-14T22:13:20.000Z"
    assert await world.result("tasks/get", {"taskId": task_id}) == {
        "task": {
            "id": task_id,
            "skill": "smart-routing",
            "state": "completed",
            "input": {
                "skill": "smart-routing",
                "messages": [
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": "a b"},
                ],
                "metadata": {"x": 1},
            },
            "artifacts": [{"type": "text", "content": "ab"}],
            "events": [
                {"timestamp": now, "state": state}
                for state in ("submitted", "working", "completed")
            ],
            "metadata": {"words": 2},
            "createdAt": now,
            "updatedAt": now,
            "expiresAt": "2023-11-14T22:18:20.000Z",
        }
    }


async def test_a_failed_task_has_one_error_artifact(world: Any) -> None:
    await world.rpc("message/send", {"messages": [{"content": "fail"}]})
    record = (await world.result("tasks/get", {"taskId": world.asked[0].task_id}))["task"]
    assert (record["state"], record["artifacts"]) == (
        "failed",
        [{"type": "error", "content": "Every target failed."}],
    )
    assert record["events"][-1]["message"] == "Every target failed."


async def test_a_skill_over_its_time_limit_fails(world: Any) -> None:
    response = await world.rpc(
        "message/send", {"skill": "cost-analysis", "messages": [{"content": "x"}]}
    )
    assert (response.status_code, response.json()["error"]) == (
        500,
        {"code": -32603, "message": "Cost-Analysis took longer than 0 s."},
    )


async def test_a_finished_task_cannot_be_cancelled(world: Any) -> None:
    sent = await world.result("message/send", {"messages": [{"content": "a"}]})
    response = await world.rpc("tasks/cancel", {"taskId": sent["task"]["id"]})
    assert (response.status_code, response.json()["error"]["code"]) == (500, -32603)
