"""The dashboard's helpers, and the gate before the HTTP+JSON binding."""

import json
from typing import Any

import anyio
import anyio.lowlevel
import pytest

pytestmark = pytest.mark.anyio

SEND = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "a b"}]}}


async def test_status(world: Any) -> None:
    await world.result("SendMessage", SEND)
    found = (await world.http.get("/api/a2a/status")).json()
    assert [found[name] for name in ("status", "online", "enabled")] == ["ok", True, True]
    assert found["tasks"] == {
        "counts": {"submitted": 0, "working": 0, "completed": 1, "failed": 0, "cancelled": 0},
        "total": 1,
        "activeStreams": 0,
        "lastTaskAt": "2023-11-14T22:13:20.000Z",
    }
    assert (found["agent"]["name"], len(found["skills"])) == ("OmniRoute", 2)


async def test_status_when_switched_off(world: Any) -> None:
    world.enabled = False
    found = (await world.http.get("/api/a2a/status")).json()
    assert [found[name] for name in ("status", "agent", "capabilities", "skills")] == [
        "disabled",
        None,
        None,
        [],
    ]


PAGES: dict[str, tuple[str, int, int, int]] = {
    "all": ("", 3, 50, 0),
    "state": ("?state=failed", 1, 50, 0),
    "unknown state": ("?state=lost", 3, 50, 0),
    "skill": ("?skill=cost-analysis", 0, 50, 0),
    "limit too low": ("?limit=0", 3, 1, 0),
    "limit too high": ("?limit=900", 3, 200, 0),
    "not numbers": ("?limit=x&offset=y", 3, 50, 0),
    "offset below 0": ("?offset=-5", 3, 50, 0),
    "offset": ("?offset=2", 3, 50, 2),
}


@pytest.mark.parametrize(("query", "total", "limit", "offset"), PAGES.values(), ids=PAGES)
async def test_task_pages(world: Any, query: str, total: int, limit: int, offset: int) -> None:
    for key, text in (("key-a", "a b"), ("key-b", "a b"), (None, "fail")):
        await world.rpc("message/send", {"messages": [{"content": text}]}, key=key)
    page = (await world.http.get(f"/api/a2a/tasks{query}")).json()
    assert (page["total"], page["limit"], page["offset"]) == (total, limit, offset)
    assert len(page["tasks"]) == min(limit, max(total - offset, 0))


async def test_one_task(world: Any) -> None:
    task_id = (await world.result("SendMessage", SEND, key="key-a"))["task"]["id"]
    shown = (await world.http.get(f"/api/a2a/tasks/{task_id}")).json()["task"]
    assert shown == (await world.result("tasks/get", {"taskId": task_id}, key="key-a"))["task"]
    missing = await world.http.get("/api/a2a/tasks/x")
    assert (missing.status_code, missing.json()) == (404, {"error": "Task not found"})
    assert (await world.http.post("/api/a2a/tasks")).status_code == 405


async def test_an_operator_cancels_anybodys_task(world: Any) -> None:
    with anyio.fail_after(10):
        wait = {**SEND, "configuration": {"returnImmediately": True}}
        wait["message"] = {**SEND["message"], "parts": [{"text": "wait"}]}
        task_id = (await world.result("SendMessage", wait, key="key-a"))["task"]["id"]
        await world.until_asked()
        path = f"/api/a2a/tasks/{task_id}/cancel"
        assert (await world.http.post(path)).json() == {
            "task": {"id": task_id, "state": "cancelled"}
        }
        assert (await world.http.post(path)).status_code == 400
        assert (await world.http.post("/api/a2a/tasks/x/cancel")).status_code == 404


async def test_helpers_are_for_operators(world: Any) -> None:
    world.key_required = True
    for path in ("status", "tasks", "tasks/x"):
        assert (await world.http.get(f"/api/a2a/{path}")).status_code == 401


GATE: dict[str, tuple[str, str, dict[str, str], int, str]] = {
    "no version header": ("GET", "/tasks", {}, 200, ""),
    "1.0": ("GET", "/tasks", {"A2A-Version": "1.0"}, 200, ""),
    "0.3": ("GET", "/tasks", {"A2A-Version": "0.3"}, 400, "VERSION_NOT_SUPPORTED"),
    "unknown status": ("GET", "/tasks?status=DONE", {}, 400, "INVALID_PARAMS"),
    "known status": ("GET", "/tasks?status=TASK_STATE_FAILED", {}, 200, ""),
    "page size 0": ("GET", "/tasks?pageSize=0", {}, 400, "INVALID_PARAMS"),
    "unknown task": ("GET", "/tasks/x", {}, 404, "TASK_NOT_FOUND"),
    "unknown path": ("GET", "/nowhere", {}, 404, "METHOD_NOT_FOUND"),
    "unknown path below a tenant": ("GET", "/acme/nowhere", {}, 404, "METHOD_NOT_FOUND"),
    "unknown path of a task": ("POST", "/tasks/x:dance", {}, 404, "METHOD_NOT_FOUND"),
    "nothing": ("GET", "/", {}, 404, "METHOD_NOT_FOUND"),
    "unknown verb": ("PUT", "/tasks", {}, 405, "METHOD_NOT_FOUND"),
    "tenant": ("GET", "/acme/tasks/x", {}, 404, "TASK_NOT_FOUND"),
    "push": ("GET", "/tasks/x/pushNotificationConfigs", {}, 404, "TASK_NOT_FOUND"),
    "extended card": ("GET", "/extendedAgentCard", {}, 401, "INVALID_REQUEST"),
    "wrong key": ("GET", "/tasks", {"Authorization": "Bearer x"}, 401, "INVALID_REQUEST"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "headers", "status", "reason"), GATE.values(), ids=GATE)
async def test_binding(
    world: Any, method: str, path: str, headers: dict[str, str], status: int, reason: str
) -> None:
    response = await world.http.request(method, f"/a2a/v1{path}", headers=headers)
    assert response.status_code == status
    if reason:
        error = response.json()["error"]
        assert (error["code"], error["details"][0]["reason"]) == (status, reason)


@pytest.mark.parametrize("media_type", ["application/a2a+json", "application/json"])
async def test_the_binding_takes_both_media_types(world: Any, media_type: str) -> None:
    sent = await world.http.post(
        "/a2a/v1/message:send", content=json.dumps(SEND), headers={"content-type": media_type}
    )
    assert (sent.status_code, sent.headers["content-type"]) == (200, "application/a2a+json")
    read = await world.http.get(f"/a2a/v1/acme/tasks/{sent.json()['task']['id']}")
    assert read.json()["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_the_binding_subscribes_by_either_verb(world: Any, verb: str) -> None:
    wait = {"message": {**SEND["message"], "parts": [{"text": "wait"}]}}
    with anyio.fail_after(10):
        sent = await world.http.post(
            "/a2a/v1/message:send", json={**wait, "configuration": {"returnImmediately": True}}
        )
        task_id = sent.json()["task"]["id"]
        await world.until_asked()
        async with anyio.create_task_group() as group:

            async def subscribe() -> None:
                heard = await world.http.request(verb, f"/a2a/v1/tasks/{task_id}:subscribe")
                assert heard.headers["content-type"].startswith("text/event-stream")
                assert "TASK_STATE_COMPLETED" in heard.text

            group.start_soon(subscribe)
            while not world.door.handler.active_streams:
                await anyio.lowlevel.checkpoint()
            world.gate.set()


async def test_the_binding_has_the_same_limit_for_bodies(world: Any) -> None:
    for path in ("message:send", "message:stream"):
        response = await world.http.post(f"/a2a/v1/{path}", content=b" " * (4 * 1024 * 1024 + 1))
        error = response.json()["error"]
        assert (response.status_code, error["message"]) == (400, "The body is over 4 MiB.")


async def test_the_binding_when_switched_off(world: Any) -> None:
    world.enabled = False
    response = await world.http.post("/a2a/v1/message:send", json=SEND)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (503, 503, "UNAVAILABLE")
