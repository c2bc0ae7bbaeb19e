"""The configuration for other gateways: tokens, the bundle, what keys may ask; both databases."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite, Site
from tests.support.databases import drop_postgres_database, new_postgres_database

from omniroute.storage.records.configuration import Connection

pytestmark = pytest.mark.anyio

KEY = "gsk_0123456789abcdef"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
        return
    url = new_postgres_database()
    yield {"DATABASE_URL": url}
    drop_postgres_database(url)


@pytest.fixture
async def opened(site: OpenSite, database_url: dict[str, str]) -> AsyncIterator[Site]:
    async with site(**database_url) as made:
        yield made


@pytest.fixture
async def client(opened: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with opened.as_peer() as made:
        body = {"provider": "groq", "name": "main", "apiKey": KEY}
        assert (await made.post("/api/providers", json=body)).status_code == 201
        yield made


def bearing(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


async def key(client: httpx.AsyncClient, **more: Any) -> dict[str, str]:
    made = await client.post("/api/keys", json={"name": "k", **more})
    assert made.status_code == 201, made.text
    return bearing(made.json()["key"])


async def test_a_bundle_is_fetched_with_a_token(opened: Site, client: httpx.AsyncClient) -> None:
    made = (await client.post("/api/sync/tokens", json={"name": " laptop "})).json()
    auth, token = bearing(made["token"]), made["syncToken"]
    listed = await client.get("/api/sync/tokens")
    assert (listed.json()["total"], listed.json()["tokens"]) == (1, [token])
    assert made["token"] not in listed.text
    async with opened.engine.database.reading() as work:
        counts = await work.whole.row_counts()
    assert counts["sync_tokens"] == 1

    first = await client.get("/api/sync/bundle", headers=auth)
    version = first.json()["version"]
    assert (first.headers["etag"], first.headers["x-config-version"]) == (f'"{version}"', version)
    assert first.headers["cache-control"] == "private, no-store"
    assert first.json()["bundle"]["providers"][0]["apiKey"] == KEY
    for tag in (f'"{version}"', f'W/"{version}"', f'"x", "{version}"'):
        same = await client.get("/api/sync/bundle", headers={**auth, "if-none-match": tag})
        assert (same.status_code, same.content) == (304, b"")
    await client.put("/api/models/alias", json={"alias": "quick", "model": "demo/echo"})
    other = await client.get("/api/sync/bundle", headers={**auth, "if-none-match": f'"{version}"'})
    assert (other.status_code, other.json()["version"] != version) == (200, True)

    async with opened.as_peer(ELSEWHERE) as stranger:
        plain = await stranger.get("/api/sync/bundle", headers=auth)
        assert (plain.status_code, KEY in plain.text) == (200, False)
        assert (await stranger.get("/api/sync/bundle")).status_code == 401
        assert (await stranger.get("/api/sync/tokens", headers=auth)).status_code in (401, 403)
        safe = await stranger.get("https://localhost:20128/api/sync/bundle", headers=auth)
        assert KEY in safe.text

    path = f"/api/sync/tokens/{token['id']}"
    revoked = await client.delete(path)
    assert revoked.json()["syncToken"]["revokedAt"] is not None
    assert (await client.get("/api/sync/bundle", headers=auth)).status_code == 401
    assert (await client.delete("/api/sync/tokens/nobody")).status_code == 404
    assert (await client.post("/api/sync/tokens", json={"name": " "})).status_code == 400
    audit = (await client.get("/api/compliance/audit-log?resourceType=sync_token")).json()
    assert [row["action"] for row in audit] == ["sync.token.revoked", "sync.token.created"]


async def test_what_a_key_may_ask(opened: Site, client: httpx.AsyncClient) -> None:
    plain, manager = await key(client), await key(client, scopes=["manage"])
    await client.put("/api/models/alias", json={"alias": "quick", "model": "demo/echo"})
    async with opened.as_peer(ELSEWHERE) as agent:
        state = await agent.post("/api/cloud/auth", headers=plain)
        assert state.json()["modelAliases"] == {"quick": "demo/echo"}
        account = state.json()["connections"][0]
        assert (account["provider"], account["hasApiKey"], account["maskedApiKey"]) == (
            "groq",
            True,
            "gsk_0123****cdef",
        )
        for headers in ({}, bearing("wrong")):
            assert (await agent.post("/api/cloud/auth", headers=headers)).status_code == 401
        path = "/api/cloud/model/resolve"
        found = await agent.post(path, json={"alias": "quick"}, headers=plain)
        assert found.json() == {"alias": "quick", "provider": "demo", "model": "echo"}
        assert (await agent.post(path, json={"alias": "q"}, headers=plain)).status_code == 404
        path = "/api/cloud/models/alias"
        assert (await agent.get(path, headers=plain)).json() == {"aliases": {"quick": "demo/echo"}}
        new = {"alias": "other", "model": "demo/tools"}
        assert (await agent.put(path, json=new, headers=plain)).status_code == 403
        assert (await agent.put(path, json=new, headers=manager)).json()["success"] is True
        taken = {"alias": "quick", "model": "demo/tools"}
        assert (await agent.put(path, json=taken, headers=manager)).status_code == 400


async def test_tokens_are_brought_from_elsewhere(opened: Site, client: httpx.AsyncClient) -> None:
    path, auth = "/api/cloud/credentials/update", await key(client, scopes=["manage"])
    body: dict[str, Any] = {"provider": "groq", "credentials": {"accessToken": "new"}}
    assert (await client.put(path, json=body, headers=auth)).status_code == 404
    login = Connection(id="login", provider="groq", name="l", auth_type="oauth", access_token="old")
    async with opened.engine.configuration.noted() as work:
        await work.connections.save(login)
    body["credentials"]["expiresIn"] = 60
    for method in ("PUT", "POST"):
        done = await client.request(method, path, json=body, headers=auth)
        assert (done.status_code, done.json()["success"]) == (200, True), done.text
    row = opened.engine.snapshot.connections["login"]
    assert (row.access_token, row.expires_in, row.expires_at is not None) == ("new", 60, True)
    for bad in ({}, {"accessToken": ""}, {"apiKey": "x"}, {"expiresIn": 0}):
        refused = await client.put(path, json={**body, "credentials": bad}, headers=auth)
        assert refused.status_code == 400
    async with opened.as_peer(ELSEWHERE) as agent:
        assert (await agent.put(path, json=body, headers=await key(client))).status_code == 403
