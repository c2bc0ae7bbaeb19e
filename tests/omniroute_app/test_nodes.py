"""Custom upstreams as an operator keeps them: tried first, with headers and models of their own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx
import pytest

MODELS = {"object": "list", "data": [{"id": "tiny"}, {"id": "big"}]}
REPLY = {
    "id": "c1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
}


class _Recorder(BaseHTTPRequestHandler):
    """A small OpenAI-compatible server that remembers what it was sent."""

    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self._answer(MODELS)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(REPLY)

    def _answer(self, body: dict[str, Any]) -> None:
        self.seen.append((self.path, {name.lower(): v for name, v in self.headers.items()}))
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def recorder() -> Iterator[str]:
    """Where the server listens."""
    _Recorder.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Recorder) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def asked(client: httpx.Client, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    return client.post("/v1/chat/completions", json=body)


def test_a_node_from_its_first_try_to_its_end(client: httpx.Client, recorder: str) -> None:
    node = {
        "name": "Recorder",
        "prefix": "rec",
        "apiType": "chat",
        "baseUrl": f"{recorder}/v9",
        "chatPath": "/talk",
        "headers": {"X-Team": "blue", "X-Api-Token": "hush"},
    }
    check = {"baseUrl": node["baseUrl"], "apiKey": "k1", "headers": node["headers"]}
    verdict = client.post("/api/provider-nodes/validate", json=check).raise_for_status().json()
    assert verdict["valid"] is True
    assert _Recorder.seen[-1][0] == "/v9/models"

    made = client.post("/api/provider-nodes", json=node).raise_for_status().json()["node"]
    assert made["headers"]["x-team"] == "blue"
    assert "hush" not in json.dumps(made)
    account = {"provider": "rec", "name": "main", "apiKey": "k1"}
    connection = client.post("/api/providers", json=account).raise_for_status().json()["connection"]

    path = f"/api/providers/{connection['id']}/models"
    found = client.get(path, params={"refresh": "true"}).raise_for_status().json()
    assert [model["id"] for model in found["models"]] == ["tiny", "big"]
    listed = [model["id"] for model in client.get("/v1/models").json()["data"]]
    assert {"rec/tiny", "rec/big"} <= {*listed}

    assert asked(client, "rec/tiny").json()["choices"][0]["message"]["content"] == "Hi"
    where, headers = _Recorder.seen[-1]
    assert where == "/v9/talk"
    assert headers["authorization"] == "Bearer k1"
    assert (headers["x-team"], headers["x-api-token"]) == ("blue", "hush")

    # What is masked comes back masked, and means: as it was.
    changed = {**node, "name": "Renamed", "headers": {**made["headers"], "x-team": "red"}}
    put = client.put(f"/api/provider-nodes/{made['id']}", json=changed)
    assert put.status_code == 200, put.text
    assert asked(client, "rec/tiny").status_code == 200
    headers = _Recorder.seen[-1][1]
    assert (headers["x-team"], headers["x-api-token"]) == ("red", "hush")

    client.delete(f"/api/provider-nodes/{made['id']}").raise_for_status()
    assert asked(client, "rec/tiny").status_code == 400
    assert client.get(path).status_code == 404


def test_a_node_that_answers_nothing_is_told_so(client: httpx.Client) -> None:
    check = {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "k"}
    verdict = client.post("/api/provider-nodes/validate", json=check).raise_for_status().json()
    assert verdict["valid"] is False
    assert verdict["error"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a prefix that is taken": ({"prefix": "openai"}, "openai"),
    "a prefix with a slash": ({"prefix": "a/b"}, "prefix"),
    "a header of ours": ({"headers": {"Host": "x"}}, "host"),
    "a header with a line break": ({"headers": {"X-A": "a\r\nb: c"}}, "header"),
    "a path without a slash": ({"chatPath": "talk"}, "chatPath"),
    "an address that is none": ({"baseUrl": "ftp://x"}, "baseUrl"),
}


@pytest.mark.parametrize(("more", "told"), REFUSED.values(), ids=REFUSED)
def test_what_a_node_cannot_be(client: httpx.Client, more: dict[str, Any], told: str) -> None:
    node = {"name": "N", "prefix": "fresh-node", "apiType": "chat", "baseUrl": "http://x.test/v1"}
    response = client.post("/api/provider-nodes", json={**node, **more})
    assert response.status_code in (400, 409)
    assert told.lower() in response.text.lower()
