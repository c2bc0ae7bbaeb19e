"""Streams while they run: partial reads, cancellation, hang-ups, heartbeats, and no leftovers."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette

pytestmark = pytest.mark.anyio

Serve = Callable[[], AbstractAsyncContextManager[str]]

WAIT = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "message/stream",
    "params": {"messages": [{"content": "wait"}]},
}


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await anyio.lowlevel.checkpoint()


async def test_a_running_task_shows_what_it_has_said_so_far(world: Any) -> None:
    with anyio.fail_after(10):
        sent = await world.result(
            "SendMessage",
            {
                "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "wait"}]},
                "configuration": {"returnImmediately": True},
            },
        )
        task_id = sent["task"]["id"]
        await world.until_asked()
        while "artifacts" not in (task := await world.result("GetTask", {"id": task_id})):
            await anyio.lowlevel.checkpoint()
        assert task["artifacts"][0]["parts"] == [{"text": "first "}]
        assert world.records.writes == 2  # submitted and working; pieces stay in memory
        world.gate.set()
        while task["status"]["state"] != "TASK_STATE_COMPLETED":
            task = await world.result("GetTask", {"id": task_id})
        assert task["artifacts"][0]["parts"] == [{"text": "first second"}]
        assert world.records.writes == 3


@pytest.mark.parametrize(
    ("method", "params", "state"),
    [
        ("tasks/cancel", {"taskId": "{id}"}, ["cancelled"]),
        ("tasks/cancel", {"id": "{id}"}, ["canceled"]),
        ("CancelTask", {"id": "{id}"}, ["TASK_STATE_CANCELED"]),
    ],
)
async def test_one_task_through_all_dialects(
    world: Any, method: str, params: dict[str, str], state: list[str]
) -> None:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(world.rpc, "message/stream", WAIT["params"])
            task_id = (await world.until_asked()).task_id
            seed = await world.result("tasks/get", {"taskId": task_id})
            v03 = await world.result("tasks/get", {"id": task_id})
            v10 = await world.result("GetTask", {"id": task_id})
            assert (seed["task"]["state"], v03["status"]["state"], v10["status"]["state"]) == (
                "working",
                "working",
                "TASK_STATE_WORKING",
            )
            answer = await world.result(
                method, {name: value.format(id=task_id) for name, value in params.items()}
            )
            found = answer["task"] if "task" in answer else answer["status"]
            assert [found["state"]] == state
        assert world.stopped == [task_id]
        assert (await world.result("tasks/get", {"id": task_id}))["status"]["state"] == "canceled"
        assert (await world.result("tasks/get", {"taskId": task_id}))["task"][
            "state"
        ] == "cancelled"


async def test_a_seed_client_that_hangs_up_ends_its_task(world: Any, serve: Serve) -> None:
    with anyio.fail_after(10):
        async with serve() as url, httpx.AsyncClient() as http:
            async with http.stream("POST", f"{url}/a2a", json=WAIT) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: "):
                        assert json.loads(line[6:])["params"]["chunk"]["content"] == "first "
                        break
                assert world.door.handler.active_streams == 1
            task_id = (await world.until_asked()).task_id
            await until(lambda: world.records.rows[task_id].finished)
            await until(lambda: world.door.handler.active_streams == 0)
        assert world.stopped == [task_id]
        record = (await world.result("tasks/get", {"taskId": task_id}))["task"]
        assert (record["state"], record["artifacts"]) == (
            "failed",
            [{"type": "error", "content": "The client closed the stream."}],
        )


async def test_an_official_client_that_hangs_up_may_come_back(world: Any, serve: Serve) -> None:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "wait"}]}
    body = {**WAIT, "method": "SendStreamingMessage", "params": {"message": message}}
    with anyio.fail_after(10):
        async with serve() as url, httpx.AsyncClient() as http:
            async with http.stream("POST", f"{url}/a2a", json=body) as response:
                async for line in response.aiter_lines():
                    if "artifactUpdate" in line:
                        break
            task_id = (await world.until_asked()).task_id
            await until(lambda: world.door.handler.active_streams == 0)
            assert not world.records.rows[task_id].finished
            world.gate.set()
            await until(lambda: world.records.rows[task_id].finished)
        assert world.records.rows[task_id].state == "completed"


async def test_a_quiet_stream_has_a_heartbeat(world: Any) -> None:
    door = world.build(heartbeat_s=0.001)
    with anyio.fail_after(10):
        async with door.lifespan():
            app = Starlette(routes=door.routes)
            sent: list[bytes] = []

            async def receive() -> dict[str, Any]:
                if sent:
                    await anyio.sleep_forever()
                sent.append(b"")
                return {"type": "http.request", "body": json.dumps(WAIT).encode()}

            async def send(message: Any) -> None:
                sent.append(message.get("body", b""))
                if message.get("body", b"").startswith(b": heartbeat 20"):
                    world.gate.set()

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/a2a",
                "query_string": b"",
                "headers": [],
            }
            await app(scope, receive, send)
    assert any(body.startswith(b": heartbeat 20") for body in sent)
    assert b'"state":"completed"' in b"".join(sent)


async def test_a_stream_may_finish_while_the_server_shuts_down(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AppStatus, "should_exit", True)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:

            async def read() -> None:
                response = await world.rpc("message/stream", WAIT["params"])
                assert '"state":"completed"' in response.text

            group.start_soon(read)
            await world.until_asked()
            world.gate.set()


async def test_many_requests_at_once(world: Any) -> None:
    results: list[Any] = []

    async def send(number: int) -> None:
        params = {"messages": [{"content": f"a {number} \u00e9\u4e16"}]}
        results.append(await world.result("message/send", params))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(send, number)
    assert len({result["task"]["id"] for result in results}) == 10
    texts = sorted(result["artifacts"][0]["content"] for result in results)
    assert texts == [f"a{number}\u00e9\u4e16" for number in range(10)]


async def test_no_task_is_left_on_the_loop(world: Any) -> None:
    door = world.build()
    app = Starlette(routes=door.routes)
    before = asyncio.all_tasks()
    with anyio.fail_after(10):
        async with (
            door.lifespan(),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://gateway.test"
            ) as http,
        ):
            for content in ("a b", "fail", "crash"):
                params = {"messages": [{"content": content}]}
                await http.post("/a2a", json={**WAIT, "params": params})
                await http.post("/a2a", json={**WAIT, "method": "message/send", "params": params})
            body = {**WAIT, "method": "SendMessage", "params": {
                "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "wait"}]},
                "configuration": {"returnImmediately": True},
            }}  # fmt: skip
            task_id = (await http.post("/a2a", json=body)).json()["result"]["task"]["id"]
            await until(lambda: world.asked[-1].task_id == task_id)
        await until(lambda: not leftovers(before))
    assert world.records.rows[task_id].state == "failed"
    assert world.stopped == [task_id]


def leftovers(before: set[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """New tasks but for the one watcher sse-starlette keeps per loop."""
    return [
        task
        for task in asyncio.all_tasks() - before
        if "_shutdown_watcher" not in repr(task.get_coro())
    ]
