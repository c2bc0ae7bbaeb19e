"""Raw A2A requests, as the test kit sends them: no SDK between it and the wire."""

import json
import time
from typing import Any
from uuid import uuid4

import httpx

LIMIT_S = 20


def message(text: str = "hello", **members: Any) -> dict[str, Any]:
    """A message of 1.0."""
    return {"messageId": str(uuid4()), "role": "ROLE_USER", "parts": [{"text": text}], **members}


class Wire:
    """A client of one door. `url` is what the kit is given: endpoint and base of the card."""

    def __init__(self, host: str, key: str | None = None) -> None:
        self.host, self.url = host, f"{host}/a2a"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(headers=headers, timeout=LIMIT_S)

    def post(self, body: Any) -> httpx.Response:
        """Any body, as JSON."""
        return self.http.post(self.url, json=body)

    def rpc(self, method: str, params: Any = None, **members: Any) -> httpx.Response:
        """One request."""
        body = {"jsonrpc": "2.0", "id": "req-1", "method": method, "params": params or {}}
        return self.post({**body, **members})

    def result(self, method: str, params: Any = None) -> Any:
        """The result of a request that succeeds."""
        answer = self.rpc(method, params).json()
        assert "result" in answer, answer
        return answer["result"]

    def code(self, method: str, params: Any = None) -> int:
        """The code of a request that fails, over HTTP 200 and with its id."""
        response = self.rpc(method, params)
        answer = response.json()
        assert (response.status_code, answer["id"]) == (200, "req-1")
        code: int = answer["error"]["code"]
        return code

    def events(self, method: str, params: Any = None) -> list[Any]:
        """The JSON-RPC responses of a stream."""
        response = self.rpc(method, params)
        assert response.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in response.text.splitlines() if line[:5] == "data:"]

    def send(self, text: str = "hello", **members: Any) -> Any:
        """The task of a fresh message."""
        return self.result("SendMessage", {"message": message(text, **members)})["task"]

    def until(self, task_id: str, state: str) -> Any:
        """The task, once it is in a state."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            task = self.result("GetTask", {"id": task_id})
            if task["status"]["state"] == f"TASK_STATE_{state}":
                return task
        raise AssertionError(f"the task did not become {state}")
