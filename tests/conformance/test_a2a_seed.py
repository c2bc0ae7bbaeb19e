"""The requests of OmniRoute's own A2A reference, byte for byte, against a gateway (04 §4)."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.processes import Gateway

pytestmark = pytest.mark.slow

KEY = "YOUR_KEY"
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}

SEND = """{
    "jsonrpc": "2.0",
    "id": "1",
    "method": "message/send",
    "params": {
      "skill": "smart-routing",
      "messages": [{"role": "user", "content": "Write a hello world in Python"}],
      "metadata": {"model": "auto", "combo": "fast-coding"}
    }
  }"""
STREAM = """{
    "jsonrpc": "2.0",
    "id": "1",
    "method": "message/stream",
    "params": {
      "skill": "smart-routing",
      "messages": [{"role": "user", "content": "Explain quantum computing"}]
    }
  }"""
GET = '{"jsonrpc":"2.0","id":"2","method":"tasks/get","params":{"taskId":"TASK_UUID"}}'
CANCEL = '{"jsonrpc":"2.0","id":"3","method":"tasks/cancel","params":{"taskId":"TASK_UUID"}}'


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a gateway that needs a key and has the combo of the reference."""
    environ = {"OMNIROUTE_API_KEY": KEY}
    with Gateway(tmp_path_factory.mktemp("seed"), environ=environ) as process:
        with httpx.Client(base_url=process.url, headers=HEADERS, timeout=20) as http:
            combo = {"name": "fast-coding", "models": ["demo/echo"]}
            http.post("/api/combos", json=combo).raise_for_status()
            yield http
        assert process.stop() == 0


def post(client: httpx.Client, body: str, **headers: str) -> httpx.Response:
    return client.post("/a2a", content=body, headers=headers)


def told(response: httpx.Response) -> list[Any]:
    """The notifications of a stream."""
    lines = response.text.splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def shape(value: Any) -> Any:
    """The types of a value's members."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) else type(value)


METADATA = {
    "routing_explanation": str,
    "cost_envelope": {"estimated": "number", "actual": "number", "currency": str},
    "resilience_trace": [{"event": str, "provider": str, "timestamp": str}],
    "policy_verdict": {"allowed": bool, "reason": str},
}
"""What the reference shows of `smart-routing`; more members are allowed."""


def has(value: Any, expected: Any) -> bool:
    """Whether a value has every member the reference shows, in its type."""
    if isinstance(expected, dict):
        return all(name in value and has(value[name], one) for name, one in expected.items())
    if isinstance(expected, list):
        return bool(value) and all(has(one, expected[0]) for one in value)
    if expected == "number":
        return type(value) in (int, float)
    return type(value) is expected


def test_send_and_get(client: httpx.Client) -> None:
    answer = post(client, SEND).json()
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", "1")
    result = answer["result"]
    assert set(result) == {"task", "artifacts", "metadata"}
    assert set(result["task"]) == {"id", "state"}
    assert result["task"]["state"] == "completed"
    assert result["artifacts"] == [{"type": "text", "content": "Write a hello world in Python"}]
    assert has(result["metadata"], METADATA)
    assert result["metadata"]["resilience_trace"][0]["event"] == "primary_selected"
    assert result["metadata"]["policy_verdict"]["allowed"] is True

    read = post(client, GET.replace("TASK_UUID", result["task"]["id"]))
    record = read.json()["result"]["task"]
    assert (read.status_code, read.json()["id"], record["state"]) == (200, "2", "completed")
    asked = {name: record["input"][name] for name in ("skill", "messages", "metadata")}
    assert asked == json.loads(SEND)["params"]
    assert [one["state"] for one in record["events"]] == ["submitted", "working", "completed"]

    ended = post(client, CANCEL.replace("TASK_UUID", result["task"]["id"]))
    assert (ended.status_code, ended.json()["error"]["code"]) == (500, -32603)


def test_stream(client: httpx.Client) -> None:
    response = post(client, STREAM)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache, no-transform"
    *pieces, last = told(response)
    task_id = last["params"]["task"]["id"]
    assert [(one["jsonrpc"], one["method"]) for one in (*pieces, last)] == [
        ("2.0", "message/stream")
    ] * (len(pieces) + 1)
    assert {json.dumps(one["params"]["task"]) for one in pieces} == {
        json.dumps({"id": task_id, "state": "working"})
    }
    assert {one["params"]["chunk"]["type"] for one in pieces} == {"text"}
    said = "".join(one["params"]["chunk"]["content"] for one in pieces)
    assert "quantum" in said
    assert last["params"]["task"]["state"] == "completed"
    assert has(last["params"]["metadata"], METADATA)


def test_cancel_while_it_streams(client: httpx.Client) -> None:
    slow = json.loads(STREAM)
    slow["params"]["metadata"] = {"model": "demo/slow-1500"}
    with client.stream("POST", "/a2a", json=slow) as response:
        lines = response.iter_lines()
        first = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
        task_id = first["params"]["task"]["id"]
        cancelled = post(client, CANCEL.replace("TASK_UUID", task_id))
        assert cancelled.json() == {
            "jsonrpc": "2.0",
            "id": "3",
            "result": {"task": {"id": task_id, "state": "cancelled"}},
        }
        last = [json.loads(line[6:]) for line in lines if line.startswith("data: ")][-1]
    assert last["params"]["task"] == {"id": task_id, "state": "cancelled"}


ERRORS: dict[str, tuple[str, int, int]] = {
    "broken JSON": ('{"jsonrpc":"2.0",', 200, -32700),
    "no JSON-RPC": (GET.replace('"jsonrpc":"2.0",', ""), 200, -32600),
    "unknown method": (GET.replace("tasks/get", "tasks/find"), 200, -32601),
    "unknown task": (GET, 404, -32601),
    "no task to cancel": (CANCEL, 500, -32603),
    "unknown skill": (SEND.replace("smart-routing", "dancing"), 404, -32601),
    "unknown skill, streaming": (STREAM.replace("smart-routing", "dancing"), 404, -32601),
    "no text": (SEND.replace("content", "text"), 200, -32602),
    "no text, streaming": (STREAM.replace("content", "text"), 200, -32602),
    "a route that fails": (
        SEND.replace('"auto", "combo": "fast-coding"', '"demo/flaky-503"'),
        500,
        -32603,
    ),
}


@pytest.mark.parametrize(("body", "status", "code"), ERRORS.values(), ids=ERRORS)
def test_errors(client: httpx.Client, body: str, status: int, code: int) -> None:
    response = post(client, body)
    assert response.headers["content-type"] == "application/json"
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("authorization", ["", "Bearer WRONG_KEY", KEY])
def test_without_the_key(client: httpx.Client, authorization: str) -> None:
    response = post(client, SEND, Authorization=authorization)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert (response.json()["error"]["code"], response.json()["id"]) == (-32600, None)


@pytest.mark.parametrize("authorization", [f"bearer {KEY}", f"BEARER {KEY}"])
def test_the_word_bearer_in_any_case(client: httpx.Client, authorization: str) -> None:
    assert post(client, GET, Authorization=authorization).json()["error"]["code"] == -32601


def test_switched_off(client: httpx.Client) -> None:
    client.patch("/api/settings", json={"a2aEnabled": False}).raise_for_status()
    try:
        response = post(client, SEND)
        assert (response.status_code, response.json()["id"]) == (503, "1")
        assert response.json()["error"]["code"] == -32000
        status = client.get("/api/a2a/status").json()
        assert (status["status"], status["online"]) == ("disabled", False)
        card = client.get("/.well-known/agent.json", headers={"Authorization": ""})
        assert card.status_code == 200
    finally:
        client.patch("/api/settings", json={"a2aEnabled": True}).raise_for_status()


def test_the_card_of_the_reference(client: httpx.Client) -> None:
    card = client.get("/.well-known/agent.json", headers={"Authorization": ""}).json()
    assert card["authentication"] == {"schemes": ["api-key"], "apiKeyHeader": "Authorization"}
    for skill in card["skills"]:
        assert {"id", "name", "description", "tags", "examples"} <= set(skill)
