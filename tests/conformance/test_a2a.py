"""What the public A2A test kit demands, with raw HTTP against the server it is pointed at."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any, Self

import pytest
from tests.conformance.a2a_doors import KEY, door
from tests.conformance.a2a_wire import Wire, message

pytestmark = pytest.mark.slow

GET = {"jsonrpc": "2.0", "id": "req-1", "method": "GetTask", "params": {"id": "nowhere"}}


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A door that is open to everybody on this machine."""
    process, host = door(tmp_path_factory.mktemp("open"))
    made = Wire(host)
    with process, made.http:
        yield made


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A door that needs a key, which the client has."""
    process, host = door(tmp_path_factory.mktemp("closed"), OMNIROUTE_API_KEY=KEY)
    made = Wire(host, KEY)
    with process, made.http:
        yield made


# 1: the endpoint is also the base of the card


def test_the_card_is_below_the_endpoint(wire: Wire) -> None:
    found = wire.http.get(f"{wire.url}/.well-known/agent-card.json")
    assert found.status_code == 200
    assert found.json()["supportedInterfaces"][0]["url"] == wire.url


# 2: errors


ENVELOPES: dict[str, tuple[Any, int, Any]] = {
    "wrong version": ({**GET, "jsonrpc": "1.0"}, -32600, "req-1"),
    "no method": ({"jsonrpc": "2.0", "id": "req-1", "params": {}}, -32600, "req-1"),
    "an object for an id": ({**GET, "id": {"a": 1}}, -32600, None),
    "unknown method": ({**GET, "method": "invalid/method"}, -32601, "req-1"),
    "params a string": ({**GET, "params": "x"}, -32602, "req-1"),
    "params an array": ({**GET, "params": ["x"]}, -32602, "req-1"),
}


@pytest.mark.parametrize(("body", "code", "echoed"), ENVELOPES.values(), ids=ENVELOPES)
def test_envelopes(wire: Wire, body: Any, code: int, echoed: Any) -> None:
    response = wire.post(body)
    answer = response.json()
    assert (response.status_code, answer["error"]["code"], answer["id"]) == (200, code, echoed)


def test_broken_json(wire: Wire) -> None:
    response = wire.http.post(wire.url, content=b'{"jsonrpc": "2.0", "method": "GetTask", "id": {')
    answer = response.json()
    assert (response.status_code, answer["error"]["code"], answer["id"]) == (200, -32700, None)


def without(name: str) -> dict[str, Any]:
    """Params of a message that lacks a member."""
    return {"message": {key: one for key, one in message().items() if key != name}}


def having(**members: Any) -> dict[str, Any]:
    """Params of a message with other members."""
    return {"message": message(**members)}


BAD_PARAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "no message": ("SendMessage", {}),
    "message null": ("SendMessage", {"message": None}),
    "message a string": ("SendMessage", {"message": "hello"}),
    "message an array": ("SendMessage", {"message": []}),
    "no messageId": ("SendMessage", without("messageId")),
    "no role": ("SendMessage", without("role")),
    "no parts": ("SendMessage", without("parts")),
    "empty messageId": ("SendMessage", having(messageId="")),
    "empty parts": ("SendMessage", having(parts=[])),
    "messageId null": ("SendMessage", having(messageId=None)),
    "role null": ("SendMessage", having(role=None)),
    "parts null": ("SendMessage", having(parts=None)),
    "messageId a number": ("SendMessage", having(messageId=5)),
    "role unknown": ("SendMessage", having(role="boss")),
    "parts a string": ("SendMessage", having(parts="hello")),
    "a part a string": ("SendMessage", having(parts=["hello"])),
    "a text a number": ("SendMessage", having(parts=[{"text": 5}])),
    "a part of nothing": ("SendMessage", having(parts=[{}])),
    "a part of two": ("SendMessage", having(parts=[{"text": "a", "url": "https://a.example"}])),
    "configuration a string": ("SendMessage", {"message": message(), "configuration": "x"}),
    "no id": ("GetTask", {}),
    "empty id": ("GetTask", {"id": ""}),
    "id null": ("GetTask", {"id": None}),
    "id a number": ("GetTask", {"id": 5}),
    "historyLength negative": ("GetTask", {"id": "nowhere", "historyLength": -1}),
    "historyLength a word": ("GetTask", {"id": "nowhere", "historyLength": "many"}),
    "cancel without id": ("CancelTask", {}),
    "0.3, kind unknown": (
        "message/send",
        {"message": {**message(), "role": "user", "parts": [{"kind": "x", "text": "a"}]}},
    ),
}


@pytest.mark.parametrize(("method", "params"), BAD_PARAMS.values(), ids=BAD_PARAMS)
def test_bad_params(wire: Wire, method: str, params: dict[str, Any]) -> None:
    assert wire.code(method, params) == -32602


# 3 and 4: tasks that work on


def test_unknown_tasks(wire: Wire) -> None:
    for method in ("GetTask", "CancelTask", "tasks/get", "tasks/cancel"):
        assert wire.code(method, {"id": "nowhere"}) == -32001
    assert wire.code("SendMessage", having(taskId="nowhere")) == -32001


def test_a_task_works_when_polled_is_continued_by_its_id_and_cancelled_once(wire: Wire) -> None:
    task = wire.send()
    assert wire.until(task["id"], "WORKING")["contextId"] == task["contextId"]
    for number in range(3):
        again = wire.send(f"more {number}", taskId=task["id"])
        assert (again["id"], again["contextId"]) == (task["id"], task["contextId"])
    for length in (0, 1, 2):
        read = wire.result("GetTask", {"id": task["id"], "historyLength": length})
        assert len(read.get("history", [])) == length
    assert wire.until(task["id"], "WORKING")
    assert wire.result("CancelTask", {"id": task["id"]})["status"]["state"] == "TASK_STATE_CANCELED"
    assert wire.code("CancelTask", {"id": task["id"]}) == -32002


def test_who_subscribes_sees_the_end(wire: Wire) -> None:
    params = having(messageId="test-resubscribe-message-id-1")
    params["configuration"] = {"returnImmediately": True}
    task = wire.result("SendMessage", params)["task"]
    results = [event["result"] for event in wire.events("SubscribeToTask", {"id": task["id"]})]
    assert results[0]["task"]["id"] == task["id"]
    assert results[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


# 5: lists


def test_a_list_has_four_members_and_counts_what_is_in_it(wire: Wire) -> None:
    context = wire.send()["contextId"]
    for _ in range(2):
        wire.send(contextId=context)
    page = wire.result("ListTasks", {"contextId": context, "pageSize": 2})
    assert (len(page["tasks"]), page["pageSize"], page["totalSize"]) == (2, 2, 3)
    assert all("artifacts" not in task for task in page["tasks"])
    rest = {"contextId": context, "pageSize": 2, "pageToken": page["nextPageToken"]}
    last = wire.result("ListTasks", rest)
    assert (len(last["tasks"]), last["pageSize"], last["nextPageToken"]) == (1, 1, "")
    assert len({task["id"] for task in page["tasks"] + last["tasks"]}) == 3
    empty = wire.result("ListTasks", {"contextId": "nowhere"})
    assert empty == {"tasks": [], "nextPageToken": "", "pageSize": 0, "totalSize": 0}
    working = {"contextId": context, "status": "TASK_STATE_WORKING"}
    assert wire.result("ListTasks", working)["totalSize"] == 3


BAD_LISTS: dict[str, dict[str, Any]] = {
    "page size 0": {"pageSize": 0},
    "page size negative": {"pageSize": -1},
    "page size over 100": {"pageSize": 101},
    "token": {"pageToken": "nonsense"},
    "status": {"status": "DONE"},
    "timestamp": {"statusTimestampAfter": "yesterday"},
    "historyLength": {"historyLength": -1},
}


@pytest.mark.parametrize("params", BAD_LISTS.values(), ids=BAD_LISTS)
def test_bad_lists(wire: Wire, params: dict[str, Any]) -> None:
    assert wire.code("ListTasks", params) == -32602


# 6: streams


def test_a_stream_begins_with_the_task(wire: Wire) -> None:
    events = wire.events("SendStreamingMessage", {"message": message()})
    assert {event["id"] for event in events} == {"req-1"}
    assert list(events[0]["result"]) == ["task"]
    assert events[-1]["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_WORKING"


def test_subscribing_to_nothing_is_one_error_event(wire: Wire) -> None:
    (event,) = wire.events("SubscribeToTask", {"id": "nowhere"})
    assert (event["error"]["code"], event["id"]) == (-32001, "req-1")


def test_subscribing_to_what_has_ended_is_one_error_event(wire: Wire) -> None:
    task = wire.send(messageId="tck-complete-task-1")
    (event,) = wire.events("SubscribeToTask", {"id": task["id"]})
    assert event["error"]["code"] == -32004


# 7: push notifications


class Hook:
    """A receiver on loopback."""

    def __init__(self) -> None:
        heard = self.heard = Queue[tuple[str | None, Any]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.end_headers()
                heard.put((self.headers["x-a2a-notification-token"], body))

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


SPELLINGS: dict[str, tuple[str, Any]] = {
    "1.0": ("CreateTaskPushNotificationConfig", lambda task, config: {"taskId": task, **config}),
    "1.0, as the proto spells": (
        "CreateTaskPushNotificationConfig",
        lambda task, config: {"task_id": task, **config},
    ),
    "0.3": (
        "tasks/pushNotificationConfig/set",
        lambda task, config: {"taskId": task, "pushNotificationConfig": config},
    ),
}


@pytest.mark.parametrize(("method", "spelled"), SPELLINGS.values(), ids=SPELLINGS)
def test_push_configurations_come_and_go(wire: Wire, method: str, spelled: Any) -> None:
    task_id = wire.send()["id"]
    every, one = {"taskId": task_id}, {"taskId": task_id, "id": "one"}
    old = {"id": task_id, "pushNotificationConfigId": "one"}
    assert wire.result("ListTaskPushNotificationConfigs", every).get("configs", []) == []
    assert wire.result("tasks/pushNotificationConfig/list", {"id": task_id}) == []
    config = {"id": "one", "url": "https://example.com/webhook"}
    wire.result(method, spelled(task_id, config))
    assert wire.result("GetTaskPushNotificationConfig", one)["url"] == config["url"]
    assert wire.result("tasks/pushNotificationConfig/get", old)["pushNotificationConfig"] == config
    (listed,) = wire.result("ListTaskPushNotificationConfigs", every)["configs"]
    assert listed["id"] == "one"
    assert wire.result("DeleteTaskPushNotificationConfig", one) is None
    assert wire.code("GetTaskPushNotificationConfig", one) == -32001
    assert wire.code(method, spelled("nowhere", config)) == -32001


@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage"])
def test_changes_are_told_to_a_webhook(wire: Wire, method: str) -> None:
    with Hook() as hook:
        config = {"taskPushNotificationConfig": {"url": hook.url, "token": "t"}}
        params = having(messageId="tck-complete-task-2")
        assert wire.rpc(method, {**params, "configuration": config}).status_code == 200
        heard = [hook.heard.get(timeout=20) for _ in range(2)]
    assert [token for token, _ in heard] == ["t", "t"]
    assert [list(body) for _, body in heard] == [["task"], ["statusUpdate"]]


# 8: authentication


PROTECTED: dict[str, Any] = {
    "SendMessage": {"message": message()},
    "SendStreamingMessage": {"message": message()},
    **{method: {"id": "nowhere"} for method in ("GetTask", "CancelTask", "SubscribeToTask")},
    "ListTasks": {},
    "GetExtendedAgentCard": {},
}


@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {KEY}", KEY])
@pytest.mark.parametrize("method", PROTECTED)
def test_every_method_needs_the_key(closed: Wire, method: str, header: str | None) -> None:
    headers = {"Authorization": header or ""}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": PROTECTED[method]}
    response = closed.http.post(closed.url, json=body, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


def test_with_the_key_everything_works(closed: Wire) -> None:
    assert closed.send()["status"]["state"] == "TASK_STATE_WORKING"
    assert closed.result("GetExtendedAgentCard")["name"] == "OmniRoute"


def test_the_extended_card_needs_a_key_on_an_open_door(wire: Wire) -> None:
    assert wire.rpc("GetExtendedAgentCard").status_code == 401


def test_the_card_declares_its_scheme_under_one_name(closed: Wire) -> None:
    card = closed.http.get(f"{closed.url}/.well-known/agent-card.json").json()
    assert [len(scheme) for scheme in card["securitySchemes"].values()] == [1]
    (required,) = card["securityRequirements"]
    assert set(required["schemes"]) <= set(card["securitySchemes"])


# 9: the card


MANDATORY: dict[str, type] = {
    "name": str,
    "description": str,
    "version": str,
    "url": str,
    "protocolVersion": str,
    "preferredTransport": str,
    "supportedInterfaces": list,
    "capabilities": dict,
    "defaultInputModes": list,
    "defaultOutputModes": list,
    "skills": list,
    "provider": dict,
}


def test_the_card_has_what_is_mandatory_and_no_secret(closed: Wire) -> None:
    answer = closed.http.get(f"{closed.url}/.well-known/agent-card.json")
    card = answer.json()
    assert {name: type(card.get(name)) for name in MANDATORY} == MANDATORY
    for skill in card["skills"]:
        assert all(skill[name] for name in ("id", "name", "description", "tags"))
    assert all(type(one) is bool for one in card["capabilities"].values())
    for secret in (KEY, "127.0.0.1", "password", "api_key", "apiKey", "sk-", "token"):
        assert secret not in answer.text


# 10: many, large, odd


@pytest.mark.parametrize("workers", [1, 10], ids=["rapid", "parallel"])
def test_ten_sends(wire: Wire, workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        tasks = list(pool.map(wire.send, [f"number {number}" for number in range(10)]))
    assert len({task["id"] for task in tasks}) == 10
    with ThreadPoolExecutor(workers) as pool:
        read = list(pool.map(lambda task: wire.result("GetTask", {"id": task["id"]}), tasks))
    assert [task["id"] for task in read] == [task["id"] for task in tasks]


ODD: dict[str, dict[str, Any]] = {
    "large": {"text": "0123456789" * 20_000},
    "unicode": {"text": "héllo 世界 🌍 \u202e ‏עברית \x00"},
    "empty arrays": {"extensions": [], "referenceTaskIds": [], "metadata": {}},
    "unknown members": {"colour": "blue", "parts": [{"text": "a", "colour": "blue"}]},
    "many kinds of parts": {
        "parts": [
            {"text": "a"},
            {"raw": "AQI=", "mediaType": "image/png", "filename": "a.png"},
            {"url": "https://example.com/a.pdf", "mediaType": "application/pdf"},
            {"data": {"deep": [{"er": None}]}},
        ]
    },
}


@pytest.mark.parametrize("members", ODD.values(), ids=ODD)
def test_odd_messages_come_back_as_they_were(wire: Wire, members: dict[str, Any]) -> None:
    task = wire.send(**members)
    (kept,) = wire.result("GetTask", {"id": task["id"]})["history"]
    if "text" in members:
        assert kept["parts"] == [{"text": members["text"]}]
    if members.get("parts", [{}])[0] == {"text": "a"}:
        assert kept["parts"] == members["parts"]


def test_duplicate_ids_are_requests_of_their_own(wire: Wire) -> None:
    answers = [wire.rpc("SendMessage", {"message": message()}, id=7).json() for _ in range(2)]
    assert [answer["id"] for answer in answers] == [7, 7]
    assert len({answer["result"]["task"]["id"] for answer in answers}) == 2


def test_four_updates_of_one_task(wire: Wire) -> None:
    task_id = wire.send("part 0")["id"]
    for number in range(1, 4):
        assert wire.send(f"part {number}", taskId=task_id)["id"] == task_id
    history = wire.result("GetTask", {"id": task_id})["history"]
    assert [turn["parts"][0]["text"] for turn in history] == [f"part {n}" for n in range(4)]
