"""Runs: what a session, a named run or a trace caused, as one tree."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.wire import MODERN, MODERN_LIST, STREAM, call, enforcing, key

pytestmark = pytest.mark.anyio

ASKED = {"model": "demo/echo", "messages": [{"role": "user", "content": "hi"}]}
TRACE = "0af7651916cd43dd8448eb211c80319c"


async def run_of(
    client: httpx.AsyncClient, run_id: str, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    answer = await client.get(f"/api/runs/{run_id}", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def shape(step: dict[str, Any]) -> Any:
    """What kind of step, of what, how it ended, and what is below."""
    children = [shape(one) for one in step["children"]]
    return step["kind"], step["name"], step["status"], children


NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "by its name": ({"omniroute/runId": "nightly-42"}, "nightly-42"),
    "by its trace context": ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
}


@pytest.mark.parametrize(("meta", "run_id"), NAMES.values(), ids=NAMES)
async def test_tool_calls_and_their_model_calls_are_one_tree(
    tmp_path: Path, meta: dict[str, Any], run_id: str
) -> None:
    async with application(tmp_path) as (_, client, _):
        routed = await call(client, "omniroute_route_request", ASKED, meta=meta)
        failed = {**ASKED, "model": "demo/flaky-500"}
        await call(client, "omniroute_route_request", failed, meta=meta)
        await call(client, "omniroute_get_health", meta=meta)
        await call(client, "omniroute_get_health", meta={"omniroute/runId": "another"})
        found = await run_of(client, run_id)
        listed = (await client.get("/api/runs")).json()["runs"]
    request_id = routed["structuredContent"]["routing"]["requestId"]
    assert [shape(step) for step in found["tree"]] == [
        (
            "tool",
            "omniroute_route_request",
            "completed",
            [("model", "demo/echo", "completed", [])],
        ),
        (
            "tool",
            "omniroute_route_request",
            "failed",
            [("model", "demo/flaky-500", "failed", [])],
        ),
        ("tool", "omniroute_get_health", "completed", []),
    ]
    model = found["tree"][0]["children"][0]
    assert (model["requestId"], model["inputTokens"], model["outputTokens"]) == (request_id, 1, 1)
    assert "scripted failure" in found["tree"][1]["children"][0]["verdict"]
    assert (found["steps"], found["modelCalls"], found["toolCalls"], found["status"]) == (
        5,
        2,
        3,
        "completed",
    )
    assert {one["runId"]: one["steps"] for one in listed} == {run_id: 5, "another": 1}


async def test_a_model_call_over_http_joins_the_run_it_names(tmp_path: Path) -> None:
    named = {"X-OmniRoute-Run-Id": "mixed"}
    async with application(tmp_path) as (_, client, _):
        await client.post("/v1/chat/completions", json=ASKED, headers=named)
        await call(client, "omniroute_get_health", meta={"omniroute/runId": "mixed"})
        found = await run_of(client, "mixed")
    assert [(step["kind"], step["door"]) for step in found["tree"]] == [
        ("model", "http"),
        ("tool", "mcp"),
    ]


async def test_a_budget_binds_to_a_run_and_shows_in_it(tmp_path: Path) -> None:
    limit = {"scope": "run", "scopeId": "thrifty", "totalLimitUsd": 0.000001}
    async with application(tmp_path) as (_, client, _):
        assert (await client.post("/api/usage/budget/scopes", json=limit)).status_code in (200, 201)
        await call(client, "omniroute_get_health", meta={"omniroute/runId": "thrifty"})
        found = await run_of(client, "thrifty")
    assert (found["budget"]["scope"], found["budget"]["totalLimitUsd"]) == ("run", 0.000001)


async def test_a_key_sees_its_own_steps_only(tmp_path: Path) -> None:
    async with enforcing(tmp_path) as (engine, client, _):
        one, two = [await key(engine, "mcp", "read:*") for _ in range(2)]
        meta = {"omniroute/runId": "shared"}
        await call(client, "omniroute_get_health", meta=meta, headers=one)
        await call(client, "omniroute_list_combos", meta=meta, headers=two)

        async def seen(headers: dict[str, str], run_id: str) -> Any:
            uri = f"omniroute://runs/{run_id}"
            params = {**MODERN_LIST["params"], "uri": uri}  # type: ignore[dict-item]
            body = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": params}
            names = {"mcp-method": "resources/read", "mcp-name": uri}
            answer = await client.post(STREAM, json=body, headers={**MODERN, **names, **headers})
            return answer.json()

        mine = json.loads((await seen(one, "shared"))["result"]["contents"][0]["text"])
        nobodys = await seen(one, "never-ran")
    assert [step["name"] for step in mine["tree"]] == ["omniroute_get_health"]
    assert nobodys["error"]["code"] == -32602


async def test_without_a_name_the_call_is_its_own_run(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        await call(client, "omniroute_route_request", ASKED)
        (line,) = (await client.get("/api/runs")).json()["runs"]
        found = await run_of(client, line["runId"])
    assert [shape(step) for step in found["tree"]] == [
        ("tool", "omniroute_route_request", "completed", [("model", "demo/echo", "completed", [])])
    ]
