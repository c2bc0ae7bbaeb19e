"""The A2A door of a real gateway process: the SDK's client over the card, and the seed dialect."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import parse_agent_card
from a2a.types import Message, Part, Role, SendMessageRequest, TaskState
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from tests.support.processes import Gateway

from omniroute_agents import SKILLS

INTERFACES = {
    "JSON-RPC 1.0": ("JSONRPC", "1.0"),
    "JSON-RPC 0.3": ("JSONRPC", "0.3"),
    "HTTP+JSON 1.0": ("HTTP+JSON", "1.0"),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway process."""
    with Gateway(tmp_path_factory.mktemp("a2a")) as process:
        yield process
        assert process.stop() == 0


def order(text: str, **metadata: str) -> SendMessageRequest:
    message = Message(message_id="m", role=Role.ROLE_USER, parts=[Part(text=text)])
    ParseDict(metadata, message.metadata)
    return SendMessageRequest(message=message)


async def sent(
    url: str, interface: tuple[str, str], request: SendMessageRequest, *, streaming: bool
) -> list[Any]:
    """What the SDK's client hears, over one interface of the card as served."""
    async with httpx.AsyncClient() as http:
        card = parse_agent_card((await http.get(f"{url}/.well-known/agent-card.json")).json())
        kept = [
            one
            for one in card.supported_interfaces
            if (one.protocol_binding, one.protocol_version) == interface
        ]
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(kept)
        config = ClientConfig(
            streaming=streaming, httpx_client=http, supported_protocol_bindings=[interface[0]]
        )
        client = ClientFactory(config).create(card)
        return [reply async for reply in client.send_message(request)]


@pytest.mark.anyio
@pytest.mark.parametrize("interface", INTERFACES.values(), ids=INTERFACES)
async def test_smart_routing_answers_and_says_why(
    gateway: Gateway, interface: tuple[str, str]
) -> None:
    request = order("hello agents", model="demo/echo")
    with anyio.fail_after(20):
        task = (await sent(gateway.url, interface, request, streaming=False))[-1].task
    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    artifact = task.artifacts[0]
    assert artifact.parts[0].text == "hello agents"
    assert artifact.metadata["provider"] == "demo"
    assert "demo/echo on account 'Built-in demo'" in artifact.metadata["routing_explanation"]
    trace = [dict(one) for one in artifact.metadata["resilience_trace"]]
    assert [one["event"] for one in trace] == ["primary_selected"]


@pytest.mark.anyio
@pytest.mark.parametrize("interface", INTERFACES.values(), ids=INTERFACES)
async def test_streams_carry_the_models_own_pieces(
    gateway: Gateway, interface: tuple[str, str]
) -> None:
    request = order("one two three", model="demo/slow-5")
    with anyio.fail_after(20):
        heard = await sent(gateway.url, interface, request, streaming=True)
    pieces = [
        part.text
        for reply in heard
        if reply.HasField("artifact_update")
        for part in reply.artifact_update.artifact.parts
        if part.text  # the closing update carries data only
    ]
    assert pieces == ["one ", "two ", "three"]
    assert heard[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


@pytest.mark.anyio
async def test_a_combo_falls_back_and_the_task_says_so(gateway: Gateway) -> None:
    combo = {"name": "steady", "models": ["demo/flaky-500", "demo/echo"]}
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        (await client.post("/api/combos", json=combo)).raise_for_status()
    request = order("hello", combo="steady")
    task = (await sent(gateway.url, ("JSONRPC", "1.0"), request, streaming=False))[-1].task
    events = [dict(one)["event"] for one in task.artifacts[0].metadata["resilience_trace"]]
    assert events == ["fallback_needed", "fallback_selected"]


def rpc(gateway: Gateway, method: str, params: dict[str, Any]) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    return httpx.post(f"{gateway.url}/a2a", json=body, timeout=20)


def test_the_seed_dialect_sends_streams_reads_and_refuses(gateway: Gateway) -> None:
    asked = {"messages": [{"content": "hello seed"}], "metadata": {"model": "demo/echo"}}
    result = rpc(gateway, "message/send", asked).json()["result"]
    assert result["task"]["state"] == "completed"
    assert result["artifacts"] == [{"type": "text", "content": "hello seed"}]
    assert result["metadata"]["policy_verdict"]["allowed"] is True
    stored = rpc(gateway, "tasks/get", {"taskId": result["task"]["id"]}).json()["result"]["task"]
    assert (stored["skill"], stored["state"]) == ("smart-routing", "completed")
    frames = [
        json.loads(line[5:])["params"]
        for line in rpc(gateway, "message/stream", asked).text.splitlines()
        if line.startswith("data:")
    ]
    assert [one["chunk"]["content"] for one in frames[:-1]] == ["hello ", "seed"]
    assert frames[-1]["task"]["state"] == "completed"
    unknown = rpc(gateway, "message/send", {**asked, "skill": "dancing"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, -32601)


def test_every_skill_of_the_card_answers(gateway: Gateway) -> None:
    card = httpx.get(f"{gateway.url}/.well-known/agent-card.json").json()
    assert [skill["id"] for skill in card["skills"]] == list(SKILLS)
    for skill in SKILLS:
        metadata = {"model": "demo/echo"}
        params = {"skill": skill, "messages": [{"content": "hi"}], "metadata": metadata}
        assert rpc(gateway, "message/send", params).json()["result"]["artifacts"][0]["content"]


def test_a_failing_route_fails_the_task_with_its_reason(gateway: Gateway) -> None:
    params = {"messages": [{"content": "hi"}], "metadata": {"model": "demo/flaky-503"}}
    response = rpc(gateway, "message/send", params)
    assert response.json()["error"]["code"] == -32603
    assert "status 503" in response.json()["error"]["message"]


@pytest.mark.slow
def test_a_task_that_was_running_when_the_process_was_killed_is_not_lost(tmp_path: Path) -> None:
    with Gateway(tmp_path) as first:
        params = {"messages": [{"content": "hi"}], "metadata": {"model": "demo/slow-start-60000"}}

        def ask() -> None:
            try:
                rpc(first, "message/send", params)
            except httpx.HTTPError:
                return

        asking = threading.Thread(target=ask)
        asking.start()
        deadline = time.monotonic() + 10
        tasks: list[dict[str, Any]] = []
        while not tasks and time.monotonic() < deadline:
            tasks = httpx.get(f"{first.url}/api/a2a/tasks").json()["tasks"]
        first.kill()
        asking.join()
    with Gateway(tmp_path) as second:
        found = httpx.get(f"{second.url}/api/a2a/tasks/{tasks[0]['id']}").json()["task"]
    assert found["state"] == "failed"
    assert found["events"][-1]["message"]
