"""Every fault, under every strategy, streamed and whole: the client gets an answer, and what the
fault does to its account and provider is what the table says and nothing else."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.omniroute_app.conftest import add_account
from tests.support.processes import Gateway, Upstream

from omniroute.routing.strategies import STRATEGIES

_names = itertools.count()


@dataclass(frozen=True)
class Fault:
    """How a target fails, and what follows: its verdict, a pause of its account, failures counted
    against its provider, and a lock on its model."""

    model: str
    verdict: str
    cools: bool
    counted: int
    locks: bool = False
    stream_only: bool = False


FAULTS = {
    "500": Fault("oai/flaky-500", "server_error", cools=True, counted=1),
    "503": Fault("oai/flaky-503", "server_error", cools=True, counted=1),
    # Custom upstreams limit each model by itself, so the account goes on with others.
    "429": Fault("oai/flaky-429-9", "rate_limited", cools=False, counted=0, locks=True),
    "404": Fault("oai/flaky-404", "unknown_model", cools=False, counted=0, locks=True),
    # The error says `insufficient_quota`, here of this model only.
    "403": Fault("oai/flaky-403", "credits_exhausted", cools=False, counted=0, locks=True),
    "connect refused": Fault("dead/echo", "unreachable", cools=True, counted=1),
    "slow first byte": Fault(
        "oai/slow-start-3000", "stream_timeout", cools=False, counted=0, stream_only=True
    ),
    "ends before content": Fault(
        "oai/cut-after-0", "stream_early_eof", cools=False, counted=0, stream_only=True
    ),
    "malformed": Fault("oai/malformed", "malformed_reply", cools=False, counted=1),
    "error inside a stream": Fault(
        "oai/error-after-0", "server_error", cools=True, counted=1, stream_only=True
    ),
}
CASES = [
    pytest.param(fault, strategy, stream, id=f"{name}-{strategy}-{'stream' if stream else 'whole'}")
    for name, fault in FAULTS.items()
    for strategy in STRATEGIES
    for stream in (True, False)
    if stream or not fault.stream_only
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[httpx.Client]:
    """A gateway that does not wait long for a first byte."""
    data: Path = tmp_path_factory.mktemp("faults")
    with (
        Gateway(data, environ={"STREAM_READINESS_TIMEOUT_MS": "150"}) as process,
        httpx.Client(base_url=process.url, timeout=30) as client,
    ):
        yield client


def failing(client: httpx.Client, upstream: Upstream, fault: Fault) -> tuple[str, str]:
    """The fault at a provider and an account nobody has used; the model and the account."""
    prefix, model = fault.model.split("/", 1)
    name = f"{prefix}{next(_names)}"
    url = "http://127.0.0.1:9/v1" if prefix == "dead" else f"{upstream.url}/v1"
    add_account(client, name, "openai-compatible", url)
    accounts = client.get("/api/providers").json()["connections"]
    account = next(row["id"] for row in accounts if row["name"] == f"{name} account")
    return f"{name}/{model}", account


@pytest.mark.parametrize(("fault", "strategy", "stream"), CASES)
def test_a_fault_is_survived_and_judged(
    site: httpx.Client, upstream: Upstream, fault: Fault, strategy: str, stream: bool
) -> None:
    model, account = failing(site, upstream, fault)
    name = f"combo-{next(_names)}"
    combo = {"name": name, "strategy": strategy, "models": [model, "demo/echo"]}
    site.post("/api/combos", json=combo).raise_for_status()
    body = {
        "model": name,
        "stream": stream,
        "messages": [{"role": "user", "content": "still here"}],
    }
    response = site.post("/v1/chat/completions", json=body)
    assert response.status_code == 200
    assert "still" in response.text
    trace = site.get(f"/api/routes/{response.headers['x-request-id']}").json()["trace"]
    attempts = [(row["connection"], row.get("verdict")) for row in trace["attempts"]]
    assert attempts[-1] == ("demo", None)
    assert trace["outcome"] == "completed"
    tried = [verdict for connection, verdict in attempts if connection == account]
    # A connection that was refused is a fresh one, so nothing is tried twice here.
    assert tried in ([], [fault.verdict])
    if strategy in ("priority", "fill-first", "context-relay", "least-used", "round-robin"):
        assert tried, "the first of the list is tried first"
    judged = (fault.cools, fault.counted, fault.locks) if tried else (False, 0, False)
    assert state_of(site, account) == judged


def state_of(client: httpx.Client, account: str) -> tuple[bool, int, bool]:
    """Whether an account rests, failures of its provider, whether a model is locked."""
    row: dict[str, Any] = client.get(f"/api/providers/{account}").json()["connection"]
    health = client.get("/api/monitoring/health").json()
    found = [one for one in health["providerBreakers"] if one["provider"] == row["provider"]]
    locked = client.get("/api/resilience/model-cooldowns").json()["items"]
    return (
        row.get("rateLimitedUntil") is not None,
        found[0]["failureCount"] if found else 0,
        any(one["connectionId"] == account for one in locked),
    )
