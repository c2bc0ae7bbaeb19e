"""Finished requests reach SQL exactly once: through kills, torn lines and failing databases."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
import pytest

from omniroute.errors import InvalidRequest, StorageUnavailable
from omniroute.storage import journal as journal_module
from omniroute.storage.database import Database
from omniroute.storage.drainer import Drainer
from omniroute.storage.journal import Journal, sql_sink
from omniroute.storage.records.usage import FinishedRequest, TraceRow, UsageRow
from omniroute.storage.retention import RULES
from omniroute.storage.segments import encode_line

pytestmark = pytest.mark.anyio

PATIENCE_S = 30

# Appends numbered records for ever, and prints each number once its append has returned.
APPEND_FOREVER = """
import asyncio, itertools, sys
from pathlib import Path
from omniroute.storage.journal import Journal
from omniroute.storage.records.usage import FinishedRequest, TraceRow

async def main():
    journal = Journal(Path(sys.argv[1]))
    for n in itertools.count():
        trace = TraceRow(
            request_id=f"r{n}", timestamp_ms=n, api_key_id=None, source="http", combo=None,
            provider=None, model=None, success=True, status=200, cost_micro_usd=None,
            latency_ms=1, data="x" * 20_000,
        )
        journal.append(FinishedRequest(trace=trace))
        print(n, flush=True)

asyncio.run(main())
"""


def finished(request_id: str) -> FinishedRequest:
    usage = UsageRow(
        id=f"{request_id}:1",
        request_id=request_id,
        attempt=1,
        timestamp_ms=1,
        provider="a",
        model="m",
        connection_id="c",
        api_key_id=None,
        combo=None,
        cost_micro_usd=5,
    )
    trace = TraceRow(
        request_id=request_id,
        timestamp_ms=1,
        api_key_id=None,
        source="http",
        combo=None,
        provider="a",
        model="m",
        success=True,
        status=200,
        cost_micro_usd=5,
        latency_ms=1,
        data="{}",
    )
    return FinishedRequest(trace=trace, usage=(usage,))


class Recorder:
    """A sink that remembers batches and fails on demand."""

    def __init__(self, *failures: Exception) -> None:
        self.batches: list[list[str]] = []
        self.failures = list(failures)

    async def __call__(self, batch: Sequence[FinishedRequest]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append([each.trace.request_id for each in batch])


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.jsonl"))


def leave(directory: Path, content: bytes) -> None:
    """A file as a dead process leaves it."""
    directory.mkdir(exist_ok=True)
    (directory / f"1-{len(segments(directory)):08x}.jsonl").write_bytes(content)


async def test_records_are_drained_in_order_and_the_file_shrinks(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path), Recorder()
    for name in "abc":
        journal.append(finished(name))
    assert journal.waiting == 3
    assert await journal.drain(sink) == 3
    assert await journal.drain(sink) == 0
    assert (sink.batches, journal.waiting) == ([["a", "b", "c"]], 0)
    assert [path.stat().st_size for path in segments(tmp_path)] == [0]
    journal.append(finished("d"))
    assert await journal.drain(sink) == 1
    assert sink.batches[1:] == [["d"]]
    journal.close()
    assert segments(tmp_path) == []


async def test_a_journal_that_was_never_used_leaves_no_trace(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert await journal.recover(Recorder()) == 0
    journal.close()
    assert segments(tmp_path / "journal") == []


async def test_a_record_that_arrives_during_a_drain_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    batches: list[list[str]] = []

    async def sink(batch: Sequence[FinishedRequest]) -> None:
        if not batches:
            journal.append(finished("late"))
        batches.append([each.trace.request_id for each in batch])

    journal.append(finished("early"))
    assert await journal.drain(sink) == 1
    assert journal.waiting == 1
    assert await journal.drain(sink) == 1
    assert batches == [["early"], ["late"]]
    journal.close()


async def test_a_full_file_is_followed_by_another(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path, rotate_bytes=1), Recorder()
    for name in "abc":
        journal.append(finished(name))
    assert len(segments(tmp_path)) == 3
    while journal.waiting:
        await journal.drain(sink)
    assert sink.batches == [["a"], ["b"], ["c"]]
    journal.close()
    assert segments(tmp_path) == []


async def test_a_batch_has_an_upper_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "BATCH", 2)
    journal, sink = Journal(tmp_path), Recorder()
    for name in "abc":
        journal.append(finished(name))
    assert [await journal.drain(sink) for _ in range(3)] == [2, 1, 0]
    assert sink.batches == [["a", "b"], ["c"]]
    journal.close()


LEFTOVERS = {
    "whole lines": (encode_line(finished("a")) + encode_line(finished("b")), ["a", "b"], b""),
    "a torn tail": (encode_line(finished("a")) + encode_line(finished("b"))[:-7], ["a"], b""),
    "a torn tail of one byte": (encode_line(finished("a")) + b"{", ["a"], b""),
    "a tail without its newline": (encode_line(finished("a"))[:-1], ["a"], b""),
    "a changed byte": (
        encode_line(finished("a")).replace(b'"status":200', b'"status":201', 1)
        + encode_line(finished("b")),
        ["b"],
        encode_line(finished("a")).replace(b'"status":200', b'"status":201', 1),
    ),
    "a foreign line": (b"hello\n" + encode_line(finished("b")), ["b"], b"hello\n"),
    "an empty file": (b"", [], b""),
}


@pytest.mark.parametrize(("content", "kept", "rejected"), LEFTOVERS.values(), ids=LEFTOVERS)
async def test_what_a_dead_process_left_is_recovered(
    tmp_path: Path, content: bytes, kept: list[str], rejected: bytes
) -> None:
    leave(tmp_path, content)
    sink = Recorder()
    await Journal(tmp_path).recover(sink)
    assert [name for batch in sink.batches for name in batch] == kept
    assert segments(tmp_path) == []
    aside = tmp_path / "rejected.log"
    assert (aside.read_bytes() if aside.exists() else b"") == rejected


async def test_recovery_that_fails_leaves_the_file_for_the_next_try(tmp_path: Path) -> None:
    leave(tmp_path, encode_line(finished("a")))
    sink = Recorder(StorageUnavailable("gone"))
    with pytest.raises(StorageUnavailable):
        await Journal(tmp_path).recover(sink)
    assert await Journal(tmp_path).recover(sink) == 1
    assert (sink.batches, segments(tmp_path)) == ([["a"]], [])


async def test_a_live_process_keeps_its_file_to_itself(tmp_path: Path) -> None:
    alive, starting, sink = Journal(tmp_path), Journal(tmp_path), Recorder()
    alive.append(finished("a"))
    starting.append(finished("b"))
    assert await starting.recover(sink) == 0
    assert await alive.recover(sink) == 0
    assert sink.batches == []
    await alive.drain(sink)
    assert sink.batches == [["a"]]
    alive.close()
    starting.close()
    assert await Journal(tmp_path).recover(sink) == 1
    assert sink.batches == [["a"], ["b"]]


async def test_one_impossible_record_does_not_block_the_rest(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    kept: list[str] = []

    async def sink(batch: Sequence[FinishedRequest]) -> None:
        if any(each.trace.request_id == "bad" for each in batch):
            raise InvalidRequest("does not fit")
        kept.extend(each.trace.request_id for each in batch)

    for name in ("a", "bad", "b"):
        journal.append(finished(name))
    assert await journal.drain(sink) == 3
    assert kept == ["a", "b"]
    assert (tmp_path / "rejected.log").read_bytes() == encode_line(finished("bad"))
    journal.close()


async def test_a_disk_that_refuses_does_not_fail_the_answer(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the directory should be")
    journal, sink = Journal(tmp_path / "journal"), Recorder()
    journal.append(finished("a"))
    assert journal.waiting == 1
    assert await journal.drain(sink) == 1
    assert (sink.batches, journal.waiting) == ([["a"]], 0)


async def test_a_batch_delivered_twice_counts_once(database: Database, tmp_path: Path) -> None:
    sink = sql_sink(database)
    for _ in range(2):  # as after a crash between the commit and the cut-off
        leave(tmp_path / "journal", encode_line(finished("a")) + encode_line(finished("b")))
        assert await Journal(tmp_path / "journal").recover(sink) == 2
    async with database.reading() as work:
        totals = await work.usage.totals(0)
        assert (totals.requests, totals.cost_micro_usd) == (2, 10)
        assert await work.usage.for_request("a") == finished("a").usage
        assert await work.traces.get("b") == finished("b").trace


async def test_usage_and_decision_are_stored_together_or_not_at_all(database: Database) -> None:
    broken = msgspec.structs.replace(
        finished("a"), trace=msgspec.structs.replace(finished("a").trace, latency_ms=10**30)
    )
    with pytest.raises(InvalidRequest):
        await sql_sink(database)([broken])
    async with database.reading() as work:
        assert await work.usage.for_request("a") == ()


async def test_nothing_acknowledged_is_lost_to_kill_9(database: Database, tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    for _ in range(3):
        with anyio.fail_after(PATIENCE_S):
            command = [sys.executable, "-c", APPEND_FOREVER, str(directory)]
            process = await anyio.open_process(command, stderr=subprocess.STDOUT)
            assert process.stdout is not None
            output = b""
            while output.count(b"\n") < 200:
                output += await process.stdout.receive()
            process.kill()  # while it is appending
            async for rest in process.stdout:
                output += rest
            await process.wait()
            await process.aclose()
        acknowledged = int(output.splitlines()[-1]) + 1
        await Journal(directory).recover(sql_sink(database))
        async with database.work() as work:
            stored = [row.request_id for row in reversed(await work.traces.recent(100_000))]
            await work.retention.delete_before(RULES["routingDecisions"], 10**12, 10**6)
        assert stored in (
            [f"r{n}" for n in range(acknowledged)],
            [f"r{n}" for n in range(acknowledged + 1)],  # killed between append and print
        )
    assert segments(directory) == []


async def drained(journal: Journal) -> None:
    with anyio.fail_after(PATIENCE_S):
        while journal.waiting:
            await anyio.lowlevel.checkpoint()


async def test_the_drainer_recovers_batches_and_closes(tmp_path: Path) -> None:
    leave(tmp_path, encode_line(finished("left")))
    journal, sink = Journal(tmp_path), Recorder()
    async with Drainer(journal, sink, interval_s=0.01):
        for name in "abc":
            journal.append(finished(name))
        await drained(journal)
        journal.append(finished("last"))
    assert sink.batches == [["left"], ["a", "b", "c"], ["last"]]
    assert segments(tmp_path) == []


async def test_a_full_batch_does_not_wait_for_the_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "BATCH", 2)
    journal, sink = Journal(tmp_path), Recorder()
    async with Drainer(journal, sink, interval_s=3600):
        journal.append(finished("a"))
        journal.append(finished("b"))
        await drained(journal)
    assert sink.batches == [["a", "b"]]


async def test_flush_does_not_wait_for_the_interval(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path), Recorder()
    async with Drainer(journal, sink, interval_s=3600) as drainer:
        journal.append(finished("a"))
        await drainer.flush()
        assert sink.batches == [["a"]]


FAILURES = {
    "the database is gone": StorageUnavailable("gone"),
    "a bug": RuntimeError("unexpected"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_a_failing_sink_is_tried_again(
    tmp_path: Path, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    journal, sink = Journal(tmp_path), Recorder(failure, failure)
    async with Drainer(journal, sink, interval_s=0, backoff_s=0.001):
        journal.append(finished("a"))
        await drained(journal)
    assert (sink.batches, sink.failures) == ([["a"]], [])
    assert "stay in the journal" in caplog.text


async def test_what_cannot_be_stored_at_the_end_is_left_for_the_next_start(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    with anyio.fail_after(PATIENCE_S):
        async with Drainer(journal, Recorder(*[StorageUnavailable("gone")] * 9), backoff_s=3600):
            journal.append(finished("a"))
    sink = Recorder()
    await Journal(tmp_path).recover(sink)
    assert sink.batches == [["a"]]
