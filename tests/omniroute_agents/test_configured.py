"""Agents made by configuration: an A2A skill and an MCP tool without a line of code."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp_types import CallToolResult, TextContent
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.test_confirmation import Person
from tests.omniroute_mcp.wire import call, set_setting

from omniroute.chat import Message, Text
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute_agents.transcripts import Transcripts
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.door import parts

pytestmark = pytest.mark.anyio

SCRIBE = {
    "id": "scribe",
    "title": "Scribe",
    "description": "Writes down what it is told.",
    "model": "demo/tools",
    "systemPrompt": "Write everything down.",
    "tools": ["file_write"],
    "examples": ["Write this down."],
}
TOOL = "omniroute_agent_scribe"


@asynccontextmanager
async def gateway(
    tmp_path: Path, **changes: Any
) -> AsyncIterator[tuple[Engine, httpx.AsyncClient]]:
    """A gateway with the agent, and skills switched on."""
    async with application(tmp_path) as (engine, client, _):
        await set_setting(engine, "skillsEnabled", True)
        made = await client.post("/api/agents", json={**SCRIBE, **changes})
        assert made.status_code == 201, made.text
        assert made.json()["mcpTool"] == TOOL
        yield engine, client


async def send(
    client: httpx.AsyncClient, text: str, task: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The task a message to the agent makes or goes on with."""
    message: dict[str, Any] = {"messageId": text, "role": "ROLE_USER", "parts": [{"text": text}]}
    if task is not None:
        message["taskId"] = task["id"]
    params = {"message": message, "metadata": {"skill": "scribe"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
    answer = (await client.post("/a2a", json=body)).json()
    found: dict[str, Any] = answer["result"]["task"]
    return found


def shape(step: dict[str, Any]) -> Any:
    return step["kind"], step["name"], step["status"], [shape(one) for one in step["children"]]


LOOP: Any = [
    ("model", "demo/tools", "completed", []),
    ("skill", "file_write", "completed", []),
    ("model", "demo/tools", "completed", []),
]


async def test_an_agent_is_a_skill_whose_steps_are_one_tree(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (_, client):
        card = (await client.get("/.well-known/agent-card.json")).json()
        task = await send(client, "hello")
        run = (await client.get(f"/api/runs/{task['contextId']}")).json()
    assert [one["name"] for one in card["skills"] if one["id"] == "scribe"] == ["Scribe"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    facts = task["artifacts"][0]["metadata"]
    assert (facts["agent"], facts["model_calls"], facts["tool_calls"]) == (
        "scribe",
        2,
        ["file_write"],
    )
    assert [shape(step) for step in run["tree"]] == [("task", "scribe", "completed", LOOP)]


async def test_an_agent_is_a_tool(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (_, client):
        listed = (await client.get("/api/mcp/tools")).json()["tools"]
        meta = {"omniroute/runId": "noted"}
        result = await call(client, TOOL, {"message": "hello"}, meta=meta)
        run = (await client.get("/api/runs/noted")).json()
    (shown,) = [one for one in listed if one["name"] == TOOL]
    assert shown["scopes"] == ["execute:completions", "execute:skills"]
    assert result["structuredContent"]["metadata"]["tool_calls"] == ["file_write"]
    assert [shape(step) for step in run["tree"]] == [("tool", TOOL, "completed", LOOP)]


async def test_a_tool_that_needs_a_yes_waits_for_it(tmp_path: Path) -> None:
    async with gateway(tmp_path, approval=["file_write"]) as (_, client):
        asked = await send(client, "hello")
        assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert "wants to run file_write(" in asked["status"]["message"]["parts"][0]["text"]
        done = await send(client, "yes", asked)
        assert done["status"]["state"] == "TASK_STATE_COMPLETED"
        assert done["artifacts"][-1]["metadata"]["tool_calls"] == ["file_write"]
        run = (await client.get(f"/api/runs/{asked['contextId']}")).json()
        assert run["modelCalls"] == 2, "nothing is asked twice"
        refused = await send(client, "no", await send(client, "hello again"))
        assert refused["status"]["state"] == "TASK_STATE_CANCELED"


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_over_mcp_the_person_at_the_client_is_asked(
    tmp_path: Path, era: str, action: Any
) -> None:
    person = Person(action, {"confirm": True} if action == "accept" else None)
    async with gateway(tmp_path, approval=["file_write"]) as (engine, _):
        server = parts(engine, Callers(Policy(), over_stdio=True), dict).server()
        with anyio.fail_after(20):
            async with Client(server, mode=era, elicitation_callback=person) as client:
                result: CallToolResult = await client.call_tool(TOOL, {"message": "hello"})
    assert len(person.asked) == 1
    if action == "accept":
        assert result.structured_content["metadata"]["tool_calls"] == ["file_write"]
    else:
        assert isinstance(result.content[0], TextContent)
        assert (result.is_error, result.content[0].text) == (True, "Error: Cancelled by user")


async def test_a_client_that_cannot_be_asked_is_told_what_to_do(tmp_path: Path) -> None:
    async with gateway(tmp_path, approval=["file_write"]) as (_, client):
        result = await call(client, TOOL, {"message": "hello"})
    assert result["isError"]
    assert "elicitation" in result["content"][0]["text"]


async def test_the_last_model_call_has_to_answer(tmp_path: Path) -> None:
    async with gateway(tmp_path, maxSteps=1) as (_, client):
        task = await send(client, "hello")
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["artifacts"][0]["metadata"]["tool_calls"] == []


async def test_a_tool_that_fails_is_told_to_the_model(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (engine, client):
        await set_setting(engine, "skillsEnabled", False)
        task = await send(client, "hello")
    said = "".join(part.get("text", "") for part in task["artifacts"][0]["parts"])
    assert "skillsEnabled" in said


async def test_the_routing_skill_takes_tools_by_metadata(tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient, **metadata: Any) -> dict[str, Any]:
        said = {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}
        params = {"message": said, "metadata": {"model": "demo/tools", **metadata}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
        found: dict[str, Any] = (await client.post("/a2a", json=body)).json()["result"]["task"]
        return found

    async with gateway(tmp_path) as (_, client):
        done = await ask(client, tools=["file_write"])
        asked = await ask(client, tools=["file_write"], approval=["file_write"])
        unknown = await ask(client, tools=["file_writ"])
    facts = done["artifacts"][0]["metadata"]
    assert (facts["tool_calls"], facts["model_calls"], facts["provider"]) == (
        ["file_write"],
        2,
        "demo",
    )
    assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert unknown["status"]["state"] == "TASK_STATE_FAILED"
    assert "Did you mean 'file_write'" in unknown["status"]["message"]["parts"][0]["text"]


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "an id of the gateway's own": ({"id": "smart-routing"}, 409, "the gateway's own"),
    "an id that is taken": ({}, 409, "already"),
    "an id with capitals": ({"id": "Scribe"}, 400, "id"),
    "a tool nobody has": ({"id": "b", "tools": ["file_writ"]}, 400, "Did you mean 'file_write'?"),
    "approval of a tool it lacks": ({"id": "b", "approval": ["x"]}, 400, "not among its tools"),
    "a provider nobody knows": ({"id": "b", "model": "opnai/gpt"}, 400, "model"),
    "no steps": ({"id": "b", "maxSteps": 0}, 400, "maxSteps"),
}


@pytest.mark.parametrize(("changes", "status", "text"), REFUSED.values(), ids=REFUSED)
async def test_what_makes_no_sense_is_refused(
    tmp_path: Path, changes: dict[str, Any], status: int, text: str
) -> None:
    async with gateway(tmp_path) as (_, client):
        refused = await client.post("/api/agents", json={**SCRIBE, **changes})
    assert refused.status_code == status, refused.text
    assert text in refused.text


async def test_agents_are_changed_and_deleted(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (_, client):
        off = await client.patch("/api/agents/scribe", json={"enabled": False})
        assert (off.status_code, off.json()["enabled"]) == (200, False)
        gone = await call(client, TOOL, {"message": "hello"})
        assert gone["content"][0]["text"] == f"Unknown tool: {TOOL}"
        listed = (await client.get("/api/agents")).json()["agents"]
        assert [one["id"] for one in listed] == ["scribe"]
        assert (await client.delete("/api/agents/scribe")).status_code == 200
        assert (await client.get("/api/agents/scribe")).status_code == 404
        audit = (await client.get("/api/compliance/audit-log")).json()
    done = {entry["action"] for entry in audit}
    assert {"agent.created", "agent.updated", "agent.deleted"} <= done


KEY = b"k" * 32


def test_a_conversation_is_opened_by_whom_it_was_made_for() -> None:
    turns = [Message("user", (Text("hi"),))]
    sealed = Transcripts(KEY).sealed(turns, "scribe/me")
    assert Transcripts(KEY).opened(sealed, "scribe/me") == turns


FORGED = {
    "another caller's": (KEY, "scribe/you", ""),
    "another agent's": (KEY, "other/me", ""),
    "another key's": (b"x" * 32, "scribe/me", ""),
    "changed": (KEY, "scribe/me", "AAAA"),
}


@pytest.mark.parametrize(("key", "bound", "more"), FORGED.values(), ids=FORGED)
def test_a_conversation_that_was_not_given_is_refused(key: bytes, bound: str, more: str) -> None:
    sealed = Transcripts(KEY).sealed([Message("user", (Text("hi"),))], "scribe/me")
    with pytest.raises(ValidationFailed):
        Transcripts(KEY).opened("no conversation", bound)
    with pytest.raises(ValidationFailed):
        Transcripts(key).opened(sealed + more, bound)
