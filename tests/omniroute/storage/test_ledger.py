"""Usage, decisions, tool calls and tasks: what is written per request, on both databases."""

from typing import Any

import msgspec
import pytest

from omniroute.errors import Conflict
from omniroute.storage.database import Database
from omniroute.storage.records.agents import (
    TaskEvent,
    TaskRow,
    ToolAudit,
    ToolAuditEntry,
    ToolAuditStats,
)
from omniroute.storage.records.usage import PromptCacheSum, TraceRow, UsageRow, UsageTotals

pytestmark = pytest.mark.anyio


def attempt(request: str, number: int, provider: str, *, success: bool, at_ms: int) -> UsageRow:
    return UsageRow(
        id=f"{request}:{number}",
        request_id=request,
        attempt=number,
        timestamp_ms=at_ms,
        provider=provider,
        model="m",
        connection_id="c",
        api_key_id="key-1" if request == "r1" else None,
        combo="fast" if request == "r2" else None,
        input_tokens=10,
        cache_read_tokens=1,
        cache_write_tokens=2,
        output_tokens=5 if success else 0,
        reasoning_tokens=3,
        estimated=True,
        cost_micro_usd=7_000_000_000_000 if success else None,
        status=200 if success else 500,
        success=success,
        error_code=None if success else "server_error",
        latency_ms=90,
        ttft_ms=12,
    )


# r1 fails over from a to b; r2 succeeds at a; r3 fails everywhere.
USAGE = [
    attempt("r1", 1, "a", success=False, at_ms=1000),
    attempt("r1", 2, "b", success=True, at_ms=1001),
    attempt("r2", 1, "a", success=True, at_ms=2000),
    attempt("r3", 1, "a", success=False, at_ms=3000),
    attempt("r3", 2, "b", success=False, at_ms=3001),
]
COST = 7_000_000_000_000

TOTALS: dict[str, tuple[dict[str, Any], UsageTotals]] = {
    "all of them": (
        {"since_ms": 0},
        UsageTotals(
            requests=3,
            failures=1,
            input_tokens=50,
            output_tokens=10,
            cost_micro_usd=2 * COST,
            latency_ms=450,
        ),
    ),
    "the start is inclusive": (
        {"since_ms": 2000},
        UsageTotals(
            requests=2,
            failures=1,
            input_tokens=30,
            output_tokens=5,
            cost_micro_usd=COST,
            latency_ms=270,
        ),
    ),
    "one key": (
        {"since_ms": 0, "api_key_id": "key-1"},
        UsageTotals(
            requests=1, input_tokens=20, output_tokens=5, cost_micro_usd=COST, latency_ms=180
        ),
    ),
    "one combo": (
        {"since_ms": 0, "combo": "fast"},
        UsageTotals(
            requests=1, input_tokens=10, output_tokens=5, cost_micro_usd=COST, latency_ms=90
        ),
    ),
    "callers without a key": (
        {"since_ms": 0, "keyless": True},
        UsageTotals(
            requests=2,
            failures=1,
            input_tokens=30,
            output_tokens=5,
            cost_micro_usd=COST,
            latency_ms=270,
        ),
    ),
    "nothing": ({"since_ms": 9999}, UsageTotals()),
}


async def test_usage_sums_count_requests_not_attempts(database: Database) -> None:
    async with database.work() as work:
        await work.usage.add(USAGE)
    async with database.reading() as work:
        found = {name: await work.usage.totals(**query) for name, (query, _) in TOTALS.items()}
        by_provider = await work.usage.by_provider(0)
    assert found == {name: expected for name, (_, expected) in TOTALS.items()}
    assert by_provider == {
        "a": UsageTotals(
            requests=3,
            failures=2,
            input_tokens=30,
            output_tokens=5,
            cost_micro_usd=COST,
            latency_ms=270,
        ),
        "b": UsageTotals(
            requests=2,
            failures=1,
            input_tokens=20,
            output_tokens=5,
            cost_micro_usd=COST,
            latency_ms=180,
        ),
    }


async def test_what_caches_of_providers_did_is_summed_by_model(database: Database) -> None:
    plain = msgspec.structs.replace(
        USAGE[1], id="r4:1", request_id="r4", cache_read_tokens=0, cache_write_tokens=0
    )
    async with database.work() as work:
        await work.usage.add([*USAGE, plain])
        a, b = await work.usage.prompt_cache(0)
        assert await work.usage.prompt_cache(9999) == ()
        assert [row.id for row in await work.usage.recent(0, 2, "b")] == ["r4:1", "r3:2"]
    assert (a.provider, a.attempts, a.cached_attempts) == ("a", 3, 3)
    assert b == PromptCacheSum(
        provider="b",
        model="m",
        attempts=3,
        cached_attempts=2,
        prompt_tokens=36,
        cached_tokens=2,
        written_tokens=4,
    )


async def test_usage_added_twice_counts_once(database: Database) -> None:
    async with database.work() as work:
        await work.usage.add([])
        await work.usage.add(USAGE[:3])
        await work.usage.add([*USAGE, msgspec.structs.replace(USAGE[0], input_tokens=999)])
        assert await work.usage.for_request("r1") == (USAGE[0], USAGE[1])
        assert (await work.usage.totals(0)).requests == 3


async def test_names_a_client_made_up_can_always_be_stored(database: Database) -> None:
    row = msgspec.structs.replace(USAGE[0], model="nul\x00 surrogate\ud800 ok ü")
    async with database.work() as work:
        await work.usage.add([row])
        (stored,) = await work.usage.for_request("r1")
    assert stored.model == "nul\N{REPLACEMENT CHARACTER} surrogate? ok ü"


def decision(request_id: str, at_ms: int) -> TraceRow:
    return TraceRow(
        request_id=request_id,
        timestamp_ms=at_ms,
        api_key_id="key-1",
        source="http",
        combo="fast",
        provider="a",
        model="m",
        success=True,
        status=200,
        cost_micro_usd=None,
        latency_ms=12,
        data='{"why":"not \\u0000"}',
    )


async def test_decisions_are_kept_once_and_read(database: Database) -> None:
    rows = [decision("t1", 1000), decision("t2", 3000), decision("t3", 2000)]
    async with database.work() as work:
        await work.traces.add(rows)
        await work.traces.add([msgspec.structs.replace(rows[0], status=500)])
        assert await work.traces.get("t1") == rows[0]
        assert await work.traces.get("t9") is None
        assert await work.traces.recent(2) == (rows[1], rows[2])


CALLS = [
    ToolAudit(
        tool_name=tool,
        input_hash="ab" * 32,
        output_summary="ok",
        duration_ms=duration_ms,
        api_key_id=key,
        success=success,
        error_code=None if success else "boom",
        created_at=created_at,
    )
    for tool, duration_ms, key, success, created_at in (
        ("search", 30, None, True, "2026-01-01 00:00:00"),
        ("search", 10, "key-1", True, "2026-01-02 00:00:00"),
        ("chat", 20, "key-1", False, "2026-01-02 00:00:01"),
        ("search", 30, None, True, "2026-01-02 00:00:02"),
    )
]
PAGES: dict[str, tuple[dict[str, Any], list[int], int]] = {
    "newest first": ({"limit": 2}, [4, 3], 4),
    "a later page": ({"limit": 2, "offset": 3}, [1], 4),
    "one tool": ({"limit": 9, "tool": "search"}, [4, 2, 1], 3),
    "failures": ({"limit": 9, "success": False}, [3], 1),
    "one key's successes": ({"limit": 9, "success": True, "api_key_id": "key-1"}, [2], 1),
    "no such tool": ({"limit": 9, "tool": "x"}, [], 0),
}


async def test_tool_calls_are_paged_and_summed(database: Database) -> None:
    async with database.work() as work:
        for call in CALLS:
            await work.audit.add(call)
    async with database.reading() as work:
        entries, _ = await work.audit.page(9)
        pages = {name: await work.audit.page(**query) for name, (query, _, _) in PAGES.items()}
        stats = await work.audit.stats("2026-01-02 00:00:00")
        none = await work.audit.stats("2027-01-01 00:00:00")
    assert entries[-1] == ToolAuditEntry(id=1, **msgspec.structs.asdict(CALLS[0]))
    assert {
        name: ([entry.id for entry in page], total) for name, (page, total) in pages.items()
    } == {name: (ids, total) for name, (_, ids, total) in PAGES.items()}
    assert stats == ToolAuditStats(
        total_calls=3,
        success_rate=2 / 3,
        avg_duration_ms=20.0,
        top_tools=(("search", 2), ("chat", 1)),
        last_call_at="2026-01-02 00:00:02",
        last_call_tool="search",
    )
    assert none == ToolAuditStats(last_call_at="2026-01-02 00:00:02", last_call_tool="search")


def task(id_: str, state: str, updated_ms: int, *, owner: str = "me") -> TaskRow:
    return TaskRow(
        id=id_,
        owner=owner,
        context_id=f"context-{owner}",
        skill="smart-routing",
        state=state,
        finished=state in ("completed", "failed"),
        data=f'{{"id":"{id_}"}}',
        created_at_ms=updated_ms,
        updated_at_ms=updated_ms,
        expires_at_ms=updated_ms + 100,
    )


TASKS = [
    task("t1", "working", 1000),
    task("t2", "completed", 2000),
    task("t3", "submitted", 3000, owner="you"),
]
TASK_LISTS: dict[str, tuple[dict[str, Any], list[str], int]] = {
    "all, newest first": ({}, ["t3", "t2", "t1"], 3),
    "a page": ({"limit": 1, "offset": 1}, ["t2"], 3),
    "one owner": ({"owner": "me"}, ["t2", "t1"], 2),
    "one state": ({"state": "working"}, ["t1"], 1),
    "one context": ({"context_id": "context-you"}, ["t3"], 1),
    "one skill": ({"skill": "other"}, [], 0),
    "since, inclusive": ({"since_ms": 2000}, ["t3", "t2"], 2),
}


async def test_tasks_are_listed_counted_and_swept(database: Database) -> None:
    async with database.work() as work:
        for row in TASKS:
            await work.tasks.save(row)
    async with database.reading() as work:
        lists = {name: await work.tasks.list(**query) for name, (query, _, _) in TASK_LISTS.items()}
        assert await work.tasks.get("t1") == TASKS[0]
        assert await work.tasks.counts() == {"working": 1, "completed": 1, "submitted": 1}
        assert await work.tasks.unfinished() == (TASKS[0], TASKS[2])
        assert await work.tasks.overdue(1100) == (TASKS[0],)
    assert {name: ([row.id for row in rows], total) for name, (rows, total) in lists.items()} == {
        name: (ids, total) for name, (_, ids, total) in TASK_LISTS.items()
    }
    async with database.work() as work:
        assert await work.tasks.delete_untouched(2000) == 0
        assert await work.tasks.delete_untouched(2001) == 1
        assert await work.tasks.unfinished() == (TASKS[0], TASKS[2])


async def test_a_task_takes_its_events_along(database: Database) -> None:
    events = [
        TaskEvent(task_id="t1", type="task_created", state="submitted", timestamp_ms=1),
        TaskEvent(task_id="t1", type="task_working", state="working", timestamp_ms=2, message="x"),
    ]
    async with database.work() as work:
        await work.tasks.save(TASKS[0], events[:1])
        await work.tasks.save(TASKS[0], events[1:])
        assert await work.tasks.events("t1") == tuple(events)
        assert await work.tasks.delete("t1") is True
        assert await work.tasks.delete("t1") is False
        assert await work.tasks.events("t1") == ()


async def test_a_finished_task_keeps_its_state(database: Database) -> None:
    done = TASKS[1]
    touched = msgspec.structs.replace(done, updated_at_ms=2500)
    async with database.work() as work:
        await work.tasks.save(done)
        await work.tasks.save(touched)
    late = TaskEvent(task_id="t2", type="task_failed", state="failed", timestamp_ms=1)
    with pytest.raises(Conflict):
        async with database.work() as work:
            await work.tasks.save(task("t2", "failed", 2600), [late])
    async with database.reading() as work:
        assert await work.tasks.get("t2") == touched
        assert await work.tasks.events("t2") == ()
