"""Every URL somebody can set, against every address that must not be reached.

A new way out is one more row of `WAYS`: a coroutine that has the gateway ask for a URL, and says
what came of it.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, TypeAlias

import httpx
import msgspec
import pytest
from tests.omniroute.http.conftest import OpenSite, Site
from tests.support.forbidden import FORBIDDEN, PRIVATE

from omniroute.chat import ChatRequest, Image, Message
from omniroute.errors import OmniRouteError
from omniroute.pipeline.accounts.quota_question import Asking
from omniroute.pipeline.accounts.quota_question import ask as ask_quota
from omniroute.pipeline.inlining import inlined
from omniroute.upstream.price_lists import ListUnusable

pytestmark = pytest.mark.anyio

Way: TypeAlias = Callable[[Site, httpx.AsyncClient, str], Awaitable[str]]
REFUSED = ("was refused", "not a valid URL", "never called", "not called", "must be")


class Heard:
    """A server on loopback that counts who comes."""

    def __init__(self) -> None:
        self.requests = 0


@contextmanager
def listening() -> Iterator[tuple[Heard, int]]:
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.requests += 1
            self.send_error(404)

        do_POST = do_CONNECT = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield heard, server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def _chat(client: httpx.AsyncClient, model: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": model}]}
    return (await client.post("/v1/chat/completions", json=body)).text


async def base_url_of_an_account(site: Site, client: httpx.AsyncClient, url: str) -> str:
    options = {"baseUrl": url}
    account = {"provider": "openai", "name": url, "apiKey": "x", "providerSpecificData": options}
    made = await client.post("/api/providers", json=account)
    if made.status_code != 200 and made.status_code != 201:
        return made.text
    said = await _chat(client, "openai/gpt-5-mini")
    await client.delete(f"/api/providers/{made.json()['connection']['id']}")
    return said


async def base_url_of_a_node(site: Site, client: httpx.AsyncClient, url: str) -> str:
    node = {"type": "openai-compatible", "baseUrl": url, "apiKey": "x"}
    return (await client.post("/api/provider-nodes/validate", json=node)).text


async def base_url_of_a_validation(site: Site, client: httpx.AsyncClient, url: str) -> str:
    body = {"provider": "openai", "apiKey": "x", "baseUrl": url}
    return (await client.post("/api/providers/validate", json=body)).text


async def quota_url(site: Site, client: httpx.AsyncClient, url: str) -> str:
    chat, snapshot = site.engine.chat, site.engine.snapshot
    account = msgspec.structs.replace(snapshot.connections["demo"], options={"quotaUrl": url})
    provider = snapshot.providers["openai"]
    asking = Asking(chat.gate, chat.demo, chat.credentials, chat.allow_private)
    try:
        await ask_quota(asking, provider, account, "omniroute", 0)
    except OmniRouteError as error:
        return str(error)
    return "it was asked"


async def price_list(site: Site, client: httpx.AsyncClient, url: str) -> str:
    lists = replace(site.engine.price_lists, urls={"litellm": url})
    try:
        await lists.fetch("litellm")
    except ListUnusable as error:
        return str(error)
    return "it was fetched"


async def picture(site: Site, client: httpx.AsyncClient, url: str) -> str:
    asked = ChatRequest("m", (Message("user", (Image(media_type="image/png", url=url),)),))
    try:
        await inlined(asked, site.engine.chat.gate, lambda _: None)
    except OmniRouteError as error:
        return str(error)
    return "it was fetched"


async def host_of_a_proxy(site: Site, client: httpx.AsyncClient, url: str) -> str:
    found = re.fullmatch(r"http://(\[[^]]+\]|[^:/]+)(?::(\d+))?/.*", url)
    assert found is not None
    proxy = {"host": found[1], "port": found[2] or 80}
    return (await client.post("/api/settings/proxy/test", json={"proxy": proxy})).text


async def cloud(site: Site, client: httpx.AsyncClient, url: str) -> str:
    said = []
    for one in (url, url.replace("http://", "https://", 1)):
        told = await client.patch("/api/settings", json={"cloudUrl": one})
        if told.status_code == 200:
            told = await client.post("/api/sync/cloud", json={"action": "enable"})
        said.append(told.text)
    return said[1] if any(word in said[0] for word in REFUSED) else said[0]


WAYS: dict[str, Way] = {
    "base URL of an account": base_url_of_an_account,
    "base URL of a node": base_url_of_a_node,
    "base URL of a validation": base_url_of_a_validation,
    "quota URL": quota_url,
    "price list": price_list,
    "picture of a caller": picture,
    "host of a proxy": host_of_a_proxy,
    "cloud": cloud,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_some_addresses_are_reached_by_no_way(site: OpenSite, way: Way) -> None:
    public = {"OMNIROUTE_HOST": "0.0.0.0", "OMNIROUTE_API_KEY": "k", "REQUIRE_API_KEY": "false"}
    with listening() as (heard, port):
        async with site() as allowed, allowed.as_peer() as client:
            for name, url in FORBIDDEN.items():
                said = await way(allowed, client, url)
                assert any(word in said for word in REFUSED), f"{name}: {said}"
        async with site(**public) as guarded, guarded.as_peer() as client:
            for name, url in {**FORBIDDEN, **PRIVATE}.items():
                said = await way(guarded, client, url.format(port=port))
                assert any(word in said for word in REFUSED), f"{name}: {said}"
    assert heard.requests == 0
