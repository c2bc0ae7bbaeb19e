"""Skills that ask back: the task waits, survives a restart, and goes on with the answer."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from omniroute.storage.database import Database
from omniroute.storage.secret_box import SecretBox
from omniroute_a2a.push_records import SqlPushRecords
from omniroute_a2a.records import SqlTaskRecords

pytestmark = pytest.mark.anyio

MINUTE_MS = 60_000


def message(text: str, number: int = 1, **members: Any) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "role": "ROLE_USER",
        "parts": [{"text": text}],
        **members,
    }


async def send(world: Any, text: str, number: int = 1, **members: Any) -> Any:
    sent = await world.result("SendMessage", {"message": message(text, number, **members)})
    return sent["task"]


async def test_a_task_that_needs_an_answer_says_what(world: Any) -> None:
    task = await send(world, "ask", metadata={"budget": 1, "role": "review"})
    assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    asked = task["status"]["message"]
    assert asked["parts"] == [{"text": "How much?"}]
    assert asked["metadata"]["inputRequired"]["facts"] == {"spent": 1}


ANSWERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a higher budget": ("take this", {"budget": 7}, {"budget": 7, "role": "review"}),
    "a word of approval": ("Yes.", {}, {"budget": None, "role": "review"}),
}


@pytest.mark.parametrize(("text", "metadata", "options"), ANSWERS.values(), ids=ANSWERS)
async def test_it_goes_on_with_the_same_conversation(
    world: Any, text: str, metadata: dict[str, Any], options: dict[str, Any]
) -> None:
    first = await send(world, "ask", metadata={"budget": 1, "role": "review"})
    again = await send(world, "not a word of approval", 2, taskId=first["id"])
    assert again["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    done = await send(world, text, 3, taskId=first["id"], metadata=metadata)
    assert (done["id"], done["contextId"]) == (first["id"], first["contextId"])
    assert done["status"]["state"] == "TASK_STATE_COMPLETED"
    assert done["artifacts"][0]["parts"] == [{"text": f"answered: {text}"}]
    request = world.asked[-1]
    assert [turn.text for turn in request.messages] == ["ask"]
    assert (request.answer, request.options) == (text, options)


@pytest.mark.parametrize("text", ["no", "Cancel!"])
async def test_a_no_cancels_it(world: Any, text: str) -> None:
    first = await send(world, "ask")
    ended = await send(world, text, 2, taskId=first["id"])
    assert ended["status"]["state"] == "TASK_STATE_CANCELED"
    assert ended["status"]["message"]["parts"] == [
        {"text": "The answer was no, so the task was cancelled."}
    ]
    assert len(world.asked) == 1


async def test_a_waiting_task_can_be_cancelled(world: Any) -> None:
    first = await send(world, "ask")
    cancelled = await world.result("CancelTask", {"id": first["id"]})
    assert cancelled["status"]["state"] == "TASK_STATE_CANCELED"


async def test_each_dialect_has_its_word_for_waiting(world: Any) -> None:
    asked = {"messages": [{"content": "ask"}]}
    sent = await world.result("message/send", asked)
    task_id = sent["task"]["id"]
    assert sent["task"]["state"] == "working"
    assert sent["artifacts"] == [{"type": "text", "content": "How much?"}]
    old = await world.result("tasks/get", {"id": task_id})
    assert old["status"]["state"] == "input-required"
    streamed = (await world.rpc("message/stream", asked)).text
    last = [line for line in streamed.splitlines() if line.startswith("data:")][-1]
    assert '"state":"working"' in last
    assert '"metadata":{"inputRequired":"How much?"}' in last


async def test_it_waits_across_a_restart_and_no_longer_than_it_lives(
    tmp_path: Path, make_world: Any
) -> None:
    box = SecretBox(bytes(32))
    database = await Database.open(f"sqlite:///{tmp_path / 'tasks.db'}", tmp_path, box)
    records, push = SqlTaskRecords(database), SqlPushRecords(database)
    with anyio.fail_after(20):
        async with make_world(records, push) as first:
            kept, left = await send(first, "ask"), await send(first, "ask", 2)
        async with make_world(records, push) as second:
            done = await send(second, "yes", 3, taskId=kept["id"])
            assert done["status"]["state"] == "TASK_STATE_COMPLETED"
            assert [turn.text for turn in second.asked[0].messages] == ["ask"]
            second.now_ms += 5 * MINUTE_MS
            await second.door.tasks.sweep()
            expired = await second.result("GetTask", {"id": left["id"]})
            assert expired["status"]["state"] == "TASK_STATE_FAILED"
            late = await second.rpc("SendMessage", {"message": message("yes", taskId=left["id"])})
            assert late.json()["error"]["code"] == -32004
    await database.close()
