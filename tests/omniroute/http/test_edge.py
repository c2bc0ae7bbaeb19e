"""What happens to every request at the edge."""

from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

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
    made = Edge(echo, new_id=lambda: "id-1", max_body_bytes=10, **more)
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
