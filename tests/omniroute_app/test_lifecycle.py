"""Clients that hang up, processes that are killed, stops that wait for streams."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.omniroute_app.conftest import configure, new_database
from tests.support.processes import Gateway, Upstream

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "word " * 200}], "stream": True}


def eventually(check: Callable[[], bool], limit_s: float = 10) -> None:
    """Poll until `check` holds; other processes tell us nothing when they are done."""
    deadline = time.monotonic() + limit_s
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        threading.Event().wait(0.02)


def health(client: httpx.Client) -> dict[str, Any]:
    """The gateway's own vital signs."""
    body: dict[str, Any] = client.get("/api/monitoring/health").json()
    return body


@pytest.mark.parametrize("model", ["demo/slow-20", "oai/slow-20", "ant/slow-20"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_client_that_hangs_up_leaves_nothing_behind(
    client: httpx.Client, model: str, path: str
) -> None:
    with client.stream("POST", path, json={**BODY, "model": model}) as response:
        assert response.status_code == 200
        request_id = response.headers["x-request-id"]
        received = response.iter_bytes()
        assert next(received)
        assert health(client)["ledger"]["openReservations"] == 1
    eventually(lambda: health(client)["ledger"]["openReservations"] == 0)
    trace = client.get(f"/api/routes/{request_id}").json()["trace"]
    assert (trace["outcome"], trace["status"]) == ("client_gone", 499)
    assert trace["usage_estimated"]
    assert 0 < trace["output_tokens"] < 200


def test_a_client_that_hangs_up_before_the_first_byte_leaves_nothing_behind(
    client: httpx.Client,
) -> None:
    body = {**BODY, "model": "demo/slow-start-60000", "stream": False}
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json=body, timeout=0.3)
    eventually(lambda: health(client)["ledger"]["openReservations"] == 0)


def test_aborted_streams_leak_no_sockets(client: httpx.Client, gateway: Gateway) -> None:
    handle = psutil.Process(gateway.pid)

    def abort(count: int) -> None:
        for number in range(count):
            body = {**BODY, "model": ("oai", "ant")[number % 2] + "/slow-20"}
            with client.stream("POST", "/v1/chat/completions", json=body) as response:
                received = response.iter_bytes()
                assert next(received)
        eventually(lambda: health(client)["ledger"]["openReservations"] == 0)

    abort(10)
    warm = handle.num_fds()
    abort(30)
    eventually(lambda: handle.num_fds() <= warm + 2)


@pytest.fixture
def own_gateway(tmp_path: Path, database_kind: str) -> Iterator[Callable[[], Gateway]]:
    """Starts gateways one after the other over the same data directory and database."""
    with new_database(database_kind) as environ, ExitStack() as stack:
        yield lambda: stack.enter_context(Gateway(tmp_path, environ=environ))


@pytest.mark.slow
def test_kill_9_in_the_middle_of_a_stream_loses_no_finished_request(
    own_gateway: Callable[[], Gateway], upstream: Upstream
) -> None:
    first = own_gateway()
    finished: list[str] = []
    with httpx.Client(base_url=first.url, timeout=30) as client:
        configure(first, upstream)
        with (
            suppress(httpx.RemoteProtocolError),
            client.stream(
                "POST", "/v1/chat/completions", json={**BODY, "model": "oai/slow-20"}
            ) as running,
        ):
            received = running.iter_bytes()
            assert next(received)
            for number in range(20):
                stream = number % 2 == 0
                body = {"messages": [{"role": "user", "content": "hi"}], "stream": stream}
                answer = client.post("/v1/chat/completions", json={**body, "model": "oai/echo"})
                assert answer.status_code == 200
                finished.append(answer.headers["x-request-id"])
            first.kill()
            list(received)
    second = own_gateway()
    with httpx.Client(base_url=second.url, timeout=30) as client:

        def recorded(request_id: str) -> str | None:
            trace = client.get(f"/api/routes/{request_id}").json().get("trace")
            return None if trace is None else str(trace["outcome"])

        eventually(lambda: recorded(finished[0]) is not None)
        assert {recorded(request_id) for request_id in finished} == {"completed"}
        assert "oai" in [
            node["prefix"] for node in client.get("/api/provider-nodes").json()["nodes"]
        ]
    assert second.stop() == 0


@pytest.mark.slow
def test_a_graceful_stop_lets_a_stream_finish(own_gateway: Callable[[], Gateway]) -> None:
    gateway = own_gateway()
    words = " ".join(str(number) for number in range(60))
    body = {
        "model": "demo/slow-20",
        "stream": True,
        "messages": [{"role": "user", "content": words}],
    }
    with (
        httpx.Client(base_url=gateway.url, timeout=30) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        frames = response.iter_lines()
        next(frames)
        gateway.terminate()
        rest = [line for line in frames if line.startswith("data: ")]
    assert rest[-1] == "data: [DONE]"
    text = "".join(
        choice["delta"].get("content") or ""
        for line in rest[:-1]
        for choice in json.loads(line[6:])["choices"]
    )
    assert text.endswith("58 59")
    for _ in range(20):  # who asks again, while it closes its database, does not cut that short
        gateway.terminate()
    assert gateway.stop() == 0


KEEPALIVES = {
    "/v1/chat/completions": ('"omniroute-keepalive"', "data: [DONE]"),
    "/v1/messages": ("event: ping", "message_stop"),
}


@pytest.mark.slow
def test_a_silent_stream_is_kept_alive_in_its_dialect(tmp_path: Path) -> None:
    body = {
        "model": "demo/slow-300",
        "max_tokens": 50,
        "stream": True,
        "messages": [{"role": "user", "content": "one two three"}],
    }
    with (
        Gateway(tmp_path, environ={"SSE_HEARTBEAT_INTERVAL_MS": "50"}) as process,
        httpx.Client(base_url=process.url, timeout=30) as client,
    ):
        for path, (frame, ending) in KEEPALIVES.items():
            text = client.post(path, json=body).text
            assert text.count(frame) >= 4
            assert text.rindex(frame) < text.rindex(ending)


def test_an_operator_stops_the_process_and_running_streams_finish(tmp_path: Path) -> None:
    environ = {"OMNIROUTE_API_KEY": "boss"}
    headers = {"authorization": "Bearer boss"}
    with (
        Gateway(tmp_path, environ=environ) as gateway,
        httpx.Client(base_url=gateway.url, headers=headers) as client,
        client.stream(
            "POST", "/v1/chat/completions", json={**BODY, "model": "demo/slow-5"}
        ) as running,
    ):
        received = running.iter_lines()
        assert next(received)
        stopped = httpx.post(f"{gateway.url}/api/shutdown", headers=headers)
        rest = list(received)
        code = gateway.stop()
    assert (stopped.status_code, stopped.json()["success"], code) == (200, True, 0)
    assert "data: [DONE]" in rest


def test_an_operator_has_the_process_start_again(tmp_path: Path) -> None:
    environ = {"OMNIROUTE_API_KEY": "boss", "OMNIROUTE_SELF_RESTART": "true"}
    headers = {"authorization": "Bearer boss"}
    with (
        Gateway(tmp_path, environ=environ) as gateway,
        httpx.Client(base_url=gateway.url, headers=headers) as client,
    ):
        client.post("/api/combos", json={"name": "kept"})
        assert client.post("/api/restart").json() == {"status": "restarting"}

        eventually(lambda: sum("Try all doors" in line for line in gateway.lines) == 2, 20)
        combos = client.get("/api/combos").json()["combos"]
    assert [combo["name"] for combo in combos] == ["kept"]
