"""Other people's MCP clients against a gateway process: the JavaScript SDK, and the Inspector."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.javascript_runs import told
from tests.support.installing import node
from tests.support.processes import Gateway

from omniroute_mcp.tools import TOOLS

pytestmark = pytest.mark.slow

LIMIT_S = 60

SAID: dict[str, Any] = {
    "initialize": {
        "name": "omniroute",
        "able": ["logging", "completions", "prompts", "resources", "tools"],
    },
    "list tools": {"names": list(TOOLS), "pages": 1},
    "progress": {
        "told": [[4, "one "], [8, "one two "], [13, "one two three"]],
        "content": "one two three",
    },
    "tool errors": {"isError": True, "text": "Error: messages: at least one message is needed"},
    "read a resource": [["omniroute://health", "application/json"]],
    "read an unknown resource": -32002,
    "subscribe": "omniroute://combos",
    "prompt": {"listed": True, "roles": ["user", "user"]},
    "complete": ["month"],
    "cancel": ["aborted", False],
}


def stdio(data_dir: Path) -> list[str]:
    """`omniroute mcp` as a client starts it."""
    return [sys.executable, "-m", "omniroute_app", "mcp", "--data-dir", str(data_dir)]


def test_the_javascript_sdk(packages: Path, gateway: Gateway) -> None:
    rows = told(packages, "mcp_clients.mjs", gateway.url, *stdio(gateway.data_dir))
    transports = ("Streamable HTTP", "SSE", "stdio")
    assert rows == [
        {"transport": transport, "case": case, "said": said}
        for transport in transports
        for case, said in SAID.items()
    ]


SERVERS: dict[str, Callable[[Gateway, Path], list[str]]] = {
    "Streamable HTTP": lambda gateway, _: [
        *("--server-url", f"{gateway.url}/api/mcp/stream", "--transport", "http")
    ],
    "Streamable HTTP, stateless": lambda gateway, _: [
        *("--server-url", f"{gateway.url}/api/mcp/stream", "--transport", "http"),
        *("--protocol-era", "modern"),
    ],
    "SSE": lambda gateway, _: ["--server-url", f"{gateway.url}/api/mcp/sse"],
    "stdio": lambda _, own: stdio(own),
    "stdio beside a running gateway": lambda gateway, _: stdio(gateway.data_dir),
}

HELLO = {"model": "demo/echo", "messages": [{"role": "user", "content": "hello inspector"}]}


@pytest.fixture
def inspect(packages: Path, tmp_path: Path) -> Callable[..., tuple[int, Any]]:
    """Runs the Inspector; its exit status, and its result or its error."""

    def run(server: list[str], *arguments: str) -> tuple[int, Any]:
        inspector = packages / "node_modules/.bin/mcp-inspector"
        done = subprocess.run(
            [node(packages), inspector, "--cli", *server, *arguments, "--format", "json"],
            env={**os.environ, "HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        return done.returncode, json.loads(done.stdout)["result"] if done.stdout else done.stderr

    return run


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_the_inspector_lists_and_calls(
    gateway: Gateway,
    tmp_path: Path,
    inspect: Callable[..., tuple[int, Any]],
    server: Callable[[Gateway, Path], list[str]],
) -> None:
    target = server(gateway, tmp_path / "own")
    # Strict: every schema is one that other people's models and validators take.
    status, listed = inspect(target, "--method", "tools/list", "--strict")
    assert status == 0, listed
    assert [tool["name"] for tool in listed["tools"]] == list(TOOLS)
    asked = ("--tool-name", "omniroute_route_request", "--tool-args-json", json.dumps(HELLO))
    status, called = inspect(target, "--method", "tools/call", *asked)
    assert status == 0, called
    assert called["structuredContent"]["response"]["content"] == "hello inspector"


METHODS: dict[str, tuple[tuple[str, ...], Callable[[Any], Any], Any]] = {
    "resources/list": (
        (),
        lambda result: "omniroute://health" in [one["uri"] for one in result["resources"]],
        True,
    ),
    "resources/templates/list": (
        (),
        lambda result: (
            "omniroute://usage/{period}"
            in [one["uriTemplate"] for one in result["resourceTemplates"]]
        ),
        True,
    ),
    "resources/read": (
        ("--uri", "omniroute://health"),
        lambda result: json.loads(result["contents"][0]["text"])["status"],
        "healthy",
    ),
    "prompts/list": (
        (),
        lambda result: "incident-summary" in [one["name"] for one in result["prompts"]],
        True,
    ),
    "prompts/get": (
        ("--prompt-name", "incident-summary"),
        lambda result: [one["role"] for one in result["messages"]],
        ["user", "user"],
    ),
}


@pytest.mark.parametrize("method", METHODS)
def test_the_inspector_reads(
    gateway: Gateway, inspect: Callable[..., tuple[int, Any]], method: str
) -> None:
    arguments, pick, expected = METHODS[method]
    server = SERVERS["Streamable HTTP"](gateway, gateway.data_dir)
    status, result = inspect(server, "--method", method, *arguments)
    assert status == 0, result
    assert pick(result) == expected


def test_the_inspector_tells_a_failing_tool_by_its_status(
    gateway: Gateway, inspect: Callable[..., tuple[int, Any]]
) -> None:
    server = SERVERS["Streamable HTTP"](gateway, gateway.data_dir)
    asked = ("--method", "tools/call", "--tool-name", "omniroute_route_request")
    refused = ("--tool-args-json", json.dumps({**HELLO, "messages": []}))
    status, result = inspect(server, *asked, *refused)
    assert status != 0
    assert "at least one message is needed" in json.dumps(result)
