"""Whatever a caller sends or an upstream does, the answer is the specified error."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
HELLO = [{"role": "user", "content": "hello"}]

REQUESTS: dict[str, tuple[Any, int, str]] = {
    "malformed JSON": (b'{"model": ', 400, "valid JSON"),
    "not UTF-8": (b'{"model": "\xff\xfe"}', 400, "valid JSON"),
    "an array": (b"[]", 400, "object"),
    "nothing": (b"", 400, "valid JSON"),
    "no model": ({"messages": HELLO}, 400, "model"),
    "an empty model": ({"model": " ", "messages": HELLO}, 400, "model"),
    "a model that is a number": ({"model": 7, "messages": HELLO}, 400, "model"),
    "a model with path steps": ({"model": "../../etc/passwd", "messages": HELLO}, 400, "model"),
    "a model of 300 letters": ({"model": "x" * 300, "messages": HELLO}, 400, "model"),
    "no messages": ({"model": "demo/echo"}, 400, "messages"),
    "empty messages": ({"model": "demo/echo", "messages": []}, 400, "messages"),
    "messages of the wrong type": ({"model": "demo/echo", "messages": "hi"}, 400, "messages"),
    "a message that is a string": ({"model": "demo/echo", "messages": ["hi"]}, 400, "messages.0"),
    "an unknown role": (
        {"model": "demo/echo", "messages": [{"role": "king", "content": "x"}]},
        400,
        "role",
    ),
    "content of the wrong type": (
        {"model": "demo/echo", "messages": [{"role": "user", "content": 5}]},
        400,
        "content",
    ),
    "stream of the wrong type": (
        {"model": "demo/echo", "messages": HELLO, "stream": "yes"},
        400,
        "stream",
    ),
    "temperature of the wrong type": (
        {"model": "demo/echo", "messages": HELLO, "temperature": "hot"},
        400,
        "temperature",
    ),
    "an unknown provider": ({"model": "demoo/echo", "messages": HELLO}, 400, "demo"),
    "an unknown demo model": ({"model": "demo/ecko", "messages": HELLO}, 404, "echo"),
    "a provider without account": ({"model": "groq/llama", "messages": HELLO}, 400, "GROQ_API_KEY"),
}


def message_of(path: str, response: httpx.Response) -> str:
    """The error text, checked to be in the dialect of the path."""
    body = response.json()
    if path == MESSAGES:
        assert (body["type"], set(body["error"]) >= {"type", "message"}) == ("error", True)
    else:
        assert set(body["error"]) >= {"message", "type", "code"}
    text: str = body["error"]["message"]
    return text


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize(("body", "status", "told"), REQUESTS.values(), ids=REQUESTS)
def test_a_bad_request_names_its_fault(
    client: httpx.Client, path: str, body: Any, status: int, told: str
) -> None:
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    response = client.post(path, **sent)
    assert response.status_code == status
    assert told in message_of(path, response)
    assert response.headers["x-request-id"]


COUNTS: dict[str, tuple[Any, int]] = {
    "no model": ({"messages": HELLO}, 200),
    "a model nobody has": ({"model": "nobody/x", "messages": HELLO}, 200),
    "an upstream that is down": ({"model": "dead/echo", "messages": HELLO}, 200),
    "no messages": ({"model": "demo/echo"}, 400),
    "an array": ([], 400),
}


@pytest.mark.parametrize(("body", "status"), COUNTS.values(), ids=COUNTS)
def test_counting_never_fails_because_of_an_upstream(
    client: httpx.Client, body: Any, status: int
) -> None:
    response = client.post("/v1/messages/count_tokens", json=body)
    assert response.status_code == status
    if status == 200:
        assert response.json() == {"input_tokens": 5, "source": "estimated"}
    else:
        assert message_of(MESSAGES, response)


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_unknown_fields_are_no_error(client: httpx.Client, path: str) -> None:
    body = {"model": "demo/echo", "max_tokens": 9, "messages": HELLO, "frobnicate": {"a": [1]}}
    assert client.post(path, json=body).status_code == 200


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_prompt_of_300_kb_is_answered(client: httpx.Client, path: str) -> None:
    text = "word " * 60_000
    body = {
        "model": "demo/count-3",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": text}],
    }
    assert client.post(path, json=body).status_code == 200


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_the_limit_is_refused(client: httpx.Client, path: str, declared: bool) -> None:
    body = b'{"model": "demo/echo", "x": "' + b"y" * (10 * 1024 * 1024) + b'"}'
    content: Any = body if declared else iter([body])
    response = client.post(path, content=content)
    assert response.status_code == 413
    assert "MAX_BODY_SIZE_BYTES" in message_of(path, response)


UPSTREAMS: dict[str, tuple[str, int]] = {
    "down": ("dead/echo", 502),
    "failing": ("oai/flaky-503", 503),
    "asking for patience": ("oai/flaky-429-1", 429),
    "refusing its key": ("oai/flaky-401", 401),
    "without such a model": ("oai/nothing", 404),
    "lying about its dialect": ("oai/malformed", 502),
    "silent": ("oai/empty", 502),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize(("model", "status"), UPSTREAMS.values(), ids=UPSTREAMS)
def test_a_bad_upstream_is_an_honest_error(
    client: httpx.Client,
    fresh: Callable[[str], str],
    path: str,
    model: str,
    status: int,
    stream: bool,
) -> None:
    body = {"model": fresh(model), "max_tokens": 9, "messages": HELLO, "stream": stream}
    response = client.post(path, json=body)
    assert response.status_code == status
    assert message_of(path, response)


def test_a_slow_upstream_is_a_timeout(client: httpx.Client, fresh: Callable[[str], str]) -> None:
    body = {"model": fresh("ant/slow-start-5000"), "messages": HELLO, "stream": True}
    response = client.post(CHAT, json=body)
    assert (response.status_code, response.json()["error"]["type"]) == (504, "stream_timeout")


def test_unknown_paths_and_methods(client: httpx.Client) -> None:
    assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"
    wrong = client.get(CHAT)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "OPTIONS, POST")
    assert client.get("/api/nothing").json() == {"error": "There is nothing at '/api/nothing'."}
