"""What is known of upstreams survives the process, however it ends."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.omniroute_app.conftest import configure, new_database
from tests.support.processes import Gateway, Upstream

PAUSES = {"connectionCooldown": {"apikey": {"baseCooldownMs": 600_000}}}
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def restarted(tmp_path: Path, database_kind: str) -> Iterator[Callable[[], Gateway]]:
    """Starts gateways one after the other over the same data directory and database."""
    with new_database(database_kind) as environ, ExitStack() as stack:
        yield lambda: stack.enter_context(Gateway(tmp_path, environ=environ))


def ailing(url: str, upstream: Upstream, process: Gateway) -> dict[str, Any]:
    """Make a provider fail twice, lock a model and rest an account; what is known then."""
    with httpx.Client(base_url=url, timeout=30) as client:
        configure(process, upstream)
        client.patch("/api/resilience", json=PAUSES).raise_for_status()
        for model in ("oai/flaky-404", "oai/flaky-429-600", "ant/flaky-500", "dead/echo"):
            answer = client.post("/v1/chat/completions", json={**ASKED, "model": model})
            assert answer.status_code >= 400
    return known(url)


def known(url: str) -> dict[str, Any]:
    """Everything that speaks against somebody, without what runs with the clock."""
    with httpx.Client(base_url=url, timeout=30) as client:
        page = client.get("/api/monitoring/health").json()
        locks = client.get("/api/resilience/model-cooldowns").json()["items"]
        accounts = client.get("/api/providers").json()["connections"]
    return {
        "breakers": [(row["provider"], row["failureCount"]) for row in page["providerBreakers"]],
        "locks": [(row["provider"], row["model"], row["reason"]) for row in locks],
        "resting": {
            row["name"]: row["rateLimitedUntil"] for row in accounts if "rateLimitedUntil" in row
        },
    }


def test_a_stop_keeps_what_is_known(restarted: Callable[[], Gateway], upstream: Upstream) -> None:
    first = restarted()
    before = ailing(first.url, upstream, first)
    assert (len(before["breakers"]), len(before["locks"]), len(before["resting"])) == (2, 2, 2)
    assert first.stop() == 0
    assert known(restarted().url) == before


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_kill_9_keeps_what_was_known_a_moment_ago(
    restarted: Callable[[], Gateway], upstream: Upstream, tmp_path: Path
) -> None:
    first = restarted()
    before = ailing(first.url, upstream, first)
    stored: list[str] = []
    deadline = time.monotonic() + 10
    while len(stored) < 6:
        assert time.monotonic() < deadline, "health was not stored in time"
        threading.Event().wait(0.05)
        with sqlite3.connect(tmp_path / "omniroute.db") as reader:
            stored = [row[0] for row in reader.execute("SELECT state FROM health_states")]
    assert all(isinstance(json.loads(state), dict) for state in stored)
    first.kill()
    assert known(restarted().url) == before
