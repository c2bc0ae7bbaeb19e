"""The A2A door of a real gateway process: the SDK's client over the card, and the seed dialect."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any, Self

import anyio
import httpx
import pytest
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import parse_agent_card
from a2a.types import Message, Part, Role, SendMessageRequest, TaskState
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from tests.support.processes import Gateway, free_port

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


def later(gateway: Gateway, text: str, hook: str = "", **members: Any) -> dict[str, Any]:
    """A task that nobody waits for, and whose changes are told to a receiver."""
    message = {
        "messageId": text,
        "role": "ROLE_USER",
        "parts": [{"text": text}],
        **members,
    }
    configuration: dict[str, Any] = {"returnImmediately": True}
    if hook:
        configuration["taskPushNotificationConfig"] = {"url": hook}
    params = {"message": message, "configuration": configuration}
    task: dict[str, Any] = rpc(gateway, "SendMessage", params).json()["result"]["task"]
    return task


def until(gateway: Gateway, task_id: str, *states: str) -> dict[str, Any]:
    """The task, once it is in one of these states."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        task: dict[str, Any] = rpc(gateway, "GetTask", {"id": task_id}).json()["result"]
        if task["status"]["state"].removeprefix("TASK_STATE_") in states:
            return task
    raise AssertionError(f"the task did not become {states}: {task['status']}")


@pytest.mark.slow
def test_no_task_vanishes_when_the_process_is_killed(tmp_path: Path) -> None:
    """One has ended, one runs, one waits for an answer, and one's end is still to be told."""
    port = free_port()
    hook = f"http://127.0.0.1:{port}/hook"
    with Gateway(tmp_path) as first:
        httpx.patch(
            f"{first.url}/api/settings", json={"a2aAllowPrivateWebhooks": True}
        ).raise_for_status()
        account = {"provider": "openai", "name": "a", "apiKey": "sk-test"}
        httpx.post(f"{first.url}/api/providers", json=account).raise_for_status()
        ended = later(first, "hi", metadata={"model": "demo/echo"})["id"]
        until(first, ended, "COMPLETED")
        running = later(first, "hi", hook, metadata={"model": "demo/slow-start-60000"})["id"]
        until(first, running, "WORKING")
        tight = {"model": "openai/gpt-4o", "budget": 0.000001}
        waiting = later(first, "one two " * 9_000, metadata=tight)["id"]
        asked = until(first, waiting, "INPUT_REQUIRED")
        assert "higher metadata.budget" in asked["status"]["message"]["parts"][0]["text"]
        first.kill()
    told: Queue[bytes] = Queue()
    with Receiver(port, told), Gateway(tmp_path) as second:
        assert until(second, ended, "COMPLETED")["artifacts"][0]["parts"] == [{"text": "hi"}]
        failed = until(second, running, "FAILED")
        assert "restarted" in failed["status"]["message"]["parts"][0]["text"]
        later(second, "more", taskId=waiting, metadata={"model": "demo/echo", "budget": 1})
        done = until(second, waiting, "COMPLETED")
        assert done["artifacts"][0]["parts"][0]["text"].startswith("one two one two")
        frames = [json.loads(told.get(timeout=20)) for _ in range(3)]
    states = [frame.get("task", frame.get("statusUpdate"))["status"]["state"] for frame in frames]
    # Nobody was there to hear the first two while the first process lived.
    assert states == ["TASK_STATE_SUBMITTED", "TASK_STATE_WORKING", "TASK_STATE_FAILED"]


class Receiver:
    """A receiver of push notifications on a port."""

    def __init__(self, port: int, told: Queue[bytes]) -> None:
        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.put(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Hook)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class SilentUpstream:
    """Takes a chat request, says nothing, and knows when its caller hung up."""

    def __init__(self) -> None:
        self.asked, self.left = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(30)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(30)
            while connection.recv(65_536):
                self.asked.set()
            self.left.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()


def test_cancelling_a_task_hangs_up_on_its_upstream(gateway: Gateway) -> None:
    with SilentUpstream() as upstream, httpx.Client(base_url=gateway.url) as client:
        node = {
            "type": "openai-compatible",
            "name": "Silent",
            "prefix": "silent",
            "baseUrl": upstream.url,
            "apiType": "chat",
        }
        made = client.post("/api/provider-nodes", json=node).raise_for_status().json()["node"]
        account = {"provider": made["id"], "name": "a", "apiKey": "sk-test"}
        client.post("/api/providers", json=account).raise_for_status()
        task_id = later(gateway, "hi", metadata={"model": "silent/m"})["id"]
        assert upstream.asked.wait(20)
        cancelled = rpc(gateway, "CancelTask", {"id": task_id}).json()["result"]
        assert cancelled["status"]["state"] == "TASK_STATE_CANCELED"
        assert upstream.left.wait(20)
