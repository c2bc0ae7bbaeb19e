"""What operators read: status, tools, the log and its sums."""

import os
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.test_heartbeat import beat
from tests.omniroute_mcp.wire import SSE, STREAM, call, key, opened, set_setting

from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import StorageUnavailable
from omniroute.storage.database import Database
from omniroute.storage.records.agents import ToolAudit
from omniroute_mcp.audit import stamp
from omniroute_mcp.heartbeat import heartbeat_path
from omniroute_mcp.tools import TOOLS

pytestmark = pytest.mark.anyio

VIEWS = [f"/api/mcp/{name}" for name in ("status", "tools", "audit", "audit/stats")]
OFFLINE = {"online": False, "transport": None, "startedAt": None, "uptime": None}


async def test_an_unused_door_is_offline(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        assert (await client.get("/api/mcp/status")).json() == {
            "status": "offline",
            "online": False,
            "enabled": True,
            "transport": "all",
            "heartbeatPath": str(tmp_path / "runtime" / "mcp-heartbeat.json"),
            "heartbeat": None,
            "httpTransport": OFFLINE,
            "activity": {
                "totalCalls24h": 0,
                "successRate": 0,
                "avgDurationMs": 0,
                "topTools": [],
                "lastCallAt": None,
                "lastCallTool": None,
            },
        }


@pytest.mark.parametrize(("path", "name"), [(STREAM, "streamable-http"), (SSE, "sse")])
async def test_a_session_is_online_until_it_is_deleted(
    tmp_path: Path, path: str, name: str
) -> None:
    async with application(tmp_path) as (engine, client, _):
        before_ms = engine.now_ms()
        session = await opened(client, path)
        during = (await client.get("/api/mcp/status")).json()
        await client.delete(path, headers={"mcp-session-id": session})
        after = (await client.get("/api/mcp/status")).json()
    http = during["httpTransport"]
    assert (during["status"], http["transport"], http["uptime"]) == ("online", name, "0s")
    assert before_ms <= http["startedAt"] <= before_ms + 10_000
    assert after["httpTransport"] == OFFLINE


async def test_a_request_without_a_session_is_online_for_a_while(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        await call(client, "omniroute_get_health")
        status = (await client.get("/api/mcp/status")).json()
    assert status["httpTransport"] == {
        "online": True,
        "transport": "streamable-http",
        "startedAt": None,
        "uptime": None,
    }


PULSES = {
    "beating, stdio": ("stdio", 0, True),
    "beating, all": ("all", 0, True),
    "beating, another transport": ("sse", 0, False),
    "stale": ("stdio", 60_000, False),
}


@pytest.mark.parametrize(("transport", "age_ms", "online"), PULSES.values(), ids=PULSES)
async def test_the_pulse_of_a_stdio_process_counts(
    tmp_path: Path, transport: str, age_ms: int, online: bool
) -> None:
    async with application(tmp_path) as (engine, client, _):
        await set_setting(engine, "mcpTransport", transport)
        at = iso(engine.now_ms() - age_ms)
        path = heartbeat_path(tmp_path)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(msgspec.json.encode(beat(started_at=at, last_heartbeat_at=at)))
        status = (await client.get("/api/mcp/status")).json()
    shown = status["heartbeat"]
    assert (status["online"], shown["pid"], shown["pidAlive"]) == (online, os.getpid(), True)
    assert age_ms <= shown["heartbeatAgeMs"] <= age_ms + 10_000
    assert age_ms <= shown["uptimeMs"] <= age_ms + 10_000


async def test_the_catalogue_view_lists_the_rows(tmp_path: Path) -> None:
    async with application(tmp_path) as (_, client, _):
        view = (await client.get("/api/mcp/tools")).json()
    assert (view["total"], view["mappedTotal"]) == (len(TOOLS), len(TOOLS))
    assert [tool["name"] for tool in view["tools"]] == list(TOOLS)
    assert view["tools"][0] == {
        "name": "omniroute_get_health",
        "description": TOOLS["omniroute_get_health"].description,
        "scopes": ["read:health"],
        "phase": 1,
        "auditLevel": "basic",
        "sourceEndpoints": ["/api/monitoring/health", "/api/resilience", "/api/rate-limits"],
    }


async def logged(engine: Engine, number: int, **changes: Any) -> None:
    """Write one row of the log; every second one a failure."""
    row = ToolAudit(
        tool_name="a" if number < 2 else "b",
        input_hash="",
        output_summary="(null)",
        duration_ms=number * 10,
        api_key_id="k1" if number else None,
        success=number % 2 == 0,
        error_code=None,
        created_at=stamp(engine.now_ms()),
    )
    async with engine.database.work() as work:
        await work.audit.add(msgspec.structs.replace(row, **changes))


PAGES: dict[str, tuple[str, list[int], int, int, int]] = {
    # query: durations on the page, total, limit, offset
    "all, newest first": ("", [40, 30, 20, 10, 0], 5, 50, 0),
    "a limit below one": ("limit=0", [40], 5, 1, 0),
    "a limit over the most": ("limit=501", [40, 30, 20, 10, 0], 5, 500, 0),
    "a limit that is no number": ("limit=ten", [40, 30, 20, 10, 0], 5, 50, 0),
    "a limit with two signs": ("limit=--5", [40, 30, 20, 10, 0], 5, 50, 0),
    "a limit of a digit that is none": ("limit=²", [40, 30, 20, 10, 0], 5, 50, 0),
    "a page": ("limit=2&offset=1", [30, 20], 5, 2, 1),
    "a negative offset": ("offset=-1", [40, 30, 20, 10, 0], 5, 50, 0),
    "an offset no database takes": (f"offset={10**30}", [], 5, 50, 2**63 - 1),
    "one tool": ("tool=a", [10, 0], 2, 50, 0),
    "successes": ("success=true", [40, 20, 0], 3, 50, 0),
    "successes as a number": ("success=1", [40, 20, 0], 3, 50, 0),
    "failures": ("success=false", [30, 10], 2, 50, 0),
    "failures as a number": ("success=0", [30, 10], 2, 50, 0),
    "success of another word": ("success=maybe", [40, 30, 20, 10, 0], 5, 50, 0),
    "one key": ("apiKeyId=k1", [40, 30, 20, 10], 4, 50, 0),
    "all at once": ("apiKeyId=k1&tool=b&success=1", [40, 20], 2, 50, 0),
}


@pytest.mark.parametrize(
    ("query", "durations", "total", "limit", "offset"), PAGES.values(), ids=PAGES
)
async def test_the_log_is_paged_and_filtered(
    tmp_path: Path, query: str, durations: list[int], total: int, limit: int, offset: int
) -> None:
    async with application(tmp_path) as (engine, client, _):
        for number in range(5):
            await logged(engine, number)
        page = (await client.get(f"/api/mcp/audit?{query}")).json()
    assert [row["durationMs"] for row in page["entries"]] == durations
    assert (page["total"], page["limit"], page["offset"]) == (total, limit, offset)


async def test_sums_are_over_the_last_day(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, client, _):
        for number in range(4):
            await logged(engine, number)
        yesterday = stamp(engine.now_ms() - 86_500_000)
        await logged(engine, 100, created_at=yesterday)
        stats = (await client.get("/api/mcp/audit/stats")).json()
    assert stats == {
        "totalCalls": 4,
        "successRate": 0.5,
        "avgDurationMs": 15,
        "topTools": [{"tool": "a", "count": 2}, {"tool": "b", "count": 2}],
    }


UNREADABLE: dict[str, tuple[type[Exception], dict[str, int]]] = {
    "storage that says so": (
        StorageUnavailable,
        {"status": 200, "tools": 200, "audit": 200, "audit/stats": 200},
    ),
    "a fault nobody expected": (
        OSError,
        {"status": 500, "tools": 200, "audit": 500, "audit/stats": 500},
    ),
}


@pytest.mark.parametrize(("fault", "expected"), UNREADABLE.values(), ids=UNREADABLE)
async def test_an_unreadable_database_leaks_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: type[Exception],
    expected: dict[str, int],
) -> None:
    def fail(_: Database) -> Any:
        raise fault("secret detail")

    async with application(tmp_path) as (_, client, _):
        with monkeypatch.context() as patched:
            patched.setattr(Database, "reading", fail)
            answers = {name: await client.get(f"/api/mcp/{name}") for name in expected}
    assert {name: answer.status_code for name, answer in answers.items()} == expected
    assert not any("secret" in answer.text for answer in answers.values())
    if expected["audit"] == 200:
        assert answers["audit"].json()["entries"] == []


@pytest.mark.parametrize("path", VIEWS)
async def test_views_are_for_operators_who_name_this_machine(tmp_path: Path, path: str) -> None:
    async with application(tmp_path, peer="203.0.113.9") as (engine, client, _):
        operator, stranger = await key(engine, "manage"), await key(engine, "mcp")

        async def status(**headers: str) -> int:
            return (await client.get(path, headers=headers)).status_code

        assert {
            "nobody": await status(),
            "a key for MCP": await status(**stranger),
            "an operator": await status(**operator),
            "a foreign host": await status(**operator, host="evil.example"),
            "a foreign origin": await status(**operator, origin="http://evil.example"),
        } == {
            "nobody": 401,
            "a key for MCP": 403,
            "an operator": 200,
            "a foreign host": 421,
            "a foreign origin": 403,
        }


@pytest.mark.parametrize("path", VIEWS)
async def test_views_only_read(tmp_path: Path, path: str) -> None:
    async with application(tmp_path) as (_, client, _):
        response: httpx.Response = await client.post(path)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
