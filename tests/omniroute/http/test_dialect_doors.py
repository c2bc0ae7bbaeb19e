"""The doors of every dialect over plain HTTP: what SDKs do not show, and what is refused how."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import OpenSite

pytestmark = pytest.mark.anyio

HELLO = [{"role": "user", "content": "one two"}]
CONTENTS = [{"role": "user", "parts": [{"text": "one two"}]}]
GEMINI = "/v1beta/models/demo/echo"


@pytest.fixture
async def client(site: OpenSite) -> AsyncIterator[httpx.AsyncClient]:
    """A client on this machine."""
    async with site() as opened, opened.as_peer() as made:
        yield made


async def test_a_gemini_stream_is_events_or_an_array(client: httpx.AsyncClient) -> None:
    path = f"{GEMINI}:streamGenerateContent"
    events = await client.post(f"{path}?alt=sse", json={"contents": CONTENTS})
    array = await client.post(path, json={"contents": CONTENTS})
    assert events.headers["content-type"].startswith("text/event-stream")
    assert array.headers["content-type"].startswith("application/json")
    frames = [json.loads(line[6:]) for line in events.text.split("\n\n") if line]
    assert array.json() == frames
    said = [part["text"] for one in frames for part in one["candidates"][0]["content"]["parts"]]
    assert "".join(said) == "one two"
    assert frames[-1]["candidates"][0]["finishReason"] == "STOP"
    assert frames[-1]["usageMetadata"]["totalTokenCount"] == 4


REFUSED: dict[str, tuple[str, Any, int, tuple[str, ...]]] = {
    "gemini: an unknown action": (f"{GEMINI}:dream", {}, 404, ("error", "status", "NOT_FOUND")),
    "gemini: no contents": (
        f"{GEMINI}:generateContent",
        {},
        400,
        ("error", "status", "INVALID_ARGUMENT"),
    ),
    "gemini: an unknown model": (
        "/v1beta/models/nobody/x:generateContent",
        {"contents": CONTENTS},
        400,
        ("error", "status", "INVALID_ARGUMENT"),
    ),
    "ollama: an unknown model": (
        "/api/chat",
        {"model": "nobody/x", "messages": HELLO},
        400,
        ("error",),
    ),
    "ollama: messages of a wrong type": (
        "/api/chat",
        {"model": "demo/echo", "messages": "Hi"},
        400,
        ("error",),
    ),
    "ollama: a model nobody has is not shown": ("/api/show", {"model": "nope"}, 404, ("error",)),
    "responses: no input": ("/v1/responses", {"model": "demo/echo"}, 400, ("error", "message")),
    "responses: built upon nothing": (
        "/v1/responses",
        {"model": "demo/echo", "input": "Hi", "previous_response_id": "resp_none"},
        400,
        ("error", "code", "previous_response_not_found"),
    ),
    "responses: a hosted tool elsewhere": (
        "/v1/responses",
        {"model": "demo/echo", "input": "Hi", "tools": [{"type": "file_search"}]},
        400,
        ("error", "message"),
    ),
    "completions: tokens in place of words": (
        "/v1/completions",
        {"model": "demo/echo", "prompt": [1, 2, 3]},
        400,
        ("error", "message"),
    ),
    "a provider nobody knows": (
        "/v1/providers/nobody/chat/completions",
        {"model": "x", "messages": HELLO},
        400,
        ("error", "message"),
    ),
}


@pytest.mark.parametrize(("path", "body", "status", "where"), REFUSED.values(), ids=REFUSED)
async def test_refusals_are_in_the_callers_dialect(
    client: httpx.AsyncClient, path: str, body: Any, status: int, where: tuple[str, ...]
) -> None:
    response = await client.post(path, json=body)
    assert response.status_code == status, response.text
    found = response.json()
    for step in where:
        found = found[step] if isinstance(found, dict) else found
    assert found
    if where[-1].upper() == where[-1] or where[-1].startswith("previous"):
        assert found == where[-1]


async def test_an_ollama_client_streams_unless_it_says_otherwise(client: httpx.AsyncClient) -> None:
    asked = {"model": "demo/echo", "messages": HELLO}
    stream = await client.post("/api/chat", json=asked)
    whole = await client.post("/api/chat", json={**asked, "stream": False})
    assert stream.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in stream.text.splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert whole.json()["message"]["content"] == "one two"


@pytest.mark.parametrize("path", ["/v1/responses/compact", "/codex/compact", "/codex"])
async def test_actions_of_the_responses_api_are_answered_plainly(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.post(path, json={"model": "demo/echo", "input": "one two"})
    assert response.json()["output"][0]["content"][0]["text"] == "one two"


async def test_tokens_of_a_response_are_counted_and_nothing_is_asked(
    client: httpx.AsyncClient,
) -> None:
    path = "/v1/responses/input_tokens"
    for body in ({"input": "one two"}, {"model": "demo/echo", "input": "one two"}):
        counted = (await client.post(path, json=body)).json()
        assert (counted["object"], counted["input_tokens"] >= 2) == ("response.input_tokens", True)
    made = (await client.post("/v1/responses", json={"model": "demo/echo", "input": "Hi"})).json()
    after = {"model": "demo/echo", "input": "one two", "previous_response_id": made["id"]}
    longer = (await client.post(path, json=after)).json()
    assert longer["input_tokens"] > counted["input_tokens"]
    assert (await client.post(path, json={"model": "demo/echo"})).status_code == 400


async def test_stored_responses_can_be_paged_and_forgotten(client: httpx.AsyncClient) -> None:
    asked = {"model": "demo/echo", "input": [{"role": "user", "content": word} for word in "abc"]}
    made = (await client.post("/v1/responses", json=asked)).json()
    path = f"/v1/responses/{made['id']}"
    items = (await client.get(f"{path}/input_items?order=asc&limit=2")).json()
    texts = [item["content"][0]["text"] for item in items["data"]]
    assert (texts, items["has_more"]) == (["a", "b"], True)
    rest = await client.get(f"{path}/input_items?order=asc&after={items['last_id']}")
    assert [item["content"][0]["text"] for item in rest.json()["data"]] == ["c"]
    assert (await client.delete(path)).json()["deleted"] is True
    assert (await client.get(path)).status_code == 404
    assert (await client.get(f"{path}/input_items")).status_code == 404


async def test_what_is_not_stored_cannot_be_asked_for(client: httpx.AsyncClient) -> None:
    asked = {"model": "demo/echo", "input": "Hi", "store": False}
    made = (await client.post("/v1/responses", json=asked)).json()
    assert made["store"] is False
    assert (await client.get(f"/v1/responses/{made['id']}")).status_code == 404


async def test_one_provider_answers_under_its_own_names(client: httpx.AsyncClient) -> None:
    asked = {"model": "echo", "messages": HELLO}
    response = await client.post("/v1/providers/demo/chat/completions", json=asked)
    assert response.json()["choices"][0]["message"]["content"] == "one two"
    listed = (await client.get("/v1/providers/demo/models")).json()["data"]
    assert "echo" in [model["id"] for model in listed]


LISTS: dict[str, tuple[str, dict[str, str], str]] = {
    "OpenAI": ("/v1/models", {}, "id"),
    "Anthropic": ("/v1/models", {"anthropic-version": "2023-06-01"}, "display_name"),
    "Gemini": ("/v1beta/models", {}, "displayName"),
    "Gemini's SDK": ("/v1/models", {"x-goog-api-key": "k"}, "displayName"),
    "Ollama": ("/api/tags", {}, "digest"),
}


@pytest.mark.parametrize(("path", "headers", "sign"), LISTS.values(), ids=LISTS)
async def test_models_are_listed_as_each_client_reads_them(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], sign: str
) -> None:
    listed = (await client.get(path, headers=headers)).json()
    rows = listed.get("data") or listed["models"]
    assert all(sign in row for row in rows)
    assert any("demo/echo" in json.dumps(row) for row in rows)
