"""A task and everything it causes are one tree, without the agent's help."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.omniroute_mcp.conftest import application

pytestmark = pytest.mark.anyio


async def send(
    client: httpx.AsyncClient, text: str, run: str | None = None, **message: Any
) -> dict[str, Any]:
    """The task a message made."""
    said = {"messageId": text, "role": "ROLE_USER", "parts": [{"text": text}], **message}
    params = {"message": said, "metadata": {"model": message.pop("model", "demo/echo")}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
    headers = {"X-OmniRoute-Run-Id": run} if run else {}
    answer = (await client.post("/a2a", json=body, headers=headers)).json()
    task: dict[str, Any] = answer["result"]["task"]
    return task


def shape(step: dict[str, Any]) -> Any:
    return step["kind"], step["name"], step["status"], [shape(one) for one in step["children"]]


ECHO: Any = ("model", "demo/echo", "completed", [])


async def test_a_context_is_a_run(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        first = await send(client, "one")
        context = first["contextId"]
        await send(client, "two", contextId=context)
        run = (await client.get(f"/api/runs/{context}")).json()
    assert [shape(step) for step in run["tree"]] == [
        ("task", "smart-routing", "completed", [ECHO]),
        ("task", "smart-routing", "completed", [ECHO]),
    ]
    assert run["tree"][0]["id"] == first["id"]
    assert (run["tasks"], run["modelCalls"], run["status"]) == (2, 2, "completed")


async def test_a_task_that_refers_to_another_stands_below_it(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        first = await send(client, "plan", "project-7")
        await send(client, "do it", "project-7", referenceTaskIds=[first["id"]])
        run = (await client.get("/api/runs/project-7")).json()
    assert [shape(step) for step in run["tree"]] == [
        (
            "task",
            "smart-routing",
            "completed",
            [ECHO, ("task", "smart-routing", "completed", [ECHO])],
        )
    ]


async def test_a_failed_task_says_why(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        task = await send(client, "one", model="demo/flaky-500")
        run = (await client.get(f"/api/runs/{task['contextId']}")).json()
    (step,) = run["tree"]
    assert (step["status"], run["status"]) == ("failed", "failed")
    assert "scripted failure" in step["verdict"]
