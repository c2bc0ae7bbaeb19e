"""What the newer edition of the A2A test kit demands, by the scripts it names in message ids."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.conformance.a2a_doors import TIMEOUT_S, door
from tests.conformance.a2a_wire import Wire, message

from omniroute_a2a.parts import is_taken

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A door that is open to everybody on this machine."""
    process, host = door(tmp_path_factory.mktemp("open"))
    made = Wire(host)
    with process, made.http:
        yield made


def order(script: str, text: str = "hello", **members: Any) -> dict[str, Any]:
    return {"message": message(text, messageId=f"tck-{script}-1", **members)}


ENDINGS: dict[str, tuple[str, list[Any]]] = {
    "complete-task": ("COMPLETED", []),
    "artifact-text": ("COMPLETED", [{"text": "Generated text content"}]),
    "artifact-file": (
        "COMPLETED",
        [
            {
                "raw": "R2VuZXJhdGVkIGZpbGUgY29udGVudA==",
                "filename": "output.txt",
                "mediaType": "text/plain",
            }
        ],
    ),
    "artifact-file-url": (
        "COMPLETED",
        [
            {
                "url": "https://example.com/output.txt",
                "filename": "output.txt",
                "mediaType": "text/plain",
            }
        ],
    ),
    "artifact-data": ("COMPLETED", [{"data": {"key": "value", "count": 42}}]),
    "input-required": ("INPUT_REQUIRED", []),
    "reject-task": ("REJECTED", []),
}


@pytest.mark.parametrize("script", ENDINGS)
def test_how_tasks_end(wire: Wire, script: str) -> None:
    state, parts = ENDINGS[script]
    sent = wire.result("SendMessage", order(script))["task"]
    read = wire.result("GetTask", {"id": sent["id"]})
    for task in (sent, read):
        assert task["status"]["state"] == f"TASK_STATE_{state}"
        assert [part for one in task.get("artifacts", []) for part in one["parts"]] == parts


def test_an_answer_may_be_a_message(wire: Wire) -> None:
    result = wire.result("SendMessage", order("message-response"))
    assert set(result) == {"message"}
    assert result["message"]["parts"] == [{"text": "Direct message response"}]
    assert result["message"]["role"] == "ROLE_AGENT"
    assert result["message"]["contextId"]


def test_sending_waits_unless_told_otherwise(wire: Wire) -> None:
    began = time.monotonic()
    waited = wire.result("SendMessage", order("delayed-complete"))["task"]
    assert waited["status"]["state"] == "TASK_STATE_COMPLETED"
    assert time.monotonic() - began >= TIMEOUT_S
    at_once = {**order("delayed-complete"), "configuration": {"returnImmediately": True}}
    task = wire.result("SendMessage", at_once)["task"]
    assert task["status"]["state"] in ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING")
    assert wire.until(task["id"], "COMPLETED")


@pytest.mark.parametrize("script", ["complete-task", "reject-task"])
def test_what_has_ended_takes_no_message(wire: Wire, script: str) -> None:
    task = wire.result("SendMessage", order(script))["task"]
    assert wire.code("SendMessage", order(script, taskId=task["id"])) == -32004
    assert wire.code("CancelTask", {"id": task["id"]}) == -32002


def test_what_waits_is_cancelled_or_goes_on(wire: Wire) -> None:
    first, second = (wire.result("SendMessage", order("input-required"))["task"] for _ in range(2))
    cancelled = wire.result("CancelTask", {"id": first["id"]})
    assert cancelled["status"]["state"] == "TASK_STATE_CANCELED"
    told = wire.result("SendMessage", order("complete-task", taskId=second["id"]))["task"]
    assert (told["id"], told["status"]["state"]) == (second["id"], "TASK_STATE_COMPLETED")
    assert told["contextId"] == second["contextId"]


def test_contexts_are_kept_and_never_mixed(wire: Wire) -> None:
    named = wire.result("SendMessage", order("input-required", contextId="tck-context"))["task"]
    assert named["contextId"] == "tck-context"
    mixed = order("complete-task", taskId=named["id"], contextId="tck-other")
    assert wire.code("SendMessage", mixed) == -32602
    other = wire.result("SendMessage", order("complete-task", contextId="tck-context"))["task"]
    assert other["id"] != named["id"]


@pytest.mark.parametrize("length", [0, 1])
def test_history_is_as_long_as_asked(wire: Wire, length: int) -> None:
    asked = {**order("complete-task"), "configuration": {"historyLength": length}}
    task = wire.result("SendMessage", asked)["task"]
    read = wire.result("GetTask", {"id": task["id"], "historyLength": length})
    assert len(task.get("history", [])) == len(read.get("history", [])) == length


STREAMS: dict[str, list[str]] = {
    "stream-001": ["task", "WORKING", "Stream hello from TCK", "COMPLETED"],
    "stream-002": ["task", "COMPLETED"],
    "stream-003": ["task", "WORKING", "Stream task lifecycle", "COMPLETED"],
    "stream-ordering-001": ["task", "WORKING", "Ordered output", "COMPLETED"],
    "stream-artifact-text": ["task", "WORKING", "Streamed text content", "COMPLETED"],
    "stream-artifact-file": ["task", "WORKING", "output.txt", "COMPLETED"],
    "stream-artifact-chunked": ["task", "WORKING", "chunk-1 ", "chunk-2", "COMPLETED"],
    "message-response": ["message"],
}


def summed_up(result: dict[str, Any]) -> str:
    """A frame in a word."""
    if "statusUpdate" in result:
        state: str = result["statusUpdate"]["status"]["state"]
        return state.removeprefix("TASK_STATE_")
    if "artifactUpdate" in result:
        (part,) = result["artifactUpdate"]["artifact"]["parts"]
        return str(part.get("filename") or part["text"])
    return next(iter(result))


@pytest.mark.parametrize("script", STREAMS)
def test_streams_are_in_order_and_end(wire: Wire, script: str) -> None:
    events = wire.events("SendStreamingMessage", order(script))
    assert [summed_up(event["result"]) for event in events] == STREAMS[script]


def test_every_subscriber_sees_the_same(wire: Wire) -> None:
    params = {"message": message(messageId="test-resubscribe-message-id-9")}
    params["configuration"] = {"returnImmediately": True}
    task_id = wire.result("SendMessage", params)["task"]["id"]
    together = threading.Barrier(3)

    def subscribed(_: int) -> list[str]:
        together.wait(10)
        return [summed_up(one["result"]) for one in wire.events("SubscribeToTask", {"id": task_id})]

    with ThreadPoolExecutor(3) as pool:
        seen = list(pool.map(subscribed, range(3)))
    assert [one[0] for one in seen] == ["task"] * 3
    assert [one[-1] for one in seen] == ["COMPLETED"] * 3


def test_a_media_type_nobody_takes_is_refused(wire: Wire) -> None:
    parts = [{"raw": "dGNr", "mediaType": "application/x-unsupported-tck-type"}]
    assert wire.code("SendMessage", {"message": message(parts=parts)}) == -32005
    (event,) = wire.events("SendStreamingMessage", {"message": message(parts=parts)})
    assert event["error"]["code"] == -32005
    rest = wire.http.post(f"{wire.host}/message:send", json={"message": message(parts=parts)})
    details = rest.json()["error"]["details"]
    assert (rest.status_code, details[0]["reason"]) == (400, "CONTENT_TYPE_NOT_SUPPORTED")


MEDIA_TYPES = {
    "": True,
    "text/markdown; charset=utf-8": True,
    "IMAGE/PNG": True,
    "application/pdf": True,
    "application/ld+json": True,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": True,
    "application/x-own": False,
    "model/stl": False,
    "nonsense": False,
}


def test_media_types() -> None:
    assert {name: is_taken(name) for name in MEDIA_TYPES} == MEDIA_TYPES


VERSIONS: dict[str, tuple[str, int | None]] = {
    "the one of the method": ("1.0", None),
    "with a patch": ("1.0.3", None),
    "of a method of another": ("0.3", -32009),
    "that there is not": ("99.0", -32009),
    "nonsense": ("latest", -32009),
}


@pytest.mark.parametrize(("version", "code"), VERSIONS.values(), ids=VERSIONS)
def test_versions(wire: Wire, version: str, code: int | None) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}
    answer = wire.http.post(wire.url, json=body, headers={"A2A-Version": version}).json()
    assert answer.get("error", {}).get("code") == code
