"""The management routes: shapes, errors, and every route in the OpenAPI document."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite

from omniroute.http.management.model_names_routes import MODEL_NAMES
from omniroute.http.management.node_routes import NODES
from omniroute.http.models.chat_routes import ROUTES

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(site: OpenSite) -> AsyncIterator[httpx.AsyncClient]:
    """This machine's user, whom the gateway takes for its operator."""
    async with site() as opened, opened.as_peer() as here:
        yield here


async def created(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


NODE = {"name": "N", "prefix": "mine", "apiType": "chat", "baseUrl": "http://127.0.0.1:9/v1/"}
THINGS: dict[str, tuple[str, dict[str, Any], str | None, str]] = {
    "nodes": ("/api/provider-nodes", NODE, "node", "nodes"),
    "accounts": (
        "/api/providers",
        {"provider": "groq", "name": "main", "apiKey": "gsk_0123456789abcdef"},
        "connection",
        "connections",
    ),
    "combos": ("/api/combos", {"name": "c", "models": ["demo/echo"]}, None, "combos"),
}


@pytest.mark.parametrize(("path", "body", "one", "many"), THINGS.values(), ids=THINGS)
async def test_create_read_list_delete(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], one: str | None, many: str
) -> None:
    made = await created(client, path, **body)
    thing = made[one] if one else made
    read = (await client.get(f"{path}/{thing['id']}")).json()
    assert {**(read[one] if one else read), **thing} == (read[one] if one else read)
    assert [row["id"] for row in (await client.get(path)).json()[many]] == [thing["id"]]
    assert (await client.delete(f"{path}/{thing['id']}")).status_code == 200
    assert (await client.get(f"{path}/{thing['id']}")).status_code == 404
    assert (await client.delete(f"{path}/{thing['id']}")).status_code == 404


async def test_keys_are_shown_once(client: httpx.AsyncClient) -> None:
    made = await created(client, "/api/keys", name="k", scopes=["mcp"])
    listed = (await client.get("/api/keys?limit=1")).json()
    assert (listed["total"], listed["allowKeyReveal"]) == (1, False)
    shown = listed["keys"][0]["key"]
    assert shown == f"{made['key'][:8]}****{made['key'][-4:]}"
    assert made["key"] not in (await client.get(f"/api/keys/{made['id']}")).text
    assert (await client.delete(f"/api/keys/{made['id']}")).status_code == 200


async def test_credentials_are_never_shown_whole(client: httpx.AsyncClient) -> None:
    secret = "gsk_0123456789abcdefSECRET"
    options = {"consoleApiKey": "canary-canary", "tag": "kept"}
    made = await client.post(
        "/api/providers",
        json={
            "provider": "groq",
            "name": "main",
            "apiKey": secret,
            "providerSpecificData": options,
        },
    )
    answers = [made.text, (await client.get("/api/providers")).text]
    assert all(secret not in text and "canary" not in text for text in answers)
    assert made.json()["connection"]["providerSpecificData"] == {"tag": "kept"}


async def test_the_same_account_again_replaces_it(client: httpx.AsyncClient) -> None:
    body = {"provider": "groq", "name": "main", "apiKey": "first"}
    first = await created(client, "/api/providers", **body)
    second = await created(client, "/api/providers", **{**body, "apiKey": "second"})
    assert first["connection"]["id"] == second["connection"]["id"]


async def test_deleting_a_node_deletes_its_accounts(client: httpx.AsyncClient) -> None:
    node = (await created(client, "/api/provider-nodes", **NODE))["node"]
    await created(client, "/api/providers", provider="mine", name="a")
    await client.delete(f"/api/provider-nodes/{node['id']}")
    assert (await client.get("/api/providers")).json() == {"connections": [], "total": 0}


BAD: dict[str, tuple[str, Any, int, str]] = {
    "no JSON": ("/api/combos", b"{", 400, "body"),
    "a number for a name": ("/api/combos", {"name": 5}, 400, "name"),
    "no name": ("/api/keys", {}, 400, "name"),
    "a name of forbidden letters": ("/api/combos", {"name": "a*b"}, 400, "name"),
    "an unknown strategy": ("/api/combos", {"name": "c", "strategy": "best"}, 400, "strategy"),
    "a step without model": ("/api/combos", {"name": "c", "models": [{}]}, 400, "models.0.model"),
    "a pattern that does not compile": (
        "/api/combos",
        {"name": "c", "tool_filter_regex": "("},
        400,
        "tool_filter_regex",
    ),
    "a combo in itself": ("/api/combos", {"name": "c", "models": ["c"]}, 400, "refers to itself"),
    "an unknown provider": (
        "/api/providers",
        {"provider": "grok", "name": "a", "apiKey": "k"},
        400,
        "Did you mean 'groq'?",
    ),
    "an account without key": ("/api/providers", {"provider": "groq", "name": "a"}, 400, "apiKey"),
    "an address that is none": (
        "/api/providers",
        {
            "provider": "groq",
            "name": "a",
            "apiKey": "k",
            "providerSpecificData": {"baseUrl": "ftp://x"},
        },
        400,
        "providerSpecificData.baseUrl",
    ),
    "an account of an unknown node": (
        "/api/providers",
        {"provider": "openai-compatible-chat-x", "name": "a"},
        404,
        "node",
    ),
    "a prefix that is taken": (
        "/api/provider-nodes",
        {**NODE, "prefix": "openai"},
        409,
        "already names",
    ),
    "a prefix with a slash": ("/api/provider-nodes", {**NODE, "prefix": "a/b"}, 400, "prefix"),
    "a node without api type": (
        "/api/provider-nodes",
        {"name": "N", "prefix": "p"},
        400,
        "apiType",
    ),
    "a path without its slash": (
        "/api/provider-nodes",
        {**NODE, "chatPath": "chat"},
        400,
        "chatPath",
    ),
    "a negative estimate": (
        "/api/routes/simulate",
        {"model": "demo/echo", "promptTokenEstimate": -1},
        400,
        "promptTokenEstimate",
    ),
}


@pytest.mark.parametrize(("path", "body", "status", "told"), BAD.values(), ids=BAD)
async def test_bad_input_names_its_fault(
    client: httpx.AsyncClient, path: str, body: Any, status: int, told: str
) -> None:
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    response = await client.post(path, headers={"content-type": "application/json"}, **sent)
    assert (response.status_code, told in response.text) == (status, True), response.text


async def test_settings_keep_what_is_not_named(client: httpx.AsyncClient) -> None:
    before = (await client.get("/api/settings")).json()
    changed = (await client.patch("/api/settings", json={"mcpTransport": "sse"})).json()
    assert changed == {**before, "mcpTransport": "sse"}
    assert (await client.post("/api/mcp/stream")).status_code == 400
    restored = await client.patch("/api/settings", json={"mcpTransport": None})
    assert restored.json() == before


SETTINGS = {
    "nothing": ({}, "at least one"),
    "an unknown name": ({"mcpEnable": True}, "Did you mean 'mcpEnabled'?"),
    "another type": ({"mcpEnabled": "yes"}, "true or false"),
    "another value": ({"mcpTransport": "pigeon"}, "streamable-http"),
    "out of range": ({"a2aTaskTtlMinutes": 0}, "between 1 and 10080"),
}


@pytest.mark.parametrize(("changes", "told"), SETTINGS.values(), ids=SETTINGS)
async def test_settings_that_do_not_fit_are_named(
    client: httpx.AsyncClient, changes: dict[str, Any], told: str
) -> None:
    response = await client.patch("/api/settings", json=changes)
    assert (response.status_code, told in response.text) == (400, True), response.text


async def test_a_browser_finds_the_dashboard(client: httpx.AsyncClient) -> None:
    response = await client.get("/")
    assert (response.status_code, response.headers["location"]) == (302, "/dashboard")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "offset=-1"])
async def test_pages_out_of_range_are_refused(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/api/keys?{query}")).status_code == 400


async def test_the_document_lists_every_route(client: httpx.AsyncClient) -> None:
    document = (await client.get("/docs/openapi.json")).json()
    documented = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    built = {
        (method, path.replace(":str", ""))
        for handler in (*NODES, *MODEL_NAMES)
        if handler.include_in_schema is not False
        for path in handler.paths
        for method in handler.http_methods - {"OPTIONS", "HEAD"}
    }
    assert built | {("POST", row.path.replace(":str}", "}")) for row in ROUTES} <= documented
    page = (await client.get("/docs")).text
    assert all(path in page for _, path in documented)


async def test_strangers_learn_nothing_about_management(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer(ELSEWHERE) as other:
        answers = [
            await other.get("/api/keys"),
            await other.get("/api/nothing"),
            await other.post("/api/combos", json={}),
            await other.get("/api/a2a/status"),
            await other.get("/api/mcp/tools"),
        ]
        health = await other.get("/api/monitoring/health")
    assert [response.status_code for response in answers] == [401] * 5
    assert answers[0].json()["error"]["code"] == "AUTH_001"
    assert health.status_code == 200
