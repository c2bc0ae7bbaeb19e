"""What happens to every request at the edge."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from omniroute.errors import PayloadTooLarge
from omniroute.http.edge import Cors, Edge

pytestmark = pytest.mark.anyio


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the names of the headers it saw."""
    while (await receive()).get("more_body"):
        pass
    names = b",".join(name for name, _ in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": names})


def edge(**more: Any) -> tuple[Edge, httpx.AsyncClient]:
    made = Edge(echo, new_id=lambda: "id-1", max_body_bytes=lambda: 10, **more)
    return made, httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://localhost")


async def test_every_answer_carries_its_id_and_class() -> None:
    _, client = edge()
    response = await client.get("/v1/models")
    assert response.headers["x-request-id"] == "id-1"
    assert response.headers["x-omniroute-route-class"] == "CLIENT_API"


async def test_internal_headers_cannot_be_sent_in() -> None:
    _, client = edge()
    sent = {"x-omniroute-auth-id": "boss", "x-omniroute-route-class": "PUBLIC", "x-mine": "1"}
    names = (await client.get("/v1/models", headers=sent)).text.split(",")
    assert [name for name in names if name.startswith("x-")] == ["x-mine"]


async def test_a_body_over_the_limit_is_refused_in_the_dialect_of_its_path() -> None:
    _, client = edge()
    openai = await client.post("/v1/chat/completions", content=b"x" * 11)
    anthropic = await client.post("/v1/messages", content=b"x" * 11)
    assert (openai.status_code, openai.json()["error"]["type"]) == (413, "payload_too_large")
    assert anthropic.json()["error"]["type"] == "request_too_large"


async def test_a_stopping_gateway_takes_nothing_new() -> None:
    made, client = edge()
    made.draining = True
    response = await client.get("/api/keys")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert made.in_flight == 0


async def test_cors_is_for_listed_origins_only() -> None:
    _, client = edge(cors=Cors(origins=frozenset({"https://mine.example"})))
    mine = await client.options("/v1/models", headers={"origin": "https://mine.example"})
    other = await client.options("/v1/models", headers={"origin": "https://other.example"})
    assert (mine.status_code, other.status_code) == (204, 204)
    assert mine.headers["access-control-allow-origin"] == "https://mine.example"
    assert "access-control-allow-origin" not in other.headers


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    """A body that declares no length."""
    for piece in pieces:
        yield piece


async def send_raw(made: Edge, headers: list[tuple[bytes, bytes]]) -> int:
    """The status of a request whose headers no client library would send."""
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": "http", "path": "/v1/models", "method": "POST", "headers": headers}
    await made(scope, receive, send)
    return statuses[0]


LENGTHS = {b"10": 200, b"11": 413, b"\xb2": 200, b"-1": 200, b"": 200, b"9" * 50: 413}


@pytest.mark.parametrize(("declared", "status"), LENGTHS.items())
async def test_a_declared_length_is_believed_when_it_is_too_long(
    declared: bytes, status: int
) -> None:
    made, _ = edge()
    assert await send_raw(made, [(b"content-length", declared)]) == status


async def test_a_body_without_a_length_is_counted_as_it_comes() -> None:
    seen: list[bytes] = []

    async def reader(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            seen.append(message["body"])
            more = message["more_body"]

    made = Edge(reader, new_id=lambda: "id-1", max_body_bytes=lambda: 10)
    transport = httpx.ASGITransport(made)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with pytest.raises(PayloadTooLarge):
            await client.post("/v1/models", content=chunks(b"x" * 6, b"x" * 6, b"x" * 6))
    assert b"".join(seen) == b"x" * 6
    assert made.in_flight == 0


OWN_LIMITS = {"/a2a": 200, "/api/mcp/stream": 200, "/a2a-other": 413, "/api/mcp-other": 413}


@pytest.mark.parametrize(("path", "status"), OWN_LIMITS.items(), ids=OWN_LIMITS)
async def test_only_the_doors_with_limits_of_their_own_are_left_alone(
    path: str, status: int
) -> None:
    _, client = edge()
    assert (await client.post(path, content=b"x" * 11)).status_code == status


async def test_what_a_browser_asks_first_is_answered_without_the_application() -> None:
    _, client = edge()
    asked = {"access-control-request-headers": "x-one, x-two"}
    response = await client.options("/v1/models", headers=asked)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-headers"] == "x-one, x-two"
    assert response.headers["access-control-allow-methods"] == (
        "GET, POST, PUT, DELETE, PATCH, OPTIONS"
    )


STOPPING = {
    "/v1/chat/completions": {
        "error": {
            "message": "The gateway is shutting down.",
            "type": "server_error",
            "code": "SERVICE_UNAVAILABLE",
            "param": None,
            "correlation_id": "id-1",
        }
    },
    "/v1/messages": {
        "type": "error",
        "error": {
            "type": "overloaded_error",
            "message": "The gateway is shutting down.",
            "code": "SERVICE_UNAVAILABLE",
            "correlation_id": "id-1",
        },
        "request_id": "id-1",
    },
    "/api/keys": {
        "error": {
            "message": "The gateway is shutting down.",
            "type": "server_error",
            "code": "SERVICE_UNAVAILABLE",
            "correlation_id": "id-1",
        },
        "requestId": "id-1",
    },
}


@pytest.mark.parametrize(("path", "body"), STOPPING.items(), ids=STOPPING)
async def test_a_stopping_gateway_says_so_in_the_dialect_of_the_path(
    path: str, body: dict[str, Any]
) -> None:
    made, client = edge()
    made.draining = True
    response = await client.post(path)
    assert (response.status_code, response.json()) == (503, body)


async def test_requests_in_flight_are_counted() -> None:
    counted: list[int] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        counted.append(made.in_flight)
        await echo(scope, receive, send)

    made = Edge(inside, new_id=lambda: "id-1", max_body_bytes=lambda: 10)
    transport = httpx.ASGITransport(made)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await client.get("/")
    assert (counted, made.in_flight) == ([1], 0)


async def test_origins_are_compared_as_browsers_mean_them() -> None:
    cors = Cors(origins=frozenset({"https://mine.example"}))
    assert [cors.allows(one) for one in ("https://MINE.example", "https://mine.example/")] == [
        True,
        True,
    ]
    assert not cors.allows("http://mine.example")
    assert Cors(allow_all=True).headers({"origin": "https://any.example"})["vary"] == "Origin"
