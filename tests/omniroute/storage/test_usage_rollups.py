"""Sums by hour say what the rows say, however the rows came; calls are found by what they were."""

from collections.abc import Iterable
from pathlib import Path

import anyio
import msgspec
import pytest
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, inspect

import omniroute.storage.migrate
from omniroute.storage.call_logs import ANY_COMBO
from omniroute.storage.database import Database
from omniroute.storage.engines import create_engines
from omniroute.storage.journal import sql_sink
from omniroute.storage.records.usage import (
    CallFilter,
    CallRow,
    FinishedRequest,
    TraceRow,
    UsageRow,
    UsageSum,
)
from omniroute.storage.secret_box import SecretBox
from omniroute.storage.tables import routing_decisions, usage_history, usage_rollups
from omniroute.storage.usage import columns_of
from omniroute.storage.usage_rollups import HOUR_MS, MINUTE_MS

pytestmark = pytest.mark.anyio

START_MS = 1_800_000_000_000 - 1_800_000_000_000 % HOUR_MS
END_MS = START_MS + 4 * HOUR_MS


def attempt(request: str, number: int, at_ms: int, **more: object) -> UsageRow:
    given: dict[str, object] = {
        "id": f"{request}:{number}",
        "request_id": request,
        "attempt": number,
        "timestamp_ms": at_ms,
        "provider": "openai",
        "model": "m",
        "connection_id": "c",
        "api_key_id": None,
        "combo": None,
    }
    return UsageRow(**{**given, **more})  # type: ignore[arg-type]


def finished(
    request: str, usage: Iterable[UsageRow] = (), call: CallRow | None = None
) -> FinishedRequest:
    trace = TraceRow(
        request_id=request,
        timestamp_ms=START_MS,
        api_key_id=None,
        source="http",
        combo=None,
        provider=None,
        model=None,
        success=True,
        status=200,
        cost_micro_usd=None,
        latency_ms=1,
        data="{}",
    )
    return FinishedRequest(trace=trace, usage=tuple(usage), call=call)


attempts = st.fixed_dictionaries(
    {
        "at_ms": st.integers(START_MS, END_MS - 1),
        "provider": st.sampled_from(["openai", "anthropic"]),
        "model": st.sampled_from(["m", "n"]),
        "connection_id": st.sampled_from(["c", "d"]),
        "api_key_id": st.sampled_from([None, "k"]),
        "input_tokens": st.integers(0, 5),
        "cache_read_tokens": st.integers(0, 5),
        "cache_write_tokens": st.integers(0, 5),
        "output_tokens": st.integers(0, 5),
        "reasoning_tokens": st.integers(0, 5),
        "cost_micro_usd": st.none() | st.integers(0, 1_000_000_000),
        "success": st.booleans(),
    }
)
requests = st.lists(st.lists(attempts, max_size=3), max_size=12)


def by_grain(sums: Iterable[UsageSum]) -> list[UsageSum]:
    """Sums in one order; those of one grain, of which there may be several, added up."""
    found: dict[tuple[str, ...], UsageSum] = {}
    for row in sums:
        key = row.provider, row.model, row.connection_id, row.api_key_id or ""
        old = found.get(key)
        if old is not None:
            counts = ("requests", "attempts", "prompt_tokens", "completion_tokens")
            more = {
                name: getattr(old, name) + getattr(row, name)
                for name in (*counts, "cost_micro_usd", "unpriced")
            }
            more["last_used_ms"] = max(old.last_used_ms, row.last_used_ms)
            row = msgspec.structs.replace(row, **more)
        found[key] = row
    return [found[key] for key in sorted(found)]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=requests,
    cuts=st.lists(st.integers(0, 12), max_size=3),
    since_ms=st.integers(START_MS, END_MS),
)
async def test_sums_are_those_of_the_rows_however_often_they_are_delivered(
    database: Database, told: list[list[dict[str, object]]], cuts: list[int], since_ms: int
) -> None:
    async with database._writer.begin() as connection:
        for table in (usage_history, usage_rollups, routing_decisions):
            await connection.execute(delete(table))
    records = [
        finished(f"r{n}", [attempt(f"r{n}", m, **row) for m, row in enumerate(rows, 1)])  # type: ignore[arg-type]
        for n, rows in enumerate(told)
    ]
    store = sql_sink(database)
    for cut in (*sorted(cuts), len(records)):  # each batch holds all before it once more
        await store(records[:cut])
    async with database.reading() as work:
        for since in (None, since_ms, START_MS):
            raw = await work.rollups.raw_sums(since or 0, END_MS)
            assert by_grain(await work.rollups.sums(since)) == by_grain(raw)
        everything = await work.rollups.sums(None)
    assert sum(row.requests for row in everything) == sum(bool(rows) for rows in told)
    assert sum(row.attempts for row in everything) == sum(len(rows) for rows in told)


async def test_processes_that_write_at_once_lose_nothing(database: Database) -> None:
    hours = [START_MS, START_MS + HOUR_MS, START_MS + 2 * HOUR_MS]

    async def drain(process: str) -> None:
        for n in range(5):
            request = f"{process}-{n}"
            order = hours if process == "p0" else hours[::-1]
            rows = [attempt(request, m, at, input_tokens=1) for m, at in enumerate(order, 1)]
            await sql_sink(database)([finished(request, rows)])

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for n in range(3):
                group.start_soon(drain, f"p{n}")
    async with database.reading() as work:
        (row,) = by_grain(await work.rollups.sums(None))
        assert [row] == by_grain(await work.rollups.raw_sums(0, END_MS))
    assert (row.requests, row.attempts, row.prompt_tokens) == (15, 45, 45)


async def test_rows_of_earlier_versions_are_added_up_by_the_migration(
    url: str, tmp_path: Path, box: SecretBox
) -> None:
    rows = [
        attempt("a", 1, START_MS + 5, success=False, provider="openai"),
        attempt("a", 2, START_MS + 9, provider="groq", input_tokens=3, cost_micro_usd=7),
        attempt("b", 1, START_MS + HOUR_MS, output_tokens=2, api_key_id="k"),
    ]
    writer, reader = create_engines(url)

    def earlier(connection: Connection) -> None:
        config = Config()
        scripts = Path(omniroute.storage.migrate.__file__).parent / "migrations"
        config.set_main_option("script_location", str(scripts))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")
        columns = {one["name"] for one in inspect(connection).get_columns("usage_history")}
        written = [{name: row[name] for name in columns} for row in map(columns_of, rows)]
        connection.execute(insert(usage_history), written)

    async with writer.begin() as connection:
        await connection.run_sync(earlier)
    await writer.dispose()
    await reader.dispose()
    database = await Database.open(url, tmp_path / "data", box)
    async with database.reading() as work:
        sums = by_grain(await work.rollups.sums(None))
        assert sums == by_grain(await work.rollups.raw_sums(0, END_MS))
    assert [(row.provider, row.requests, row.unpriced) for row in sums] == [
        ("groq", 1, 0),
        ("openai", 0, 0),
        ("openai", 1, 1),
    ]
    await database.close()


async def test_minutes_hold_what_was_used_in_them(database: Database) -> None:
    rows = [
        attempt("a", 1, START_MS + 10, input_tokens=2),
        attempt("a", 2, START_MS + MINUTE_MS, output_tokens=5, cost_micro_usd=9),
        attempt("b", 1, START_MS + MINUTE_MS + 59_999),
    ]
    await sql_sink(database)([finished("a", rows[:2]), finished("b", rows[2:])])
    async with database.reading() as work:
        found = await work.rollups.minutes(START_MS)
        later = await work.rollups.minutes(START_MS + MINUTE_MS)
    assert {
        (one.start_ms - START_MS): (one.requests, one.prompt_tokens, one.completion_tokens)
        for one in found.values()
    } == {0: (0, 2, 0), MINUTE_MS: (2, 0, 5)}
    assert list(later) == [START_MS + MINUTE_MS]


def call(number: int, **more: object) -> CallRow:
    base: dict[str, object] = {
        "id": f"call-{number}",
        "timestamp_ms": START_MS + number,
        "door": "http",
        "success": True,
        "status": 200,
        "outcome": "completed",
        "requested_model": "fast",
    }
    return CallRow(**{**base, **more})  # type: ignore[arg-type]


CALLS = [
    call(1, provider="groq", model="llama", connection_id="c-1", account="Mine", path="/v1/x"),
    call(2, combo_name="fast", api_key_id="k-1", api_key_name="laptop"),
    call(3, success=False, status=429, outcome="failed", error="Slow down: 100% is enough"),
    call(4, success=False, status=None, outcome="refused", combo_name="cheap"),
]

FOUND: dict[str, tuple[CallFilter, list[int]]] = {
    "all, newest first": (CallFilter(), [4, 3, 2, 1]),
    "those that went well": (CallFilter(success=True), [2, 1]),
    "those that did not": (CallFilter(success=False), [4, 3]),
    "a status": (CallFilter(status=429), [3]),
    "the model that answered": (CallFilter(model="llama"), [1]),
    "the model asked for": (CallFilter(model="fast"), [4, 3, 2, 1]),
    "a provider": (CallFilter(provider="groq"), [1]),
    "an account by id": (CallFilter(account="c-1"), [1]),
    "an account by name": (CallFilter(account="Mine"), [1]),
    "a key by id": (CallFilter(api_key="k-1"), [2]),
    "a key by name": (CallFilter(api_key="laptop"), [2]),
    "combo traffic": (CallFilter(combo=ANY_COMBO), [4, 2]),
    "one combo": (CallFilter(combo="cheap"), [4]),
    "a text, whatever its case": (CallFilter(search="SLOW down"), [3]),
    "a text that is no pattern": (CallFilter(search="100%"), [3]),
    "a wildcard that is only a character": (CallFilter(search="l_ma"), []),
    "a name": (CallFilter(search="lapto"), [2]),
    "two things at once": (CallFilter(success=False, combo="fast"), []),
}


async def test_calls_are_found_by_what_they_were(database: Database) -> None:
    await sql_sink(database)([finished(row.id, call=row) for row in CALLS])
    async with database.reading() as work:
        found = {
            name: [int(row.id[-1]) for row in await work.calls.newest(wanted, 10)]
            for name, (wanted, _) in FOUND.items()
        }
        assert found == {name: expected for name, (_, expected) in FOUND.items()}
        assert [row.id for row in await work.calls.newest(CallFilter(), 2)] == ["call-4", "call-3"]
        assert await work.calls.get("call-1") == CALLS[0]
        assert await work.calls.get("call-9") is None


async def test_a_record_of_a_version_without_a_call_log_is_stored(database: Database) -> None:
    line = msgspec.json.decode(msgspec.json.encode(finished("old")))
    del line["call"]
    await sql_sink(database)([msgspec.convert(line, FinishedRequest)])
    async with database.reading() as work:
        assert await work.traces.get("old") is not None
        assert await work.calls.newest(CallFilter(), 1) == ()
