"""The bindings a card declares do the same: what one says, the other says (04 §12, point 11)."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import httpx
import pytest
from tests.conformance.a2a_doors import KEY, door
from tests.conformance.a2a_wire import Wire, message

pytestmark = pytest.mark.slow

Call: TypeAlias = Callable[..., Any]
"""Takes a method of 1.0 and its params; returns the result, its events, or the reason it fails."""

PATHS: dict[str, tuple[str, str]] = {
    "SendMessage": ("POST", "/message:send"),
    "SendStreamingMessage": ("POST", "/message:stream"),
    "GetTask": ("GET", "/tasks/{id}"),
    "ListTasks": ("GET", "/tasks"),
    "CancelTask": ("POST", "/tasks/{id}:cancel"),
    "SubscribeToTask": ("GET", "/tasks/{id}:subscribe"),
    "CreateTaskPushNotificationConfig": ("POST", "/tasks/{taskId}/pushNotificationConfigs"),
    "GetTaskPushNotificationConfig": ("GET", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
    "ListTaskPushNotificationConfigs": ("GET", "/tasks/{taskId}/pushNotificationConfigs"),
    "DeleteTaskPushNotificationConfig": ("DELETE", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
    "GetExtendedAgentCard": ("GET", "/extendedAgentCard"),
}
"""Where a method is in the HTTP+JSON binding."""


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A door that needs a key, which the client has."""
    process, host = door(tmp_path_factory.mktemp("closed"), OMNIROUTE_API_KEY=KEY)
    made = Wire(host, KEY)
    with process, made.http:
        yield made


def events_of(response: httpx.Response) -> list[Any]:
    return [json.loads(line[6:]) for line in response.text.splitlines() if line[:5] == "data:"]


def over_json_rpc(wire: Wire, method: str, params: dict[str, Any]) -> Any:
    response = wire.rpc(method, params)
    streams = response.headers["content-type"].startswith("text/event-stream")
    answers = events_of(response) if streams else [response.json()]
    if "error" in answers[-1]:
        return answers[-1]["error"]["data"][0]["reason"]
    return [one["result"] for one in answers] if streams else answers[0]["result"]


def over_http_json(wire: Wire, method: str, params: dict[str, Any]) -> Any:
    verb, template = PATHS[method]
    named = {name: one for name, one in params.items() if f"{{{name}}}" in template}
    rest = {name: one for name, one in params.items() if name not in named}
    sent: dict[str, Any] = {"json": rest} if verb == "POST" else {"params": rest}
    response = wire.http.request(verb, wire.host + template.format(**named), **sent)
    if response.is_error:
        return response.json()["error"]["details"][0]["reason"]
    if response.headers["content-type"].startswith("text/event-stream"):
        return events_of(response)
    return response.json()


BINDINGS: dict[str, Callable[[Wire, str, dict[str, Any]], Any]] = {
    "JSON-RPC": over_json_rpc,
    "HTTP+JSON": over_http_json,
}


def alike(value: Any) -> Any:
    """The value without what differs from task to task, and without empty members."""
    if isinstance(value, list):
        return [alike(one) for one in value]
    if not isinstance(value, dict):
        return value
    own = ("id", "taskId", "contextId", "messageId", "timestamp", "signatures", "nextPageToken")
    kept = {name: alike(one) for name, one in value.items() if name not in own}
    return {name: one for name, one in kept.items() if one not in ("", [], {})}


def send_and_read(call: Call) -> Any:
    task = call("SendMessage", {"message": message()})["task"]
    return [task, call("GetTask", {"id": task["id"], "historyLength": 1})]


def complete(call: Call) -> Any:
    return call("SendMessage", {"message": message(messageId="tck-artifact-data-1")})


def answer_directly(call: Call) -> Any:
    return call("SendMessage", {"message": message(messageId="tck-message-response-1")})


def stream(call: Call) -> Any:
    chunked = message(messageId="tck-stream-artifact-chunked-1")
    return call("SendStreamingMessage", {"message": chunked})


def continue_and_cancel(call: Call) -> Any:
    task = call("SendMessage", {"message": message()})["task"]
    named = {"id": task["id"]}
    again = call("SendMessage", {"message": message("more", taskId=task["id"])})["task"]
    assert again["id"] == task["id"]
    cancelled = call("CancelTask", named)
    return [again, cancelled, call("CancelTask", named), call("SubscribeToTask", named)]


def subscribe(call: Call) -> Any:
    order = message(messageId="test-resubscribe-message-id-1")
    params = {"message": order, "configuration": {"returnImmediately": True}}
    task = call("SendMessage", params)["task"]
    return call("SubscribeToTask", {"id": task["id"]})[1:]  # the first may have begun to work


def pages(call: Call) -> Any:
    context = call("SendMessage", {"message": message()})["task"]["contextId"]
    call("SendMessage", {"message": message(contextId=context)})
    wanted = {"contextId": context, "pageSize": 1}
    first = call("ListTasks", wanted)
    last = call("ListTasks", {**wanted, "pageToken": first["nextPageToken"]})
    assert last["nextPageToken"] == ""
    return [first, last, call("ListTasks", {"contextId": "nowhere"})]


def push(call: Call) -> Any:
    task_id = call("SendMessage", {"message": message()})["task"]["id"]
    every, one = {"taskId": task_id}, {"taskId": task_id, "id": "one"}
    made = call("CreateTaskPushNotificationConfig", {**one, "url": "https://example.com/hook"})
    read = call("GetTaskPushNotificationConfig", one)
    listed = call("ListTaskPushNotificationConfigs", every)
    gone = call("DeleteTaskPushNotificationConfig", one) or None
    return [made, read, listed, gone, call("GetTaskPushNotificationConfig", one)]


def extended_card(call: Call) -> Any:
    return call("GetExtendedAgentCard", {})


def errors(call: Call) -> Any:
    return [
        call("GetTask", {"id": "nowhere"}),
        call("CancelTask", {"id": "nowhere"}),
        call("SubscribeToTask", {"id": "nowhere"}),
        call("ListTaskPushNotificationConfigs", {"taskId": "nowhere"}),
        call("ListTasks", {"pageSize": 0}),
        call("ListTasks", {"status": "DONE"}),
        call("SendMessage", {"message": message(parts=[])}),
        call("SendMessage", {"message": message(parts=[{}])}),
        call("SendMessage", {"message": message(role="boss")}),
        call("SendMessage", {"message": message(taskId="nowhere")}),
    ]


OPERATIONS: tuple[Callable[[Call], Any], ...] = (
    send_and_read,
    complete,
    answer_directly,
    stream,
    continue_and_cancel,
    subscribe,
    pages,
    push,
    extended_card,
    errors,
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.__name__)
def test_both_bindings_say_the_same(wire: Wire, operation: Callable[[Call], Any]) -> None:
    said = {name: alike(operation(partial(call, wire))) for name, call in BINDINGS.items()}
    assert said["HTTP+JSON"] == said["JSON-RPC"]


def test_the_card_declares_where_they_are(wire: Wire) -> None:
    card = wire.http.get(f"{wire.host}/.well-known/agent-card.json").json()
    assert [
        (one["protocolBinding"], one["protocolVersion"], one["url"])
        for one in card["supportedInterfaces"]
    ] == [
        ("JSONRPC", "1.0", wire.url),
        ("JSONRPC", "0.3", wire.url),
        ("HTTP+JSON", "1.0", wire.host),
    ]
