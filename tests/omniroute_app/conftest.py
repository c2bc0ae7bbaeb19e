"""A gateway process and a demo upstream process, on SQLite and on PostgreSQL."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

import httpx
import pytest
from tests.omniroute_app.targets import TARGETS, add_target
from tests.support.databases import drop_postgres_database, new_postgres_database
from tests.support.processes import Gateway, Upstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """The demo provider on a socket of its own."""
    with Upstream() as process:
        yield process


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Which database the gateway stands on."""
    kind: str = request.param
    return kind


@contextmanager
def new_database(kind: str) -> Iterator[dict[str, str]]:
    """The environment that chooses a fresh database of a kind."""
    if kind == "sqlite":
        yield {}
        return
    url = new_postgres_database()
    try:
        yield {"DATABASE_URL": url}
    finally:
        drop_postgres_database(url)


@pytest.fixture(scope="session")
def gateways(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> Iterator[Callable[[str], Gateway]]:
    """Starts the gateway on a kind of database once, however often files go back and forth."""
    with ExitStack() as stack:
        running: list[Gateway] = []

        @cache
        def started(kind: str) -> Gateway:
            environ = stack.enter_context(new_database(kind))
            environ = {**environ, "STREAM_READINESS_TIMEOUT_MS": "700"}
            data_dir = tmp_path_factory.mktemp("gateway")
            process = stack.enter_context(Gateway(data_dir, environ=environ))
            configure(process, upstream)
            running.append(process)
            return process

        yield started
        assert [process.stop() for process in running] == [0] * len(running)


@pytest.fixture(scope="session")
def gateway(gateways: Callable[[str], Gateway], database_kind: str) -> Gateway:
    """A gateway with an account for every dialect a target can speak; see `configure`."""
    return gateways(database_kind)


@pytest.fixture(scope="session")
def crossroads(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    """A gateway like `gateway`, on SQLite only: SDKs times dialects are many enough."""
    with Gateway(tmp_path_factory.mktemp("matrix")) as process:
        configure(process, upstream)
        yield process
        assert process.stop() == 0


@pytest.fixture
def renewed(crossroads: Gateway, upstream: Upstream) -> Iterator[Callable[[str], str]]:
    """Gives a target of the matrix back its good health, before a test that spoils it and after.

    Called with `target/model`, which it returns.
    """
    spoilt = []
    with httpx.Client(base_url=crossroads.url) as client:

        def heal(target: str) -> None:
            add_target(client, target, upstream.url)
            client.post("/api/resilience/reset").raise_for_status()

        def renew(model: str) -> str:
            target = model.split("/", 1)[0]
            spoilt.append(target)
            heal(target)
            return model

        yield renew
        for target in spoilt:
            heal(target)


def configure(process: Gateway, upstream: Upstream) -> None:
    """Configure real upstreams over HTTP, as an operator would.

    Prefixes: those of `TARGETS`, `oai` for one more OpenAI upstream, `dead` for a port where
    nobody listens.
    """
    with httpx.Client(base_url=process.url) as client:
        for target in TARGETS.values():
            add_target(client, target, upstream.url)
        add_account(client, "oai", "openai-compatible", f"{upstream.url}/v1")
        add_account(client, "dead", "openai-compatible", "http://127.0.0.1:9/v1")


def add_account(client: httpx.Client, prefix: str, kind: str, base_url: str) -> None:
    """A node called `prefix` and one account of it."""
    node = {"name": prefix, "prefix": prefix, "type": kind, "baseUrl": base_url}
    if kind == "openai-compatible":
        node["apiType"] = "chat"
    made = client.post("/api/provider-nodes", json=node).raise_for_status()
    account = {
        "provider": made.json()["node"]["id"],
        "name": f"{prefix} account",
        "apiKey": "not-a-secret",
    }
    client.post("/api/providers", json=account).raise_for_status()


_numbers = itertools.count()


@pytest.fixture
def fresh(client: httpx.Client, upstream: Upstream) -> Callable[[str], str]:
    """Turns `oai/x`, `ant/x` or `dead/x` into the same model at an account nobody has used yet,
    so that what earlier tests did to its health does not show."""

    def renew(model: str) -> str:
        prefix, name = model.split("/", 1)
        if prefix == "demo":
            return model
        kind = "anthropic-compatible" if prefix == "ant" else "openai-compatible"
        base_url = "http://127.0.0.1:9/v1" if prefix == "dead" else f"{upstream.url}/v1"
        made = f"{prefix}{next(_numbers)}"
        add_account(client, made, kind, base_url)
        return f"{made}/{name}"

    return renew


@pytest.fixture
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    """Plain HTTP to the gateway."""
    with httpx.Client(base_url=gateway.url, timeout=30) as http:
        yield http
