"""Tasks over time: owners, expiry, restarts, pages; in memory and in a real SQLite file."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import anyio.lowlevel
import pytest
from tests.conformance.a2a_executor import Scripted

from omniroute.storage.database import Database
from omniroute.storage.secret_box import SecretBox
from omniroute_a2a.door import sweep_forever
from omniroute_a2a.records import SqlTaskRecords

pytestmark = pytest.mark.anyio

MINUTE_MS = 60_000


def message(text: str, **members: Any) -> dict[str, Any]:
    return {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}], **members}


async def start(world: Any, text: str = "wait", key: str | None = None) -> str:
    """Begin a task and leave it running; its id."""
    params = {"message": message(text), "configuration": {"returnImmediately": True}}
    task_id: str = (await world.result("SendMessage", params, key=key))["task"]["id"]
    while not world.asked or not await world.is_working(task_id):
        await anyio.lowlevel.checkpoint()
    return task_id


async def send(world: Any, text: str, key: str | None = None, **members: Any) -> Any:
    params = {"message": message(text, **members)}
    return (await world.result("SendMessage", params, key=key))["task"]


@pytest.fixture(params=["memory", "sqlite"])
async def durable(
    request: pytest.FixtureRequest, tmp_path: Path, make_world: Any
) -> AsyncGenerator[Any]:
    """A world over each kind of storage."""
    if request.param == "memory":
        async with make_world() as world:
            yield world
        return
    box = SecretBox(bytes(32))
    database = await Database.open(f"sqlite:///{tmp_path / 'tasks.db'}", tmp_path, box)
    async with make_world(SqlTaskRecords(database)) as world:
        yield world
    await database.close()


async def test_a_task_left_running_fails_at_the_next_start(durable: Any) -> None:
    with anyio.fail_after(10):
        task_id = await start(durable)
        async with durable.build().lifespan():
            task = await durable.result("GetTask", {"id": task_id})
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert task["status"]["message"]["parts"] == [
        {"text": "The gateway was restarted before the task was finished."}
    ]


async def test_an_overdue_task_is_failed_by_whoever_reads_it(durable: Any) -> None:
    with anyio.fail_after(10):
        task_id = await start(durable)
        durable.now_ms += 5 * MINUTE_MS
        record = (await durable.result("tasks/get", {"taskId": task_id}))["task"]
        assert (record["state"], record["artifacts"]) == (
            "failed",
            [{"type": "error", "content": "expired"}],
        )
        assert [event.type for event in await durable.records.events(task_id)] == [
            "task_created",
            "task_working",
            "task_expired",
        ]
        while durable.stopped != [task_id]:
            await anyio.lowlevel.checkpoint()


async def test_sweeping_fails_overdue_tasks_and_forgets_old_ones(durable: Any) -> None:
    with anyio.fail_after(10):
        running = await start(durable)
        finished = (await send(durable, "a b"))["id"]
        durable.now_ms += 5 * MINUTE_MS - 1
        await durable.door.tasks.sweep()
        assert (await durable.records.get(running)).state == "working"
        durable.now_ms += 1
        await durable.door.tasks.sweep()
        assert (await durable.records.get(running)).state == "failed"
        durable.now_ms += 5 * MINUTE_MS
        await durable.door.tasks.sweep()
        assert (await durable.records.get(finished)).state == "completed"
        durable.now_ms += 1
        await durable.door.tasks.sweep()
        assert await durable.records.get(finished) is None
        assert (await durable.records.get(running)).state == "failed"


async def test_the_setting_says_how_long_tasks_live(durable: Any) -> None:
    minutes = [1.0]
    durable.use(durable.build(task_ttl_minutes=lambda: minutes[0]))
    with anyio.fail_after(10):
        async with durable.door.lifespan():
            short = await start(durable)
            minutes[0] = 10
            long = (await send(durable, "a b"))["id"]
            lives = [await durable.records.get(task_id) for task_id in (short, long)]
    assert [row.expires_at_ms - row.created_at_ms for row in lives] == [MINUTE_MS, 10 * MINUTE_MS]
    assert {UUID(row.id).version for row in lives} == {4}


async def test_overdue_tasks_are_looked_for_every_minute(
    durable: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 2:
            await anyio.sleep_forever()

    with anyio.fail_after(10):
        task_id = await start(durable)
        durable.now_ms += 5 * MINUTE_MS
        async with anyio.create_task_group() as group:
            monkeypatch.setattr(anyio, "sleep", sleep)
            group.start_soon(sweep_forever, durable.door.tasks, durable.door.push)
            while len(pauses) < 3:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        monkeypatch.undo()
    assert pauses == [60] * 3
    assert (await durable.records.get(task_id)).state == "failed"


async def test_a_state_once_terminal_stays(durable: Any) -> None:
    with anyio.fail_after(10):
        task_id = await start(durable)
        durable.now_ms += 5 * MINUTE_MS
        await durable.door.tasks.sweep()
        durable.gate.set()
        while durable.stopped != [task_id]:
            await anyio.lowlevel.checkpoint()
    assert (await durable.records.get(task_id)).state == "failed"


async def test_owners_do_not_see_each_other(durable: Any) -> None:
    with anyio.fail_after(10):
        running = await start(durable, key="key-a")
        finished = (await send(durable, "a b", key="key-a"))["id"]
        for key in ("key-b", None):
            assert (await durable.result("ListTasks", key=key))["tasks"] == []
            for method, params, code in (
                ("GetTask", {"id": finished}, -32001),
                ("CancelTask", {"id": running}, -32001),
                ("tasks/get", {"id": finished}, -32001),
                ("tasks/get", {"taskId": finished}, -32601),
                ("tasks/cancel", {"taskId": running}, -32603),
                ("SendMessage", {"message": message("x", taskId=running)}, -32001),
            ):
                answer = (await durable.rpc(method, params, key=key)).json()
                assert (method, answer["error"]["code"]) == (method, code)
            subscribed = await durable.rpc("SubscribeToTask", {"id": running}, key=key)
            assert '"code":-32001' in subscribed.text
        mine = (await durable.result("ListTasks", key="key-a"))["tasks"]
        assert {task["id"] for task in mine} == {running, finished}


async def test_pages_cover_every_task_once(durable: Any) -> None:
    made = []
    for number in range(5):
        durable.now_ms += 1000
        made.append((await send(durable, f"a {number}"))["id"])
    seen, token, sizes = [], "", []
    while True:
        page = await durable.result("ListTasks", {"pageSize": 2, "pageToken": token})
        assert set(page) == {"tasks", "nextPageToken", "pageSize", "totalSize"}
        assert page["totalSize"] == 5
        seen += [task["id"] for task in page["tasks"]]
        sizes.append(page["pageSize"])
        token = page["nextPageToken"]
        if not token:
            break
    assert (seen, sizes) == (made[::-1], [2, 2, 1])


async def test_list_filters(durable: Any) -> None:
    first = await send(durable, "a b", contextId="c-1")
    durable.now_ms += 1000
    await durable.rpc("SendMessage", {"message": message("fail", contextId="c-2")})
    durable.now_ms += 1000
    last = await send(durable, "a b", contextId="c-1")
    for params, count in (
        ({"contextId": "c-1"}, 2),
        ({"status": "TASK_STATE_FAILED"}, 1),
        ({"status": "TASK_STATE_COMPLETED", "contextId": "c-2"}, 0),
        ({"statusTimestampAfter": last["status"]["timestamp"]}, 1),
        ({"statusTimestampAfter": first["status"]["timestamp"]}, 3),
        ({"status": "TASK_STATE_WORKING"}, 0),
    ):
        page = await durable.result("ListTasks", params)
        assert (params, page["totalSize"], len(page["tasks"])) == (params, count, count)
    page = await durable.result("ListTasks", {"includeArtifacts": True, "historyLength": 0})
    assert [bool(task.get("artifacts")) for task in page["tasks"]] == [True, False, True]
    assert all(not task["history"] for task in page["tasks"])
    assert all("artifacts" not in task for task in (await durable.result("ListTasks"))["tasks"])


async def test_a_finished_task_takes_no_follow_up_and_no_subscriber(durable: Any) -> None:
    task_id = (await send(durable, "a b"))["id"]
    again = await durable.rpc("SendMessage", {"message": message("more", taskId=task_id)})
    assert again.json()["error"]["code"] == -32004
    assert '"code":-32004' in (await durable.rpc("SubscribeToTask", {"id": task_id})).text
    assert (await durable.rpc("CancelTask", {"id": task_id})).json()["error"]["code"] == -32002


async def test_an_open_task_takes_follow_ups_by_its_id_alone(durable: Any) -> None:
    durable.use(durable.build(executor=Scripted()))
    with anyio.fail_after(10):
        async with durable.door.lifespan():
            first = await send(durable, "one")
            assert first["status"]["state"] == "TASK_STATE_WORKING"
            for number in range(2, 5):
                again = await send(durable, "more", taskId=first["id"], messageId=f"m{number}")
                assert (again["id"], again["contextId"]) == (first["id"], first["contextId"])
            for length in (1, 2):
                task = await durable.result("GetTask", {"id": first["id"], "historyLength": length})
                assert len(task["history"]) == length
            wrong = await durable.rpc(
                "SendMessage", {"message": message("x", taskId=first["id"], contextId="other")}
            )
            assert wrong.json()["error"]["code"] == -32602
            task = await durable.result("CancelTask", {"id": first["id"]})
            assert task["status"]["state"] == "TASK_STATE_CANCELED"
