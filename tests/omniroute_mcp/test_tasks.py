"""Tasks: calls of the stateless era that go on without their callers, as they are on the wire."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.wire import MODERN, STREAM, call, key, set_setting
from tests.support.processes import Gateway

from omniroute.engine import Engine
from omniroute.storage.records.agents import McpTask
from omniroute_mcp.tasks.shelf import settle_left_behind

pytestmark = pytest.mark.anyio

ROUTE = "omniroute_route_request"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
TASKS: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
KNOWING = {CAPABILITIES: {**TASKS, "elicitation": {"form": {}}}}
REQUIRED = {"requiredCapabilities": TASKS}


def asked(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}]}


@asynccontextmanager
async def impatient(tmp_path: Path) -> AsyncGenerator[tuple[Engine, httpx.AsyncClient]]:
    """A gateway that makes a task of everything that may take long."""
    with anyio.fail_after(30):
        async with application(tmp_path) as (engine, client, _):
            await set_setting(engine, "mcpTaskAfterMs", 0)
            yield engine, client


async def rpc(
    client: httpx.AsyncClient,
    method: str,
    task_id: str,
    *,
    capabilities: dict[str, Any] = KNOWING,
    headers: dict[str, str] | None = None,
    **params: Any,
) -> dict[str, Any]:
    """The whole answer to one request about a task."""
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", **capabilities}
    body = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": method,
        "params": {"taskId": task_id, "_meta": meta, **params},
    }
    sent = {**MODERN, "mcp-method": method, "mcp-name": task_id, **(headers or {})}
    answer: dict[str, Any] = (await client.post(STREAM, json=body, headers=sent)).json()
    return answer


async def state(client: httpx.AsyncClient, task_id: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await rpc(client, "tasks/get", task_id, **more))["result"]
    return found


async def until(client: httpx.AsyncClient, task_id: str, *statuses: str) -> dict[str, Any]:
    """The task once it is in one of these states."""
    while (found := await state(client, task_id))["status"] not in statuses:
        await anyio.lowlevel.checkpoint()
    return found


async def audited(client: httpx.AsyncClient) -> list[tuple[str, Any]]:
    rows = (await client.get("/api/mcp/audit")).json()["entries"]
    return [(row["toolName"], row["errorCode"]) for row in rows]


async def test_a_long_call_is_a_task_and_its_result_stays(tmp_path: Path) -> None:
    async with impatient(tmp_path) as (_, client):
        made = await call(client, ROUTE, asked("demo/echo"), meta=KNOWING)
        done = await until(client, made["taskId"], "completed")
        rows = await audited(client)
    assert {name: made[name] for name in ("resultType", "ttlMs", "pollIntervalMs")} == {
        "resultType": "task",
        "ttlMs": 3_600_000,
        "pollIntervalMs": 1_000,
    }
    assert made.keys().isdisjoint({"result", "error", "inputRequests", "requestState"})
    assert (done["resultType"], done["taskId"]) == ("complete", made["taskId"])
    assert done["result"]["structuredContent"]["response"]["content"] == "hi"
    assert rows == [(ROUTE, None)]
    async with application(tmp_path) as (_, client, _):  # the gateway has started again
        again = await state(client, made["taskId"])
    assert again["result"] == done["result"]


NO_TASK: dict[str, tuple[str, dict[str, Any], dict[str, Any], int]] = {
    "a client that does not know tasks": (ROUTE, asked("demo/echo"), {}, 0),
    "an answer that is there in time": (ROUTE, asked("demo/echo"), KNOWING, 600_000),
    "a tool that is quick": ("omniroute_get_health", {}, KNOWING, 0),
    "arguments that do not fit": (ROUTE, {"model": 1}, KNOWING, 0),
}


@pytest.mark.parametrize(("tool", "given", "meta", "after_ms"), NO_TASK.values(), ids=NO_TASK)
async def test_no_task_is_made(
    tmp_path: Path, tool: str, given: dict[str, Any], meta: dict[str, Any], after_ms: int
) -> None:
    async with impatient(tmp_path) as (engine, client):
        await set_setting(engine, "mcpTaskAfterMs", after_ms)
        result = await call(client, tool, given, meta=meta)
    assert result["resultType"] == "complete"
    assert result.get("isError", False) is (given == {"model": 1})


async def test_cancelling_stops_the_upstream_call(tmp_path: Path) -> None:
    async with impatient(tmp_path) as (_, client):

        async def reserved() -> int:
            health = await client.get("/api/monitoring/health")
            open_now: int = health.json()["ledger"]["openReservations"]
            return open_now

        made = await call(client, ROUTE, asked("demo/slow-start-60000"), meta=KNOWING)
        while await reserved() != 1:
            await anyio.lowlevel.checkpoint()
        assert (await state(client, made["taskId"]))["status"] == "working"
        told = (await rpc(client, "tasks/cancel", made["taskId"]))["result"]
        assert told.keys() == {"resultType", "_meta"}
        await until(client, made["taskId"], "cancelled")
        assert await reserved() == 0
        assert await audited(client) == [(ROUTE, "cancelled")]
        assert "result" in await rpc(client, "tasks/cancel", made["taskId"])  # has ended: fine


async def test_what_is_unfinished_when_the_gateway_stops_has_failed(tmp_path: Path) -> None:
    async with impatient(tmp_path) as (_, client):
        made = await call(client, ROUTE, asked("demo/slow-start-60000"), meta=KNOWING)
    async with application(tmp_path) as (_, client, _):
        found = await state(client, made["taskId"])
    assert (found["status"], found["error"]["code"]) == ("failed", -32603)
    assert "the gateway was stopped" in found["statusMessage"]


async def test_what_a_dead_process_left_behind_has_failed(tmp_path: Path) -> None:
    async with impatient(tmp_path) as (engine, client):
        made = await call(client, ROUTE, asked("demo/echo"), meta=KNOWING)
        told = await until(client, made["taskId"], "completed")
        left = {name: told[name] for name in told if name not in ("result", "resultType", "_meta")}
        holder = f"{engine.tools.holder.partition(':')[0]}:1-gone"
        row = McpTask(
            id="left",
            owner="anonymous",
            holder=holder,
            data=json.dumps({**left, "taskId": "left", "status": "working"}),
            expires_at_ms=engine.now_ms() + 60_000,
        )
        async with engine.database.work() as work:
            await work.mcp_tasks.save(row)
        refused = await rpc(client, "tasks/cancel", "left")
        assert "Another process" in refused["error"]["message"]
        assert await settle_left_behind(engine) == 1
        assert (await state(client, "left"))["status"] == "failed"


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_who_may_not_ask_of_a_task(tmp_path: Path, method: str) -> None:
    answers: dict[str, Any] = {"inputResponses": {}} if method == "tasks/update" else {}
    async with impatient(tmp_path) as (engine, client):
        mine, theirs = await key(engine, "mcp"), await key(engine, "mcp")
        made = await call(client, ROUTE, asked("demo/echo"), meta=KNOWING, headers=mine)
        name = made["taskId"]
        cases: list[tuple[dict[str, Any], int]] = [
            ({"headers": theirs}, -32602),
            ({"headers": mine, "capabilities": {CAPABILITIES: {}}}, -32021),
            ({"headers": {**mine, "mcp-name": "another"}}, -32020),
        ]
        for more, code in cases:
            refused = (await rpc(client, method, name, **more, **answers))["error"]
            assert refused["code"] == code
            assert code != -32021 or refused["data"] == REQUIRED
        assert "result" in await rpc(client, method, name, headers=mine, **answers)
        unknown = await rpc(client, method, "nobody-has-this", headers=mine, **answers)
        assert unknown["error"]["code"] == -32602


AGENT = {
    "id": "careful",
    "title": "Careful",
    "description": "Asks first.",
    "model": "demo/tools",
    "systemPrompt": "Read.",
    "tools": ["file_read"],
    "approval": ["file_read"],
}
ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "a no": ({"action": "decline"}, "Error: Cancelled by user"),
    "a yes": ({"action": "accept", "content": {"confirm": True}}, ""),
}


@pytest.mark.parametrize(("answer", "text"), ANSWERS.values(), ids=ANSWERS)
async def test_a_question_in_the_middle_is_put_by_the_task(
    tmp_path: Path, answer: dict[str, Any], text: str
) -> None:
    async with impatient(tmp_path) as (engine, client):
        await set_setting(engine, "skillsEnabled", True)
        assert (await client.post("/api/agents", json=AGENT)).status_code == 201
        made = await call(
            client, "omniroute_agent_careful", {"message": "Read notes.txt"}, meta=KNOWING
        )
        waiting = await until(client, made["taskId"], "input_required")
        ((name, question),) = waiting["inputRequests"].items()
        assert question["method"] == "elicitation/create"
        wrong = await rpc(
            client, "tasks/update", made["taskId"], inputResponses={name: {"action": 7}}
        )
        assert wrong["error"]["code"] == -32602
        for responses in ({"never-asked": answer}, {name: answer}):
            assert (await state(client, made["taskId"]))["status"] == "input_required"
            told = await rpc(client, "tasks/update", made["taskId"], inputResponses=responses)
            assert told["result"].keys() == {"resultType", "_meta"}
        done = await until(client, made["taskId"], "completed", "input_required")
    if text:
        assert done["result"]["content"][0]["text"] == text


async def test_a_question_before_the_work_is_put_by_the_call(tmp_path: Path) -> None:
    repair = ("omniroute_db_health_check", {"autoRepair": True})
    async with impatient(tmp_path) as (engine, client):
        await set_setting(engine, "mcpConfirmDestructive", True)
        result = await call(client, *repair, meta=KNOWING)
    assert result["resultType"] == "input_required"
    assert "taskId" not in result


async def test_who_does_not_know_tasks_cannot_listen_to_them(tmp_path: Path) -> None:
    async with impatient(tmp_path) as (_, client):
        refused = await rpc(
            client,
            "subscriptions/listen",
            "x",
            capabilities={CAPABILITIES: {}},
            notifications={"taskIds": ["some-task"]},
        )
    assert (refused["error"]["code"], refused["error"]["data"]) == (-32021, REQUIRED)


async def test_changes_are_told_on_the_stream_of_who_listens(gateway: Gateway) -> None:
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", **KNOWING}
    with anyio.fail_after(30):
        async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
            await client.patch("/api/settings", json={"mcpTaskAfterMs": 0})
            discovered = await rpc(client, "server/discover", "x")
            assert discovered["result"]["capabilities"]["extensions"] == TASKS["extensions"]
            made = await call(client, ROUTE, asked("demo/slow-start-60000"), meta=KNOWING)
            wanted = {"taskIds": [made["taskId"], "unknown"]}
            body = {
                "jsonrpc": "2.0",
                "id": 9,
                "method": "subscriptions/listen",
                "params": {"notifications": wanted, "_meta": meta},
            }
            sent = {**MODERN, "mcp-method": "subscriptions/listen"}
            told: list[Any] = []
            async with client.stream("POST", STREAM, json=body, headers=sent) as stream:
                async for line in stream.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    event = json.loads(line[5:])
                    params = event["params"]
                    assert params["_meta"]["io.modelcontextprotocol/subscriptionId"] == 9
                    now = params.get("status", params.get("notifications"))
                    told.append((event["method"], now))
                    if now == "working":
                        await rpc(client, "tasks/cancel", made["taskId"])
                    if now == "cancelled":
                        break
    assert told == [
        ("notifications/subscriptions/acknowledged", {"taskIds": [made["taskId"]]}),
        ("notifications/tasks", "working"),
        ("notifications/tasks", "cancelled"),
    ]
