"""The SDK's client over every transport and in both eras, against a real process."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp_types import ResourceTemplateReference
from tests.omniroute_mcp.wire import INITIALIZE, LIST
from tests.support.processes import Gateway

from omniroute_mcp.heartbeat import heartbeat_path, is_alive, read_heartbeat
from omniroute_mcp.tools import TOOLS

pytestmark = pytest.mark.anyio

LIMIT_S = 30
ERAS = ["legacy", "2026-07-28"]
HELLO = {"model": "demo/echo", "messages": [{"role": "user", "content": "hello from mcp"}]}


def stdio(data_dir: Path) -> StdioServerParameters:
    """`omniroute mcp` as a client starts it."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "omniroute_app", "mcp", "--data-dir", str(data_dir)],
    )


TRANSPORTS: dict[str, Callable[[Gateway, Path], Any]] = {
    "Streamable HTTP": lambda gateway, _: f"{gateway.url}/api/mcp/stream",
    "Streamable HTTP on the SSE path": lambda gateway, _: f"{gateway.url}/api/mcp/sse",
    "SSE": lambda gateway, _: sse_client(f"{gateway.url}/api/mcp/sse"),
    "stdio": lambda _, own: stdio(own),
    "stdio beside a running gateway": lambda gateway, _: stdio(gateway.data_dir),
}


CONNECTIONS = [
    *((transport, era) for transport in TRANSPORTS for era in ERAS),
    # The client finds out which era it is.
    ("Streamable HTTP", "auto"),
    ("SSE", "auto"),
]


@pytest.mark.parametrize(("transport", "era"), CONNECTIONS)
async def test_every_transport_lists_and_calls(
    gateway: Gateway, tmp_path: Path, transport: str, era: str
) -> None:
    with anyio.fail_after(LIMIT_S):
        async with Client(TRANSPORTS[transport](gateway, tmp_path), mode=era) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == list(TOOLS)
            routed = await client.call_tool("omniroute_route_request", HELLO)
            assert routed.structured_content["response"] == {
                "content": "hello from mcp",
                "model": "demo/echo",
                "tokens": {"prompt": 3, "completion": 3},
            }
            request_id = routed.structured_content["routing"]["requestId"]
            explained = await client.call_tool("omniroute_explain_route", {"requestId": request_id})
            assert explained.structured_content["decision"]["providerSelected"] == "demo"


FAILURES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a missing field": (
        "omniroute_simulate_route",
        {"model": "demo/echo"},
        "Error: promptTokenEstimate: is required",
    ),
    "a field of the wrong type": (
        "omniroute_route_request",
        {"model": 5, "messages": []},
        "Error: model: Expected 'str', got 'int'",
    ),
    "no messages": (
        "omniroute_route_request",
        {"model": "demo/echo", "messages": []},
        "Error: messages: at least one message is needed",
    ),
    "an upstream that fails": (
        "omniroute_route_request",
        {**HELLO, "model": "demo/flaky-500"},
        "Error: demo: scripted failure with status 500",
    ),
    "a budget that is too small": (
        "omniroute_route_request",
        {**HELLO, "budget": -1},
        "Error: budget: must be more than 0",
    ),
    "an unknown combo": (
        "omniroute_simulate_route",
        {"model": "x", "promptTokenEstimate": 1, "combo": "nobody"},
        "Error: There is no combo 'nobody'. None is configured yet.",
    ),
    "an unknown provider": (
        "omniroute_list_models_catalog",
        {"provider": "opnai"},
        "Error: There is no provider 'opnai'. Did you mean 'openai'?",
    ),
    "an unknown tool": ("omniroute_fly", {}, "Unknown tool: omniroute_fly"),
}


@pytest.mark.parametrize(("name", "arguments", "text"), FAILURES.values(), ids=FAILURES)
async def test_failures_are_tool_errors(
    gateway: Gateway, name: str, arguments: dict[str, Any], text: str
) -> None:
    async with Client(f"{gateway.url}/api/mcp/stream") as client:
        result = await client.call_tool(name, arguments)
    told = [part.text for part in result.content if part.type == "text"]
    assert (result.is_error, told) == (True, [text])


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("connect", TRANSPORTS.values(), ids=TRANSPORTS)
async def test_progress_tells_the_text_so_far(
    gateway: Gateway, tmp_path: Path, connect: Callable[[Gateway, Path], Any], era: str
) -> None:
    told: list[tuple[float, str | None]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    asked = {**HELLO, "model": "demo/slow-5"}
    with anyio.fail_after(LIMIT_S):
        async with Client(connect(gateway, tmp_path), mode=era) as client:
            await client.call_tool("omniroute_route_request", asked, progress_callback=heard)
    assert told == [(6.0, "hello "), (11.0, "hello from "), (14.0, "hello from mcp")]


async def test_stdio_has_an_engine_of_its_own_where_the_gateway_leaves_it_stdio(
    tmp_path: Path,
) -> None:
    with anyio.fail_after(LIMIT_S), Gateway(tmp_path) as beside:
        async with httpx.AsyncClient(base_url=beside.url) as http:
            chosen = await http.patch("/api/settings", json={"mcpTransport": "stdio"})
        assert chosen.status_code == 200, chosen.text
        async with Client(stdio(tmp_path)) as client:
            routed = await client.call_tool("omniroute_route_request", HELLO)
        assert beside.stop() == 0
    assert not routed.is_error


async def test_nothing_but_messages_is_on_standard_output(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "omniroute_app", "--mcp", "--data-dir", str(tmp_path)]
    notice = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    said = b""
    with anyio.fail_after(LIMIT_S):
        async with await anyio.open_process(command) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for message in (INITIALIZE, notice, LIST):
                await process.stdin.send(json.dumps(message).encode() + b"\n")
            while b'"id":2' not in said or not said.endswith(b"\n"):
                said += await process.stdout.receive()
            await process.stdin.aclose()
            async for rest in process.stdout:
                said += rest
    messages = [json.loads(line) for line in said.splitlines()]
    assert [one["id"] for one in messages] == [1, 2]
    assert process.returncode == 0


async def test_a_stdio_process_shows_its_pulse(tmp_path: Path) -> None:
    path = heartbeat_path(tmp_path)
    with anyio.fail_after(LIMIT_S):
        async with Client(stdio(tmp_path)) as client:
            await client.list_tools()
            during = read_heartbeat(path)
            assert during is not None
            assert is_alive(during.pid)
        while is_alive(during.pid):
            await anyio.lowlevel.checkpoint()
    left = read_heartbeat(path)
    assert left is not None
    assert (left.pid, left.tool_count) == (during.pid, len(TOOLS))
    assert left.last_heartbeat_at > left.started_at


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("connect", TRANSPORTS.values(), ids=TRANSPORTS)
async def test_every_transport_reads_prompts_and_completes(
    gateway: Gateway, tmp_path: Path, connect: Callable[[Gateway, Path], Any], era: str
) -> None:
    with anyio.fail_after(LIMIT_S):
        async with Client(connect(gateway, tmp_path), mode=era) as client:
            assert (await client.read_resource("omniroute://health")).contents
            assert (await client.get_prompt("incident-summary")).messages
            period = ResourceTemplateReference(
                type="ref/resource", uri="omniroute://usage/{period}"
            )
            found = await client.complete(period, {"name": "period", "value": "mo"})
            assert found.completion.values == ["month"]


THROUGH_THE_GATEWAY = {name: one for name, one in TRANSPORTS.items() if name != "stdio"}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("connect", THROUGH_THE_GATEWAY.values(), ids=THROUGH_THE_GATEWAY)
async def test_cancelling_a_call_stops_the_upstream(
    gateway: Gateway, tmp_path: Path, connect: Callable[[Gateway, Path], Any], era: str
) -> None:
    async def reserved() -> int:
        async with httpx.AsyncClient() as http:
            health = await http.get(f"{gateway.url}/api/monitoring/health")
        open_now: int = health.json()["ledger"]["openReservations"]
        return open_now

    asked = {**HELLO, "model": "demo/slow-start-60000"}
    with anyio.fail_after(LIMIT_S):
        async with Client(connect(gateway, tmp_path), mode=era) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.call_tool, "omniroute_route_request", asked)
                while await reserved() != 1:
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            while await reserved() != 0:
                await anyio.lowlevel.checkpoint()
            after = await client.call_tool("omniroute_get_health", {})
            assert not after.is_error
