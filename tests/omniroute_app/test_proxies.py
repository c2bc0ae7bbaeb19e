"""A gateway process with proxied accounts: whole replies, streams, a proxy that dies."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, Self

import httpx
import pytest
from tests.omniroute_app.conftest import add_account
from tests.support.processes import Gateway, Upstream
from tests.support.proxies import TestProxy, running


class Beside:
    """Proxies on an event loop of their own, beside the test."""

    def __init__(self, *proxies: TestProxy) -> None:
        self.proxies = proxies
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._contexts = [running(proxy) for proxy in proxies]

    def do(self, what: Any) -> Any:
        """Run something on the proxies' loop."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    def __enter__(self) -> Self:
        self._thread.start()
        for context in self._contexts:
            self.do(context.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        for context in self._contexts:
            self.do(context.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def beside() -> Iterator[Beside]:
    """An HTTP and a SOCKS5 proxy, both locked."""
    locked = (TestProxy("http", "me", "hush-http"), TestProxy("socks5", "me", "hush-socks"))
    with Beside(*locked) as made:
        yield made


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, beside: Beside, upstream: Upstream
) -> Iterator[tuple[Gateway, httpx.Client]]:
    """A gateway with an account for each proxy (`via-http`, `via-socks5`) and a combo of both."""
    data_dir: Path = tmp_path_factory.mktemp("proxied")
    with Gateway(data_dir) as gateway, httpx.Client(base_url=gateway.url, timeout=30) as client:
        for proxy in beside.proxies:
            prefix = f"via-{proxy.kind}"
            add_account(client, prefix, "openai-compatible", f"{upstream.url}/v1")
            new = {
                "name": prefix,
                "type": proxy.kind,
                "host": "127.0.0.1",
                "port": proxy.port,
                "username": "me",
                "password": proxy.password,
            }
            made = client.post("/v1/management/proxies", json=new).raise_for_status().json()
            given = {"scope": "provider", "scopeId": prefix, "proxyId": made["id"]}
            path = "/v1/management/proxies/assignments"
            client.put(path, json=given).raise_for_status()
        combo = {"name": "both", "models": ["via-http/echo", "via-socks5/echo"]}
        client.post("/api/combos", json=combo).raise_for_status()
        yield gateway, client
        assert gateway.stop() == 0
        told = "\n".join(gateway.lines)
        stored = b"".join(one.read_bytes() for one in data_dir.rglob("*") if one.is_file())
        for secret in ("hush-http", "hush-socks"):
            assert secret not in told
            assert secret.encode() not in stored


def chat(client: httpx.Client, model: str, text: str, **more: Any) -> httpx.Response:
    messages = [{"role": "user", "content": text}]
    body = {"model": model, "messages": messages, **more}
    return client.post("/v1/chat/completions", json=body)


@pytest.mark.parametrize("place", [0, 1], ids=["http", "socks5"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_answers_come_through_the_proxy(
    site: tuple[Gateway, httpx.Client],
    beside: Beside,
    upstream: Upstream,
    place: int,
    stream: bool,
) -> None:
    proxy = beside.proxies[place]
    response = chat(site[1], f"via-{proxy.kind}/echo", f"Hello {stream}", stream=stream)
    assert response.status_code == 200
    assert "Hello" in response.text
    assert set(proxy.asked) == {f"127.0.0.1:{upstream.port}"}


def test_the_other_target_of_a_combo_has_its_own_proxy_and_serves_when_one_dies(
    site: tuple[Gateway, httpx.Client], beside: Beside
) -> None:
    async def die() -> None:
        beside.proxies[0].die()

    beside.do(die())
    response = chat(site[1], "both", "Who is left?")
    assert response.status_code == 200
    assert "Who is left?" in response.text
    found = site[1].get(f"/api/routes/{response.headers['x-request-id']}").json()["trace"]
    *failed, served = found["attempts"]
    assert failed[-1]["verdict"] == "proxy_unreachable"
    assert served["proxy"] == f"socks5://127.0.0.1:{beside.proxies[1].port}"
    alone = chat(site[1], "via-http/echo", "Anybody?")
    assert (alone.status_code, alone.json()["error"]["code"]) == (503, "PROXY_UNREACHABLE")
