"""The order of checks and HTTP statuses of 04 §2 and the strictness of §6.4, over HTTP."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

GET = {"jsonrpc": "2.0", "id": 7, "method": "GetTask", "params": {"id": "x"}}

STRICT: dict[str, tuple[Any, int | None, Any]] = {
    "jsonrpc missing": ({"id": 7, "method": "GetTask"}, -32600, 7),
    "jsonrpc 1.0": ({**GET, "jsonrpc": "1.0"}, -32600, 7),
    "jsonrpc a number": ({**GET, "jsonrpc": 2.0}, -32600, 7),
    "method missing": ({"jsonrpc": "2.0", "id": "a"}, -32600, "a"),
    "method empty": ({**GET, "method": ""}, -32600, 7),
    "method a number": ({**GET, "method": 5}, -32600, 7),
    "id a bool": ({**GET, "id": True}, -32600, None),
    "id a float": ({**GET, "id": 1.0}, -32600, None),
    "id an object": ({**GET, "id": {}}, -32600, None),
    "id null is a request": ({**GET, "id": None}, -32001, None),
    "id a string": ({**GET, "id": "x"}, -32001, "x"),
    "params an array": ({**GET, "params": []}, -32602, 7),
    "params a string": ({**GET, "params": "x"}, -32602, 7),
    "params null": ({**GET, "params": None}, -32602, 7),
    "params with names of our own parameters": (
        {**GET, "params": {"id": "x", "call": 1, "self": 2}},
        -32001,
        7,
    ),
    "unknown members": ({**GET, "extra": 1}, -32001, 7),
    "a batch": ([GET, GET], -32600, None),
    "a string": ("hello", -32600, None),
    "unknown method": ({**GET, "method": "nope"}, -32601, 7),
    "unknown method with an array": ({**GET, "method": "nope", "params": []}, -32601, 7),
}


@pytest.mark.parametrize(("body", "code", "echoed"), STRICT.values(), ids=STRICT)
async def test_envelope(world: Any, body: Any, code: int, echoed: Any) -> None:
    response = await world.http.post("/a2a", json=body)
    answer = response.json()
    assert (response.status_code, answer["error"]["code"], answer["id"]) == (200, code, echoed)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 5000])
async def test_broken_json(world: Any, raw: bytes) -> None:
    response = await world.http.post("/a2a", content=raw)
    assert response.status_code == 200
    assert response.json() == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32700, "message": "Parse error"},
    }


async def test_a_body_over_4_mib(world: Any) -> None:
    response = await world.http.post("/a2a", content=b" " * (4 * 1024 * 1024 + 1))
    assert (response.status_code, response.json()["error"]["code"]) == (200, -32600)


MESSAGE = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "a b"}]}


@pytest.mark.parametrize(
    ("method", "params", "runs"),
    [("SendMessage", {"message": MESSAGE}, 1), ("SendStreamingMessage", {"message": MESSAGE}, 0)],
)
async def test_a_notification_is_answered_with_nothing(
    world: Any, method: str, params: Any, runs: int
) -> None:
    body = {"jsonrpc": "2.0", "method": method, "params": params}
    response = await world.http.post("/a2a", json=body)
    assert (response.status_code, response.content, len(world.asked)) == (204, b"", runs)


async def test_a_failing_notification_is_answered_with_nothing(world: Any) -> None:
    response = await world.http.post(
        "/a2a", json={"jsonrpc": "2.0", "method": "GetTask", "params": {"id": "x"}}
    )
    assert (response.status_code, response.content) == (204, b"")


SEED_STATUSES: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "no text": ("message/send", {"messages": [{"role": "user"}]}, 200, -32602),
    "unknown skill": ("message/send", {"skill": "x", "messages": [{"content": "a"}]}, 404, -32601),
    "failing skill": ("message/send", {"messages": [{"content": "fail"}]}, 500, -32603),
    "streaming": ("message/stream", {"skillId": "x", "message": {"content": ""}}, 404, -32601),
    "no text, stream": ("message/stream", {"messages": []}, 200, -32602),
    "empty task id": ("tasks/get", {"taskId": ""}, 200, -32602),
    "unknown task": ("tasks/get", {"taskId": "x"}, 404, -32601),
    "cancel unknown": ("tasks/cancel", {"taskId": "x"}, 500, -32603),
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "params", "status", "code"), SEED_STATUSES.values(), ids=SEED_STATUSES
)
async def test_seed_statuses(world: Any, method: str, params: Any, status: int, code: int) -> None:
    response = await world.rpc(method, params)
    assert response.headers["content-type"] == "application/json"
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


OFFICIAL: dict[str, tuple[str, dict[str, Any], int]] = {
    "0.3 unknown task": ("tasks/get", {"id": "x"}, -32001),
    "0.3 cancel unknown": ("tasks/cancel", {"id": "x"}, -32001),
    "0.3 no id": ("tasks/get", {}, -32602),
    "0.3 number for a string": ("tasks/get", {"id": 5}, -32602),
    "0.3 string for a number": ("tasks/get", {"id": "x", "historyLength": "5"}, -32602),
    "0.3 unknown role": (
        "message/send",
        {"message": {"messageId": "m", "role": "boss", "parts": []}},
        -32602,
    ),
    "0.3 unknown skill": (
        "message/send",
        {
            "message": {
                "kind": "message",
                "messageId": "m",
                "role": "user",
                "parts": [{"kind": "text", "text": "a"}],
                "metadata": {"skill": "x"},
            }
        },
        -32602,
    ),
    "0.3 push": (
        "tasks/pushNotificationConfig/set",
        {"taskId": "x", "pushNotificationConfig": {"url": "https://a.example"}},
        -32001,
    ),
    "1.0 unknown task": ("GetTask", {"id": "x"}, -32001),
    "1.0 cancel unknown": ("CancelTask", {"id": "x"}, -32001),
    "1.0 no message": ("SendMessage", {}, -32602),
    "1.0 no parts": ("SendMessage", {"message": {**MESSAGE, "parts": []}}, -32602),
    "1.0 a part without content": (
        "SendMessage",
        {"message": {**MESSAGE, "parts": [{"text": "a"}, {"mediaType": "text/plain"}]}},
        -32602,
    ),
    "1.0 a file no model takes": (
        "SendMessage",
        {"message": {**MESSAGE, "parts": [{"raw": "AQI=", "mediaType": "application/x-own"}]}},
        -32005,
    ),
    "0.3 a file no model takes": (
        "message/send",
        {
            "message": {
                "kind": "message",
                "messageId": "m",
                "role": "user",
                "parts": [
                    {"kind": "file", "file": {"bytes": "AQI=", "mimeType": "application/x-own"}}
                ],
            }
        },
        -32005,
    ),
    "1.0 unknown role": ("SendMessage", {"message": {**MESSAGE, "role": "BOSS"}}, -32602),
    "1.0 unknown role beside an unknown member": (
        "SendMessage",
        {"zzz": 1, "message": {"aaa": 1, **MESSAGE, "role": "BOSS"}},
        -32602,
    ),
    "1.0 null message id": ("SendMessage", {"message": {**MESSAGE, "messageId": None}}, -32602),
    "1.0 unknown skill": ("SendMessage", {"message": MESSAGE, "metadata": {"skill": "x"}}, -32602),
    "1.0 skill of a wrong type": (
        "SendMessage",
        {"message": MESSAGE, "metadata": {"skill": 5}},
        -32602,
    ),
    "1.0 unknown task to continue": (
        "SendMessage",
        {"message": {**MESSAGE, "taskId": "x"}},
        -32001,
    ),
    "1.0 negative history": ("GetTask", {"id": "x", "historyLength": -1}, -32602),
    "1.0 page size 0": ("ListTasks", {"pageSize": 0}, -32602),
    "1.0 page size 101": ("ListTasks", {"pageSize": 101}, -32602),
    "1.0 negative page size": ("ListTasks", {"pageSize": -1}, -32602),
    "1.0 bad token": ("ListTasks", {"pageToken": "%%%"}, -32602),
    "1.0 unknown status": ("ListTasks", {"status": "DONE"}, -32602),
    "1.0 bad timestamp": ("ListTasks", {"statusTimestampAfter": "yesterday"}, -32602),
    "1.0 push": ("CreateTaskPushNotificationConfig", {"taskId": "x", "url": "u"}, -32001),
    "1.0 push list": ("ListTaskPushNotificationConfigs", {"taskId": "x"}, -32001),
}


@pytest.mark.parametrize(("method", "params", "code"), OFFICIAL.values(), ids=OFFICIAL)
async def test_official_errors(world: Any, method: str, params: Any, code: int) -> None:
    response = await world.rpc(method, params)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (200, code)
    assert ("data" in error) == method[0].isupper()


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("SubscribeToTask", {"id": "x"}, -32001),
        ("SendStreamingMessage", {}, -32602),
        ("tasks/resubscribe", {"id": "x"}, -32001),
        ("message/stream", {}, -32602),
    ],
)
async def test_streaming_errors_come_as_one_event(
    world: Any, method: str, params: Any, code: int
) -> None:
    response = await world.rpc(method, params)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text.count("data: ") == 1
    assert f'"code":{code}' in response.text


async def test_a_crash_says_nothing_of_itself(world: Any) -> None:
    response = await world.rpc("message/send", {"messages": [{"content": "crash"}]})
    assert response.json()["error"] == {"code": -32603, "message": "Internal error"}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_without_a_key_where_one_is_required(world: Any, headers: Any) -> None:
    world.key_required = True
    response = await world.http.post("/a2a", content=b"{", headers=headers)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert (response.json()["error"]["code"], response.json()["id"]) == (-32600, None)


@pytest.mark.parametrize(
    ("body", "status", "code", "echoed"),
    [
        (GET, 503, -32000, 7),
        ({**GET, "method": "nope"}, 503, -32000, 7),
        ({"jsonrpc": "2.0", "method": "GetTask"}, 503, -32000, None),
        ({**GET, "jsonrpc": "1.0"}, 200, -32600, 7),
    ],
)
async def test_switched_off(world: Any, body: Any, status: int, code: int, echoed: Any) -> None:
    world.enabled = False
    response = await world.http.post("/a2a", json=body)
    answer = response.json()
    assert (response.status_code, answer["error"]["code"], answer["id"]) == (status, code, echoed)


@pytest.mark.parametrize(
    ("version", "method", "code"),
    [
        ("1.0", "GetTask", -32001),
        ("0.3", "GetTask", -32009),
        ("0.3", "tasks/get", -32001),
        ("1.0", "tasks/get", -32603),
        ("9", "tasks/get", -32009),
    ],
)
async def test_version_header(world: Any, version: str, method: str, code: int) -> None:
    response = await world.http.post(
        "/a2a", json={**GET, "method": method}, headers={"A2A-Version": version}
    )
    assert response.json()["error"]["code"] == code


async def test_options_is_open_to_all(world: Any) -> None:
    world.key_required = True
    response = await world.http.options("/a2a")
    assert (response.status_code, response.headers["allow"]) == (204, "POST, OPTIONS")
    assert response.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert "A2A-Version" in response.headers["access-control-allow-headers"]


async def test_get_is_not_a_method_of_the_door(world: Any) -> None:
    assert (await world.http.get("/a2a")).status_code == 405
