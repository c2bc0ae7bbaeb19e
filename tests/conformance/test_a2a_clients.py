"""Other people's A2A clients against a gateway process: the JavaScript SDK over every interface,
and the Python SDK of 0.3."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conformance.javascript_runs import told
from tests.support.installing import installed
from tests.support.processes import Gateway

from omniroute_agents import SKILLS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    """A key of the gateway, which may tell receivers on this machine of changes."""
    with httpx.Client(base_url=gateway.url) as client:
        allowed = {"a2aAllowPrivateWebhooks": True}
        client.patch("/api/settings", json=allowed).raise_for_status()
        made = client.post("/api/keys", json={"name": "agent"}).raise_for_status()
    told_key: str = made.json()["key"]
    return told_key


INTERFACES = [["JSONRPC", "1.0"], ["JSONRPC", "0.3"], ["HTTP+JSON", "1.0"]]

CARD = {"agent-card.json": INTERFACES, "agent.json": INTERFACES, "signature": "Error"}


def said(binding: str, version: str) -> dict[str, Any]:
    """What every case says over an interface."""
    errors = "Rest" if binding == "HTTP+JSON" else "JsonRpc"
    history_of_0 = 1 if version == "0.3" else 0  # 0.3 takes 0 for no limit
    cases: dict[str, Any] = {
        "discover": {
            "name": "OmniRoute",
            "skills": list(SKILLS),
            "allowed": "urn:omniroute:a2a:key",
        },
        "send": ["TASK_STATE_COMPLETED", "one two"],
        "stream": {
            "first": "task",
            "pieces": ["one ", "two"],
            "states": ["TASK_STATE_SUBMITTED", "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"],
        },
        "get": ["TASK_STATE_COMPLETED", 1, history_of_0, f"{errors}TaskNotFoundError"],
        "list": [1, 2, True],
        "cancel": ["TASK_STATE_CANCELED", f"{errors}TaskNotCancelableError"],
        "resubscribe": [["task", "TASK_STATE_WORKING"], ["statusUpdate", "TASK_STATE_CANCELED"]],
        "push configurations": ["mine", True, "t", ["mine"], 0],
        "push deliveries": {"tokens": ["t"], "named": True},
    }
    return {name: one for name, one in cases.items() if (version, name) != ("0.3", "list")}


def test_the_javascript_sdk(packages: Path, gateway: Gateway, key: str) -> None:
    expected = [{"interface": "card", "case": case, "said": one} for case, one in CARD.items()]
    expected += [
        {"interface": f"{binding} {version}", "case": case, "said": one}
        for binding, version in INTERFACES
        for case, one in said(binding, version).items()
    ]
    assert told(packages, "a2a_clients.mjs", gateway.url, key) == expected


BEFORE = Path(__file__).parent / "a2a_before"

SAID_BEFORE: dict[str, Any] = {
    "send": ["completed", "one two"],
    "stream": [["one ", "two"], ["submitted", "working", "completed"]],
    "get": ["completed", 1, "smart-routing"],
    "cancel": ["canceled", -32002],
    "resubscribe": ["working", "canceled"],
    "push": [True, "mine", "t"],
    "errors": [-32001, -32001, -32001, -32602],
    "extended card": ["OmniRoute", "urn:omniroute:a2a:key"],
}


def test_the_python_sdk_of_0_3(gateway: Gateway, key: str) -> None:
    lock = "requirements.lock"
    install = ["bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    place = installed(
        BEFORE,
        lock,
        [sys.executable, "-m", "venv", "."],
        [*install, "--no-deps", "--require-hashes", "-r", lock],
    )
    command: list[str | Path] = [place / "bin/python", BEFORE / "client.py", gateway.url, key]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"card": path, "case": case, "said": one}
        for path in ("agent-card.json", "agent.json")
        for case, one in SAID_BEFORE.items()
    ]
