"""Signing in to accounts over HTTP, against a real sign-in server, on both databases."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from msgspec.structs import replace
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite, Site
from tests.support.databases import drop_postgres_database, new_postgres_database
from tests.support.oauth_server import CLIENT_SECRET, OAuthServer, oauth_server
from tests.support.processes import free_port

from omniroute.clock import iso
from omniroute.operations.accounts.oauth.keeper import LoginKeeper
from omniroute.storage.records.configuration import Connection

pytestmark = pytest.mark.anyio

API = "/api/oauth/corp"
CHAT = "/v1/chat/completions"
ASKED = {"model": "corp/m", "messages": [{"role": "user", "content": "Hi"}]}
PAGE = "http://localhost:20128/callback"


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with oauth_server() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
        return
    url = new_postgres_database()
    yield {"DATABASE_URL": url}
    drop_postgres_database(url)


@asynccontextmanager
async def corp(
    site: OpenSite, server: OAuthServer, **environ: str
) -> AsyncIterator[tuple[Site, httpx.AsyncClient]]:
    """A gateway with an upstream people sign in to."""
    async with site(**{**server.environ("CORP"), **environ}) as opened, opened.as_peer() as client:
        node = {"name": "Corp", "prefix": "corp", "apiType": "chat", "baseUrl": f"{server.url}/v1"}
        assert (await client.post("/api/provider-nodes", json=node)).status_code == 201
        yield opened, client


async def agreed(url: str) -> dict[str, str]:
    """What the browser of somebody who agrees brings back."""
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(url)
    parts = urlsplit(answer.headers["location"])
    fields = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return {**fields, "redirectUri": f"{parts.scheme}://{parts.netloc}{parts.path}"}


async def signed_in(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    begun = (await client.get(f"{API}/authorize")).json()
    brought = await agreed(begun["authUrl"])
    answer = await client.post(f"{API}/exchange", json={**brought, **more})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()["connection"]
    return made


async def stored(opened: Site, connection: str) -> Connection:
    async with opened.engine.database.reading() as work:
        found = await work.connections.get(connection)
    assert found is not None
    return found


async def ends(opened: Site, connection: str, in_ms: int = -1_000) -> None:
    """Have the access token of an account end at a time."""
    async with opened.engine.configuration.noted() as work:
        row = await work.connections.get(connection)
        assert row is not None
        end = iso(opened.engine.now_ms() + in_ms)
        await work.connections.save(replace(row, expires_at=end, expires_in=3_600))


async def test_a_browser_signs_in_and_the_account_serves(
    site: OpenSite, server: OAuthServer, database: dict[str, str]
) -> None:
    async with corp(site, server, **database) as (opened, client):
        begun = (await client.get(f"{API}/authorize")).json()
        query = parse_qs(urlsplit(begun["authUrl"]).query)
        assert (begun["redirectUri"], begun["flowType"]) == (PAGE, "authorization_code_pkce")
        assert (query["code_challenge_method"], query["scope"]) == (["S256"], ["models email"])
        assert (len(begun["state"]) >= 22, len(begun["codeVerifier"]) >= 43) == (True, True)
        brought = await agreed(begun["authUrl"])
        body = {**brought, "codeVerifier": begun["codeVerifier"]}
        made = (await client.post(f"{API}/exchange", json=body)).json()
        assert made["success"] is True
        assert made["connection"]["email"] == "ada@example.org"
        assert made["connection"]["displayName"] == "Ada"
        row = await stored(opened, made["connection"]["id"])
        assert (row.auth_type, row.test_status, row.scope) == ("oauth", "active", "models email")
        assert (await client.post(CHAT, json=ASKED)).status_code == 200
        assert server.chats == [row.access_token]
        again = await signed_in(client)
        assert again["id"] == row.id
        server.email = "bob@example.org"
        assert (await signed_in(client))["id"] != row.id
        assert (await signed_in(client, connectionId=row.id))["id"] == row.id
        tested = (await client.post(f"/api/providers/{row.id}/test")).json()
        assert (tested["valid"], tested["refreshed"]) == (True, False)


async def test_a_state_is_good_once_for_what_it_was_made_for(
    site: OpenSite, server: OAuthServer, database: dict[str, str]
) -> None:
    other = server.environ("GROQ")
    async with corp(site, server, **database, **other) as (_, client):

        async def begun() -> dict[str, str]:
            found = (await client.get(f"{API}/authorize")).json()
            return await agreed(found["authUrl"])

        async def refused(path: str, body: dict[str, Any], param: str) -> None:
            answer = await client.post(path, json=body)
            assert (answer.status_code, param in answer.text) == (400, True), answer.text

        brought = await begun()
        local = {**brought, "redirectUri": "http://localhost:4000/callback"}
        exchange = f"{API}/exchange"
        await refused(exchange, {**brought, "state": ""}, "state is missing")
        await refused(exchange, {**brought, "state": "x" * 43}, "not known")
        await refused(exchange, {**brought, "redirectUri": "http://evil/callback"}, "redirect")
        await refused(exchange, local, "redirect address is not the one")
        await refused(exchange, brought, "used already")
        brought = await begun()
        await refused(exchange, {**brought, "codeVerifier": "v" * 64}, "code verifier")
        await refused("/api/oauth/groq/exchange", await begun(), "another provider")
        brought = await begun()
        assert (await client.post(exchange, json=brought)).status_code == 200
        await refused(exchange, brought, "used already")
        brought = await begun()
        at_once = await asyncio.gather(*(client.post(exchange, json=brought) for _ in range(5)))
        assert sorted(one.status_code for one in at_once) == [200, 400, 400, 400, 400]


REFUSED: dict[str, tuple[str, str, int, str]] = {
    "no such provider": ("GET", "/api/oauth/gork/authorize", 404, "gork"),
    "no client": ("GET", "/api/oauth/gitlab-duo/authorize", 409, "GITLAB_DUO_OAUTH_CLIENT_ID"),
    "no client, and no addresses": ("GET", "/api/oauth/mistral/authorize", 409, "_TOKEN_URL"),
    "no such action": ("GET", f"{API}/autorize", 400, "authorize"),
    "the other method": ("POST", f"{API}/authorize", 400, "GET"),
    "another flow": ("GET", f"{API}/device-code", 400, "authorize"),
    "no fixed port": ("GET", f"{API}/start-callback-server", 400, "authorize"),
    "a foreign address": ("GET", f"{API}/authorize?redirect_uri=https://evil/", 400, "redirect"),
    "no personal tokens": ("POST", f"{API}/import-token", 400, "personal tokens"),
    "no code": ("POST", f"{API}/exchange", 400, "is required"),
    "no account": ("POST", "/api/providers/nobody/refresh", 404, "nobody"),
}


async def test_what_cannot_be_done_says_so(site: OpenSite, server: OAuthServer) -> None:
    async with corp(site, server) as (opened, client):
        for name, (method, path, status, text) in REFUSED.items():
            body = {"token": "t"} if "import" in path else {}
            answer = await client.request(method, path, json=body if method == "POST" else None)
            assert (answer.status_code, text in answer.text) == (status, True), (name, answer.text)
            if status == 409:
                assert answer.json()["supported"] is False
        waiting = await client.post(f"{API}/poll-callback")
        assert waiting.json()["error"] == "no_server"
        async with opened.as_peer(ELSEWHERE) as stranger:
            assert (await stranger.get(f"{API}/authorize")).status_code == 401
            assert (await stranger.post(f"{API}/exchange", json={})).status_code == 401
            assert (await stranger.get("/callback")).status_code == 200
        keyed = await client.post(
            "/api/providers", json={"provider": "corp", "name": "k", "apiKey": "key"}
        )
        path = f"/api/providers/{keyed.json()['connection']['id']}/refresh"
        assert (await client.post(path)).status_code == 400


async def test_a_broken_variable_is_named(site: OpenSite, server: OAuthServer) -> None:
    async with corp(site, server, CORP_OAUTH_FLOW="implicit") as (_, client):
        answer = await client.get(f"{API}/authorize")
    assert (answer.status_code, "CORP_OAUTH_FLOW" in answer.text) == (409, True)


async def test_a_refusal_of_the_provider_is_502_without_what_was_sent(
    site: OpenSite, server: OAuthServer
) -> None:
    async with corp(site, server) as (_, client):
        begun = (await client.get(f"{API}/authorize")).json()
        brought = await agreed(begun["authUrl"])
        server.codes.clear()
        answer = await client.post(f"{API}/exchange", json=brought)
        assert (answer.status_code, "invalid_grant" in answer.text) == (502, True)
        assert brought["code"] not in answer.text


async def test_a_device_signs_in(site: OpenSite, server: OAuthServer) -> None:
    server.device = ["authorization_pending", "slow_down"]
    async with corp(site, server, CORP_OAUTH_FLOW="device_code") as (opened, client):
        begun = (await client.get(f"{API}/device-code")).json()
        assert (begun["user_code"], begun["interval"]) == ("AB-CD", 1)
        body = {"deviceCode": begun["device_code"], "codeVerifier": begun["codeVerifier"]}
        path = f"{API}/poll"

        async def later() -> dict[str, Any]:
            for row in opened.engine.callbacks.devices.values():
                row.next_ms = 0
            answer: dict[str, Any] = (await client.post(path, json=body)).json()
            return answer

        first = await later()
        assert (first["error"], first["pending"], first["interval"]) == (
            "authorization_pending",
            True,
            1,
        )
        too_early = (await client.post(path, json=body)).json()
        assert (too_early["pending"], len(server.device)) == (True, 1)
        slower = await later()
        assert (slower["error"], slower["pending"], slower["interval"]) == ("slow_down", True, 6)
        assert (await later())["success"] is True
        assert (await client.post(CHAT, json=ASKED)).status_code == 200
        for error in ("access_denied", "expired_token"):
            server.device = [error]
            begun = (await client.get(f"{API}/device-code")).json()
            answer = (await client.post(path, json={"deviceCode": begun["device_code"]})).json()
            assert (answer["success"], answer["error"], answer["pending"]) == (False, error, False)
        unknown = await client.post(path, json={"deviceCode": "made up"})
        assert unknown.status_code == 502
        wrong = await client.get(f"{API}/authorize")
        assert (wrong.status_code, "device-code" in wrong.text) == (400, True)


async def test_a_listener_waits_for_one_browser(site: OpenSite, server: OAuthServer) -> None:
    port = str(free_port())
    async with corp(site, server, CORP_OAUTH_CALLBACK_PORT=port) as (_, client):
        begun = (await client.get(f"{API}/start-callback-server")).json()
        assert begun["serverPort"] == int(port)
        assert (await client.post(f"{API}/poll-callback", json={})).json()["pending"] is True
        async with httpx.AsyncClient() as browser:
            back = f"http://127.0.0.1:{port}"
            assert (await browser.get(f"{back}/other")).status_code == 404
            assert (await browser.post(f"{back}/callback")).status_code == 405
            forged = await browser.get(f"{back}/callback?code=x&state=y")
            assert (forged.status_code, "not begun here" in forged.text) == (400, True)
            sent = (await browser.get(begun["authUrl"])).headers["location"]
            page = await browser.get(sent.replace("localhost", "127.0.0.1"))
            assert (page.status_code, "Signed in" in page.text) == (200, True)
        done = (await client.post(f"{API}/poll-callback")).json()
        assert done["connection"]["email"] == "ada@example.org"
        gone = (await client.post(f"{API}/poll-callback")).json()
        assert (gone["error"], gone["pending"]) == ("no_server", False)
        # The gateway's own page passes on what somebody waits for, too.
        begun = (await client.get(f"{API}/start-callback-server")).json()
        state = parse_qs(urlsplit(begun["authUrl"]).query)["state"][0]
        page = await client.get(f"/callback?error=access_denied&state={state}")
        assert "access_denied" in page.text
        done = (await client.post(f"{API}/poll-callback")).json()
        assert (done["error"], done["pending"]) == ("access_denied", False)


async def test_the_page_shows_a_code_and_nothing_of_its_own_making(
    site: OpenSite, server: OAuthServer
) -> None:
    evil = '"><script>alert(1)</script>'
    async with corp(site, server) as (_, client):
        for name in ("code", "state", "error", "error_description"):
            query = {"code": "c", "state": "s", name: evil}
            page = await client.get("/callback", params=query)
            assert "<script" not in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert page.headers["referrer-policy"] == "no-referrer"
        page = await client.get("/callback?code=abc&state=s")
        assert 'value="abc"' in page.text


async def test_a_token_is_renewed_once_for_everybody(
    site: OpenSite, server: OAuthServer, database: dict[str, str]
) -> None:
    async with corp(site, server, **database) as (opened, client):
        made = await signed_in(client)
        await ends(opened, made["id"])
        before = await stored(opened, made["id"])
        answers = await asyncio.gather(*(client.post(CHAT, json=ASKED) for _ in range(8)))
        assert {one.status_code for one in answers} == {200}
        after = await stored(opened, made["id"])
        assert server.refreshes == [before.refresh_token]
        assert set(server.chats) == {after.access_token}
        assert after.refresh_token not in (None, before.refresh_token)
        server.refreshing = "keep"
        forced = (await client.post(f"/api/providers/{made['id']}/refresh")).json()
        assert (forced["success"], forced["connectionId"]) == (True, made["id"])
        kept = await stored(opened, made["id"])
        assert (kept.refresh_token, kept.access_token != after.access_token) == (
            after.refresh_token,
            True,
        )


async def test_a_refused_token_is_renewed_and_the_request_goes_again(
    site: OpenSite, server: OAuthServer
) -> None:
    async with corp(site, server) as (opened, client):
        made = await signed_in(client)
        for stream in (False, True):
            opened.engine.logins._renewed_ms.clear()
            server.access.clear()
            answer = await client.post(CHAT, json={**ASKED, "stream": stream})
            assert (answer.status_code, "Hel" in answer.text) == (200, True)
        assert len(server.refreshes) == 2
        # An upstream that refuses every token does not set off a storm of renewals.
        server.access.clear()
        for _ in range(3):
            assert (await client.post(CHAT, json=ASKED)).status_code != 200
        assert len(server.refreshes) == 2
        await client.patch(f"/api/providers/{made['id']}", json={"testStatus": "active"})
        opened.engine.logins._renewed_ms.clear()
        tested = (await client.post(f"/api/providers/{made['id']}/test")).json()
        assert (tested["valid"], tested["refreshed"], len(server.refreshes)) == (True, True, 3)


async def test_a_revoked_sign_in_marks_its_account_and_signing_in_again_mends_it(
    site: OpenSite, server: OAuthServer
) -> None:
    async with corp(site, server) as (opened, client):
        made = await signed_in(client)
        await ends(opened, made["id"])
        server.refreshing = "revoked"
        assert "sign in again" in (await client.post(CHAT, json=ASKED)).text
        for _ in range(2):
            assert "account expired" in (await client.post(CHAT, json=ASKED)).text
        assert len(server.refreshes) == 1
        row = await stored(opened, made["id"])
        assert (row.test_status, row.error_code) == ("expired", "invalid_grant")
        assert not opened.engine.health.view().breakers
        shown = await client.get(f"/api/providers/{made['id']}")
        assert not [one for one in server.given if one in shown.text]
        forced = await client.post(f"/api/providers/{made['id']}/refresh")
        assert (forced.status_code, forced.json()["requiresReauth"]) == (401, True)
        assert (await stored(opened, made["id"])).test_status == "invalid"
        server.refreshing = "ok"
        assert (await signed_in(client))["id"] == made["id"]
        assert (await client.post(CHAT, json=ASKED)).status_code == 200


async def test_a_server_that_is_down_costs_the_account_a_pause(
    site: OpenSite, server: OAuthServer
) -> None:
    async with corp(site, server) as (opened, client):
        made = await signed_in(client)
        server.refreshing = "broken"
        await ends(opened, made["id"], in_ms=60_000)
        # Its token still works: requests use it, and leave the server alone.
        for _ in range(3):
            assert (await client.post(CHAT, json=ASKED)).status_code == 200
        assert len(server.refreshes) == 1
        await ends(opened, made["id"])
        opened.engine.logins._rests.clear()
        answer = await client.post(CHAT, json=ASKED)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        row = await stored(opened, made["id"])
        assert (row.test_status, not opened.engine.health.view().breakers) == ("active", True)
        assert (await client.post(f"/api/providers/{made['id']}/refresh")).status_code == 502
        server.refreshing = "ok"
        assert (await client.post(f"/api/providers/{made['id']}/refresh")).status_code == 200
        assert (await client.post(CHAT, json=ASKED)).status_code == 200


async def test_tokens_are_renewed_before_they_end(site: OpenSite, server: OAuthServer) -> None:
    async with corp(site, server) as (opened, client):
        made = await signed_in(client)
        keeper = LoginKeeper(opened.engine, 0.0)
        assert await keeper.round() == 0
        await ends(opened, made["id"], in_ms=60_000)
        assert (await keeper.round(), len(server.refreshes)) == (1, 1)
        assert (await keeper.round(), len(server.refreshes)) == (0, 1)


async def test_without_a_refresh_token_somebody_has_to_sign_in(
    site: OpenSite, server: OAuthServer
) -> None:
    async with corp(site, server) as (opened, client):
        made = await signed_in(client)
        async with opened.engine.configuration.noted() as work:
            row = await work.connections.get(made["id"])
            assert row is not None
            await work.connections.save(replace(row, refresh_token=None))
        await ends(opened, made["id"])
        assert "sign in again" in (await client.post(CHAT, json=ASKED)).text
        refresh = await client.post(f"/api/providers/{made['id']}/refresh")
        tested = (await client.post(f"/api/providers/{made['id']}/test")).json()
        assert (refresh.status_code, tested["diagnosis"]["type"]) == (422, "token_expired")


async def test_a_personal_token_of_gitlab_is_an_account(
    site: OpenSite, server: OAuthServer
) -> None:
    path = "/api/oauth/gitlab-duo/import-token"
    async with corp(site, server, GITLAB_DUO_BASE_URL=server.url) as (opened, client):
        server.access.add("glpat-0123456789abcdef")
        good = await client.post(path, json={"token": "glpat-0123456789abcdef"})
        assert good.json()["connection"]["email"] == "ada@example.org"
        row = await stored(opened, good.json()["connection"]["id"])
        assert (row.options["baseUrl"], row.expires_at) == (f"{server.url}/api/v4", None)
        tested = (await client.post(f"/api/providers/{row.id}/test")).json()
        assert tested["valid"] is True
        bad = await client.post(path, json={"token": "glpat-never-heard-of-it"})
        assert (bad.status_code, "never-heard" in bad.text) == (400, False)


async def test_tokens_are_in_no_answer_and_no_log_line(
    site: OpenSite,
    server: OAuthServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    async with corp(site, server) as (opened, client):
        made = await signed_in(client)
        await ends(opened, made["id"])
        await client.post(CHAT, json=ASKED)
        server.refreshing = "revoked"
        await ends(opened, made["id"])
        await client.post(CHAT, json=ASKED)
        await client.post(f"/api/providers/{made['id']}/refresh")
        paths = [
            "/api/providers",
            f"/api/providers/{made['id']}",
            "/api/providers/expiration",
            "/api/compliance/audit-log?limit=500",
            "/api/usage/call-logs",
            "/api/monitoring/health",
            "/api/settings",
            "/api/token-health",
        ]
        seen = [(await client.get(path)).text for path in paths]
        async with opened.engine.database.reading() as work:
            rows = await work.connections.list()
        assert any(row.access_token for row in rows)
    out, err = capfd.readouterr()
    ours = [one for one in caplog.records if not one.name.startswith("http")]  # not our browser's
    lines = [one.getMessage() for one in ours]
    everything = "\n".join([*seen, *lines, out, err])
    secrets = [*server.given, CLIENT_SECRET]
    assert len(secrets) > 5
    assert [one for one in secrets if one in everything] == []
