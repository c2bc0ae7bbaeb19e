"""Push notifications: configurations in each dialect, and messages at a real receiver."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from a2a.types import Task
from standardwebhooks import Webhook
from tests.support.databases import drop_postgres_database, new_postgres_database
from tests.support.receiver import Receiver, receiver

from omniroute.clock import now_ms
from omniroute.storage.database import Database
from omniroute.storage.secret_box import SecretBox
from omniroute.storage.secrets import fresh_webhook_secret
from omniroute.upstream.gate import Gate
from omniroute.upstream.webhooks import Webhooks
from omniroute_a2a.proto import from_json
from omniroute_a2a.push_records import SqlPushRecords
from omniroute_a2a.records import SqlTaskRecords
from omniroute_a2a.run_steps import task_step

pytestmark = pytest.mark.anyio

SECRET = fresh_webhook_secret()
HOOK = "https://hooks.example/a2a"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'push.db'}"
        return
    url = new_postgres_database()
    yield url
    drop_postgres_database(url)


@pytest.fixture
async def pushing(database_url: str, tmp_path: Path, make_world: Any) -> AsyncGenerator[Any]:
    """A world that tells of changes, over a real database and through the real gate."""
    database = await Database.open(database_url, tmp_path, SecretBox(bytes(32)))
    gate = Gate(user_agent="test")
    records, push = SqlTaskRecords(database), SqlPushRecords(database)
    with anyio.fail_after(30):
        async with make_world(records, push, Webhooks(gate, SECRET)) as world:
            world.now_ms = now_ms()  # receivers refuse signatures of another day
            world.database = database
            yield world
    await gate.aclose()
    await database.close()


@pytest.fixture
async def hook() -> AsyncGenerator[Receiver]:
    """A receiver."""
    async with receiver() as made:
        yield made


def order(text: str, config: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}], **members}
    return {"message": message, **({"configuration": config} if config else {})}


async def waiting_task(world: Any, key: str | None = None) -> str:
    """A task that runs until `world.gate` opens."""
    params = order("wait", {"returnImmediately": True})
    task_id: str = (await world.result("SendMessage", params, key=key))["task"]["id"]
    await world.until_asked()
    return task_id


async def settled(world: Any, task_id: str) -> list[Any]:
    """What became of every message about a task, once none is pending."""
    while True:
        rows = list(await world.push.history(task_id))
        if rows and all(row.state != "pending" for row in rows):
            return rows
        await anyio.lowlevel.checkpoint()


def states(bodies: list[Any]) -> list[str]:
    """The states told of, as 1.0 frames."""
    return [
        (body["task"] if "task" in body else body["statusUpdate"])["status"]["state"]
        for body in bodies
    ]


async def test_every_change_is_told_in_order_and_signed(pushing: Any, hook: Receiver) -> None:
    config = {
        "url": hook.url,
        "token": "shown",
        "authentication": {"scheme": "Bearer", "credentials": "secret"},
    }
    sent = await pushing.result("SendMessage", order("a b", {"taskPushNotificationConfig": config}))
    task = sent["task"]
    await hook.until(3)
    assert states(hook.bodies) == [
        "TASK_STATE_SUBMITTED",
        "TASK_STATE_WORKING",
        "TASK_STATE_COMPLETED",
    ]
    assert hook.bodies[0]["task"]["id"] == hook.bodies[2]["statusUpdate"]["taskId"] == task["id"]
    for headers, body in hook.heard:
        assert headers["x-a2a-notification-token"] == "shown"
        assert headers["authorization"] == "Bearer secret"
        Webhook(SECRET).verify(body, headers)
    assert len({headers["webhook-id"] for headers, _ in hook.heard}) == 3
    assert [row.state for row in await settled(pushing, task["id"])] == ["delivered"] * 3


async def test_secrets_are_sealed_at_rest(pushing: Any, tmp_path: Path) -> None:
    task_id = await waiting_task(pushing)
    config = {"taskId": task_id, "url": f"{HOOK}?key=very-secret", "token": "very-secret"}
    await pushing.result("CreateTaskPushNotificationConfig", config)
    async with pushing.database.reading() as work:
        assert await work.sealed.count() != {}
    assert b"very-secret" not in b"".join(
        [await file.read_bytes() async for file in anyio.Path(tmp_path).glob("push.db*")]
    )


async def test_a_receiver_of_0_3_hears_0_3(pushing: Any, hook: Receiver) -> None:
    message = {
        "kind": "message",
        "messageId": "m",
        "role": "user",
        "parts": [{"kind": "text", "text": "a b"}],
    }
    configuration = {"pushNotificationConfig": {"url": hook.url}}
    await pushing.result("message/send", {"message": message, "configuration": configuration})
    await hook.until(3)
    told = [(body["kind"], body["status"]["state"]) for body in hook.bodies]
    assert told == [
        ("task", "submitted"),
        ("status-update", "working"),
        ("status-update", "completed"),
    ]


async def test_a_message_is_tried_four_times_and_then_given_up(
    pushing: Any, hook: Receiver
) -> None:
    hook.statuses = [500, 503, 0, 302]
    task_id = await waiting_task(pushing)
    await pushing.result(
        "CreateTaskPushNotificationConfig", {"taskId": task_id, "url": hook.url, "id": "c"}
    )
    began_ms = pushing.now_ms
    await pushing.result("CancelTask", {"id": task_id})
    (row,) = await settled(pushing, task_id)
    assert (row.state, row.attempts, row.reason) == ("given_up", 4, "The receiver answered 302.")
    assert len({headers["webhook-id"] for headers, _ in hook.heard}) == 1
    assert pushing.now_ms - began_ms == 36_000
    shown = (await pushing.http.get(f"/api/a2a/tasks/{task_id}")).json()["task"]["notifications"]
    assert [(one["configId"], one["state"], one["attempts"]) for one in shown] == [
        ("c", "given_up", 4)
    ]


async def test_a_receiver_that_comes_back_hears_everything(pushing: Any, hook: Receiver) -> None:
    hook.statuses = [500]
    config = {"taskPushNotificationConfig": {"url": hook.url}}
    await pushing.rpc("SendMessage", order("fail", config))
    await hook.until(4)
    assert states(hook.bodies) == [
        "TASK_STATE_SUBMITTED",
        "TASK_STATE_SUBMITTED",
        "TASK_STATE_WORKING",
        "TASK_STATE_FAILED",
    ]


FINAL: dict[str, tuple[bool, int, str]] = {
    "gone": (True, 410, "The receiver answered 410."),
    "a private address": (False, 200, "private and loopback addresses are not called"),
}


@pytest.mark.parametrize(("allowed", "status", "reason"), FINAL.values(), ids=FINAL)
async def test_what_will_not_change_is_not_tried_again(
    pushing: Any, hook: Receiver, allowed: bool, status: int, reason: str
) -> None:
    hook.statuses = [status]
    task_id = await waiting_task(pushing)
    await pushing.result("CreateTaskPushNotificationConfig", {"taskId": task_id, "url": hook.url})
    pushing.allow_private = allowed
    await pushing.result("CancelTask", {"id": task_id})
    (row,) = await settled(pushing, task_id)
    assert (row.state, row.attempts, reason in row.reason) == ("given_up", 1, True)


async def test_a_message_nobody_acknowledged_is_delivered_after_a_restart(
    pushing: Any, hook: Receiver
) -> None:
    """A process dies in the middle of an attempt: its lease runs out, and another one tries."""
    task_id = await waiting_task(pushing)
    await pushing.result("CreateTaskPushNotificationConfig", {"taskId": task_id, "url": hook.url})
    row = await pushing.records.get(task_id)
    step = task_step(from_json(row.data, Task()), row)
    await pushing.records.save(row, step, [], lambda _protocol: '{"n":1}', pushing.now_ms)
    (left,) = await pushing.push.due(pushing.now_ms, 9)
    assert await pushing.push.claim(left, pushing.now_ms, pushing.now_ms + 15_000)
    assert not await pushing.push.claim(left, pushing.now_ms, pushing.now_ms + 15_000)
    assert await pushing.push.due(pushing.now_ms + 14_999, 9) == ()
    pushing.now_ms += 15_000
    async with pushing.build().lifespan():
        await hook.until(2)
        rows = await settled(pushing, task_id)
    assert hook.bodies[0] == {"n": 1}
    assert [row.state for row in rows] == ["delivered", "delivered"]


async def test_configurations_in_all_three_forms(pushing: Any) -> None:
    task_id = await waiting_task(pushing, key="key-a")
    config = {"taskId": task_id, "id": "one", "url": HOOK, "token": "t"}
    assert await pushing.result("CreateTaskPushNotificationConfig", config, key="key-a") == config
    name = "tasks/pushNotificationConfig"
    pushing.now_ms += 1
    second = {"taskId": task_id, "pushNotificationConfig": {"url": HOOK}}
    made = await pushing.result(f"{name}/set", second, key="key-a")
    assert made["pushNotificationConfig"] == {"id": task_id, "url": HOOK}
    oldest = await pushing.result(f"{name}/get", {"id": task_id}, key="key-a")
    assert oldest["pushNotificationConfig"] == {"id": "one", "url": HOOK, "token": "t"}
    headers = {"Authorization": "Bearer key-a"}
    path = f"/a2a/v1/tasks/{task_id}/pushNotificationConfigs"
    third = await pushing.http.post(path, json={"id": "three", "url": HOOK}, headers=headers)
    assert third.json() == {"taskId": task_id, "id": "three", "url": HOOK}

    listed = await pushing.result(
        "ListTaskPushNotificationConfigs", {"taskId": task_id}, key="key-a"
    )
    assert {one["id"] for one in listed["configs"]} == {"one", task_id, "three"}
    old = await pushing.result(f"{name}/list", {"id": task_id}, key="key-a")
    rest = (await pushing.http.get(path, headers=headers)).json()
    assert len(old) == len(rest["configs"]) == 3
    one = {"taskId": task_id, "id": "one"}
    assert await pushing.result("GetTaskPushNotificationConfig", one, key="key-a") == config

    for method, params in (
        ("DeleteTaskPushNotificationConfig", one),
        (f"{name}/delete", {"id": task_id, "pushNotificationConfigId": task_id}),
    ):
        assert await pushing.result(method, params, key="key-a") is None
    assert (await pushing.http.delete(f"{path}/three", headers=headers)).is_success
    missing = await pushing.rpc("GetTaskPushNotificationConfig", one, key="key-a")
    assert missing.json()["error"]["code"] == -32001
    missing = await pushing.rpc(f"{name}/get", {"id": task_id}, key="key-a")
    assert missing.json()["error"]["code"] == -32001
    assert await pushing.push.of_task(task_id) == ()


async def test_nobody_else_sees_or_makes_a_configuration(pushing: Any) -> None:
    task_id = await waiting_task(pushing, key="key-a")
    config = {"taskId": task_id, "id": "one", "url": HOOK}
    await pushing.result("CreateTaskPushNotificationConfig", config, key="key-a")
    for method in (
        "CreateTaskPushNotificationConfig",
        "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs",
        "DeleteTaskPushNotificationConfig",
    ):
        refused = (await pushing.rpc(method, config, key="key-b")).json()
        assert refused["error"]["code"] == -32001


REFUSED: dict[str, dict[str, str]] = {
    "no URL": {"url": "soon"},
    "another scheme": {"url": "ftp://hooks.example/"},
    "loopback": {"url": "http://127.0.0.1:1/"},
    "loopback in disguise": {"url": "http://0x7f000001/"},
    "metadata": {"url": "http://169.254.169.254/"},
    "a header inside": {"url": HOOK, "token": "a\r\nb: c"},
    "too long": {"url": HOOK, "id": "x" * 201},
}


@pytest.mark.parametrize("config", REFUSED.values(), ids=REFUSED)
async def test_addresses_are_screened_when_they_are_set(
    pushing: Any, config: dict[str, str]
) -> None:
    pushing.allow_private = False
    sent = await pushing.rpc("SendMessage", order("a b", {"taskPushNotificationConfig": config}))
    assert sent.json()["error"]["code"] == -32602
    assert pushing.asked == []


async def test_a_task_has_at_most_twenty(pushing: Any) -> None:
    task_id = await waiting_task(pushing)
    codes = []
    for number in (*range(21), 0):
        params = {"taskId": task_id, "id": f"c{number}", "url": HOOK}
        answer = (await pushing.rpc("CreateTaskPushNotificationConfig", params)).json()
        codes.append(answer.get("error", {}).get("code"))
    assert codes == [None] * 20 + [-32602, None]


async def test_configurations_go_with_their_task(pushing: Any, hook: Receiver) -> None:
    config = {"taskPushNotificationConfig": {"url": hook.url}}
    task_id = (await pushing.result("SendMessage", order("a b", config)))["task"]["id"]
    await settled(pushing, task_id)
    await pushing.push.delete_orphans(pushing.now_ms + 1)
    assert len(await pushing.push.of_task(task_id)) == 1
    await pushing.records.delete(task_id)
    await pushing.push.delete_orphans(pushing.now_ms)
    assert len(await pushing.push.of_task(task_id)) == 1
    await pushing.push.delete_orphans(pushing.now_ms + 1)
    assert await pushing.push.of_task(task_id) == await pushing.push.history(task_id) == ()
