"""The log of tool calls: one row each, hashes and summaries, and never in a call's way."""

import hashlib
import json
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from mcp import Client
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.wire import call, enforcing, key

from omniroute.engine import Engine
from omniroute_mcp.audit import input_hash, summary
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.door import parts
from omniroute_mcp.tools import TOOLS
from omniroute_mcp.tools.row import ToolRow

pytestmark = pytest.mark.anyio

ROUTE, MODELS = TOOLS["omniroute_route_request"], TOOLS["omniroute_list_models_catalog"]
SECRET = "correct-horse-battery"
ASKED = {"model": "demo/echo", "messages": [{"role": "user", "content": "hi"}]}


def sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


async def entries(client: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    """The newest rows."""
    page = (await client.get(f"/api/mcp/audit?{query}")).json()
    rows: list[dict[str, Any]] = page["entries"]
    return rows


async def test_a_row_holds_hash_and_summary(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        await call(client, "omniroute_route_request", {**ASKED, SECRET: 1})
        (row,) = await entries(client)
    assert row["outputSummary"].startswith('{"response":{"content":"hi","model":"demo/echo"')
    assert row["outputSummary"].endswith("… keys=[messages, model]")
    assert row["durationMs"] >= 0
    told = {name: row[name] for name in ("toolName", "inputHash", "success", "errorCode")}
    assert told == {
        "toolName": "omniroute_route_request",
        "inputHash": sha256({"model": "demo/echo", "messageCount": 1}),
        "success": True,
        "errorCode": None,
    }


async def test_arguments_are_nowhere_in_the_data_directory(tmp_path: Path) -> None:
    asked = {"model": "demo/flaky-500", "messages": [{"role": "user", "content": SECRET}]}
    async with application(tmp_path) as (_, client, _):
        await call(client, "omniroute_route_request", {**asked, SECRET: SECRET})
        await call(client, "omniroute_fly", {SECRET: SECRET})
        await call(client, "omniroute_simulate_route", {"model": 1, SECRET: SECRET})
        assert len(await entries(client)) == 3
    held = files(tmp_path)
    assert "omniroute.db" in held
    assert [name for name, data in held.items() if SECRET.encode() in data] == []


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


CODES: dict[str, tuple[str, dict[str, Any], str]] = {
    "arguments that break the schema": ("omniroute_simulate_route", {}, "ValidationFailed"),
    "messages that cannot be counted": (
        "omniroute_route_request",
        {"model": "x", "messages": 7},
        "ValidationFailed",
    ),
    "an unknown tool": ("omniroute_fly", {}, "unknown_tool"),
}


@pytest.mark.parametrize(("name", "arguments", "code"), CODES.values(), ids=CODES)
async def test_failures_are_rows_too(
    tmp_path: Path, name: str, arguments: dict[str, Any], code: str
) -> None:
    async with application(tmp_path) as (_, client, _):
        result = await call(client, name, arguments)
        (row,) = await entries(client)
    assert result["isError"]
    assert (row["success"], row["errorCode"]) == (False, code)
    assert row["outputSummary"].startswith("(null)")


async def test_a_refused_call_hashes_the_check(tmp_path: Path) -> None:
    async with enforcing(tmp_path) as (engine, client, _):
        headers = await key(engine, "mcp")
        await call(client, "omniroute_get_health", headers=headers)
        await call(client, "omniroute_fly", headers=headers)
        fly, health = await entries(client)
    check = {
        "callerId": health["apiKeyId"],
        "source": "authInfo",
        "required": ["read:health"],
        "provided": ["mcp"],
        "missing": ["read:health"],
    }
    assert health["inputHash"] == sha256({"_scopeCheck": check})
    assert (health["errorCode"], health["durationMs"]) == ("scope_denied:missing_scopes", 0)
    assert fly["errorCode"] == "scope_denied:tool_definition_missing"


SUMMARIES: dict[str, tuple[ToolRow | None, dict[str, Any], Any, str]] = {
    "nothing": (TOOLS["omniroute_get_health"], {}, None, "(null)"),
    "level none": (MODELS, {}, {"models": []}, "(null)"),
    "level basic": (TOOLS["omniroute_get_health"], {"a": 1}, {"ok": True}, '{"ok":true}'),
    "level full": (ROUTE, {"model": 1, "mine": 2}, {"ok": 1}, '{"ok":1} keys=[model]'),
    "exactly 200": (TOOLS["omniroute_get_health"], {}, "x" * 198, '"' + "x" * 198 + '"'),
    "over 200": (TOOLS["omniroute_get_health"], {}, "x" * 199, '"' + "x" * 199 + "…"),
    "no such tool": (None, {"a": 1}, None, "(null)"),
}


@pytest.mark.parametrize(("row", "arguments", "output", "told"), SUMMARIES.values(), ids=SUMMARIES)
def test_summary(row: ToolRow | None, arguments: dict[str, Any], output: Any, told: str) -> None:
    assert summary(row, arguments, output) == told


HASHED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a trial": (
        "omniroute_test_combo",
        {"comboId": "c", "testPrompt": SECRET},
        {"comboId": "c"},
    ),
    "a guard": (
        "omniroute_set_budget_guard",
        {"maxCost": 5, "action": "degrade", "degradeToTier": "cheap"},
        {"maxCost": 5, "action": "degrade"},
    ),
    "nothing valid": ("omniroute_test_combo", {}, {"comboId": None}),
}


@pytest.mark.parametrize(("name", "arguments", "hashed"), HASHED.values(), ids=HASHED)
def test_some_tools_hash_a_part(
    name: str, arguments: dict[str, Any], hashed: dict[str, Any]
) -> None:
    assert TOOLS[name].hashed(arguments) == hashed


def test_the_model_list_is_summed_up_as_a_count() -> None:
    assert MODELS.summary({"models": [1, 2]}) == {"modelCount": 2}


def test_the_hash_is_of_the_compact_json() -> None:
    assert input_hash({"a": [1, "é"]}) == hashlib.sha256('{"a":[1,"é"]}'.encode()).hexdigest()


class BrokenDatabase:
    """A database that cannot be written to."""

    def work(self) -> Any:
        raise OSError("disk full")


async def test_a_failing_audit_costs_the_call_nothing(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, _, _):
        broken = broken_audit(engine)
        async with Client(
            parts(broken, Callers(Policy(), over_stdio=True), dict).server()
        ) as client:
            result = await client.call_tool("omniroute_list_models_catalog", {"provider": "demo"})
    assert not result.is_error


def broken_audit(engine: Engine) -> Any:
    """An engine whose database refuses to write; reads and the rest are the engine's own."""

    class Broken:
        database = BrokenDatabase()

        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

    return Broken()


async def test_a_cancelled_call_leaves_a_row(tmp_path: Path) -> None:
    asked = {**ASKED, "model": "demo/slow-start-60000"}
    async with application(tmp_path) as (engine, http, _):
        callers = Callers(Policy(stdio_key_id="laptop"), over_stdio=True)
        behind = parts(engine, callers, dict)
        running = behind.handlers.calls.calls
        with anyio.fail_after(10):
            async with Client(behind.server()) as client:
                async with anyio.create_task_group() as group:
                    group.start_soon(client.call_tool, "omniroute_route_request", asked)
                    while not running.running:
                        await anyio.lowlevel.checkpoint()
                    group.cancel_scope.cancel()
                while running.running:
                    await anyio.lowlevel.checkpoint()
            (row,) = await entries(http)
    assert (row["toolName"], row["success"], row["errorCode"], row["apiKeyId"]) == (
        "omniroute_route_request",
        False,
        "cancelled",
        "laptop",
    )


async def test_a_call_over_its_time_limit_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried = msgspec.structs.replace(ROUTE, time_limit_s=0.01)
    monkeypatch.setitem(TOOLS, ROUTE.name, hurried)
    async with application(tmp_path) as (_, client, _):
        asked = {**ASKED, "model": "demo/slow-start-60000"}
        with anyio.fail_after(10):
            result = await call(client, ROUTE.name, asked)
        (row,) = await entries(client)
    assert result["content"][0]["text"] == f"Error: {ROUTE.name} took longer than 0 s."
    assert row["errorCode"] == "timeout"
