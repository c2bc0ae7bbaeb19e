"""Two gateways on one PostgreSQL renew a token once, also when one of them dies at it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.databases import drop_postgres_database, new_postgres_database
from tests.support.oauth_server import OAuthServer, oauth_server
from tests.support.processes import Gateway

ASKED = {"model": "corp/m", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with oauth_server() as made:
        yield made


@pytest.fixture
def pair(server: OAuthServer, tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """Two processes; what tokens take is at most a second."""
    url = new_postgres_database()
    environ = {
        "DATABASE_URL": url,
        "OMNIROUTE_OAUTH_TIMEOUT_MS": "1500",
        "OMNIROUTE_DISABLE_TOKEN_HEALTHCHECK": "true",
        **server.environ("CORP"),
    }
    try:
        with Gateway(tmp_path, environ=environ) as one, Gateway(tmp_path, environ=environ) as two:
            yield one, two
    finally:
        drop_postgres_database(url)


def signed_in(gateway: Gateway, server: OAuthServer) -> None:
    """An account whose token has ended when it is stored."""
    node = {"name": "Corp", "prefix": "corp", "apiType": "chat", "baseUrl": f"{server.url}/v1"}
    lifetime_s, server.lifetime_s = server.lifetime_s, 0
    with httpx.Client(base_url=gateway.url) as client:
        assert client.post("/api/provider-nodes", json=node).status_code == 201
        uri = {"redirect_uri": "http://localhost:4000/callback"}
        begun = client.get("/api/oauth/corp/authorize", params=uri).json()
        back = httpx.URL(httpx.get(begun["authUrl"]).headers["location"])
        body = {**dict(back.params), "redirectUri": uri["redirect_uri"]}
        assert client.post("/api/oauth/corp/exchange", json=body).status_code == 200
    server.lifetime_s = lifetime_s


def asked(gateway: Gateway, statuses: list[int]) -> threading.Thread:
    """A request under way; its status, or 0 where nobody answers, ends up in `statuses`."""

    def ask() -> None:
        try:
            answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=ASKED, timeout=30)
            statuses.append(answer.status_code)
        except httpx.HTTPError:
            statuses.append(0)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def known_to(gateway: Gateway) -> None:
    """Wait until a gateway has heard of the account."""
    for _ in range(200):
        found = httpx.get(f"{gateway.url}/api/providers").json()["connections"]
        if any(row["authType"] == "oauth" for row in found):
            return
    raise AssertionError("the account did not arrive")


def test_a_token_is_renewed_once(pair: tuple[Gateway, Gateway], server: OAuthServer) -> None:
    signed_in(pair[0], server)
    known_to(pair[1])
    statuses: list[int] = []
    for thread in [asked(gateway, statuses) for gateway in pair * 5]:
        thread.join()
    assert (set(statuses), len(server.refreshes), len(set(server.chats))) == ({200}, 1, 1)
    # One dies while it waits for the provider: the other takes over.
    for gateway in pair:
        found = httpx.get(f"{gateway.url}/api/providers").json()["connections"]
    server.held = True
    server.arrived.clear()
    path = f"{pair[0].url}/api/providers/{found[0]['id']}/refresh"
    dying = threading.Thread(target=_quietly_posted, args=(path,))
    dying.start()
    assert server.arrived.wait(10)
    pair[0].kill()
    dying.join()
    server.held = False
    path = f"{pair[1].url}/api/providers/{found[0]['id']}/refresh"
    answer = httpx.post(path, timeout=30)
    assert (answer.status_code, len(server.refreshes)) == (200, 3), answer.text
    statuses.clear()
    asked(pair[1], statuses).join()
    assert statuses == [200]
    lines = "\n".join([*pair[0].lines, *pair[1].lines])
    assert [one for one in server.given if one in lines] == []


def _quietly_posted(path: str) -> None:
    try:
        httpx.post(path, timeout=30)
    except httpx.HTTPError:
        return
