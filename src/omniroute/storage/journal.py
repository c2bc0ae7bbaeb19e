"""Finished requests between the last byte of an answer and their rows in SQL.

A record is in the system's page cache when `append` returns: killing the process cannot lose
it, a power cut may. Records reach SQL in batches; ids are unique there, so a batch that is
delivered twice, by a crash between commit and cut-off, counts once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from omniroute.errors import Conflict, InvalidRequest
from omniroute.storage.database import Database
from omniroute.storage.records.usage import FinishedRequest
from omniroute.storage.segments import Segment, encode_line

log = logging.getLogger(__name__)

BATCH = 500
_ROTATE_BYTES = 8 * 1024 * 1024

Sink: TypeAlias = Callable[[Sequence[FinishedRequest]], Awaitable[None]]


def sql_sink(database: Database) -> Sink:
    """A sink that writes a batch, usage and decisions alike, in one transaction."""

    async def store(batch: Sequence[FinishedRequest]) -> None:
        async with database.work() as work:
            known = await work.traces.known([finished.trace.request_id for finished in batch])
            new = [one for one in batch if one.trace.request_id not in known]
            await work.usage.add([row for finished in new for row in finished.usage])
            await work.rollups.add([finished.usage for finished in new])
            await work.traces.add([finished.trace for finished in new])
            await work.calls.add([one.call for one in new if one.call is not None])
            await work.runs.add([one.step for one in new if one.step is not None])
            await work.leases.charge(row for finished in new for row in finished.charges)

    return store


class Journal:
    """This process's part of the journal directory; other processes have their own files.

    Belongs to one event loop. Creates its file with the first record.

    Args:
        rotate_bytes: a file that SQL never catches up with is followed by a new one then.
    """

    def __init__(self, directory: Path, rotate_bytes: int = _ROTATE_BYTES) -> None:
        self._directory = directory
        self._rotate_bytes = rotate_bytes
        self._segments: deque[Segment] = deque()  # oldest first; the last one is written to
        self._unwritten: deque[FinishedRequest] = deque()
        self._draining = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._crowded = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many appended records are not in SQL yet."""
        return sum(segment.waiting for segment in self._segments) + len(self._unwritten)

    def append(self, finished: FinishedRequest) -> None:
        """Keep a record: one write, no waiting, and no error for the answer it belongs to.

        Where the disk refuses, the record is kept in memory until SQL takes it.
        """
        try:
            if not self._segments or self._segments[-1].size >= self._rotate_bytes:
                self._segments.append(Segment.create(self._directory))
            self._segments[-1].append(encode_line(finished))
        except (OSError, UnicodeEncodeError):
            log.exception("the journal cannot be written; a kill would lose this record")
            self._unwritten.append(finished)
        self._arrived.set()
        if self.waiting >= BATCH:
            self._crowded.set()

    async def gathered(self, interval_s: float) -> None:
        """Wait for a record, then for a full batch of them or `interval_s`, whichever is first."""
        await self._arrived.wait()
        try:
            async with asyncio.timeout(interval_s):
                await self._crowded.wait()
        except TimeoutError:
            return

    def hurry(self) -> None:
        """Let whoever waits in `gathered` go on at once."""
        self._arrived.set()
        self._crowded.set()

    async def drain(self, sink: Sink) -> int:
        """Hand the oldest records, at most one batch, to the sink; how many it was.

        Whatever the sink raises comes through, and the records stay.
        """
        async with self._draining:
            self._arrived.clear()
            self._crowded.clear()
            try:
                return await self._drain_memory(sink) or await self._drain_files(sink)
            finally:
                if self.waiting:
                    self._arrived.set()
                if self.waiting >= BATCH:
                    self._crowded.set()

    async def recover(self, sink: Sink) -> int:
        """Hand over what dead processes left, and delete their files; how many records."""
        recovered = 0
        for segment in Segment.leftovers(self._directory):
            try:
                while not segment.finished:
                    recovered += await self._deliver(segment, sink)
            finally:
                segment.close()
        if recovered:
            log.info("recovered %d finished requests of an earlier run", recovered)
        return recovered

    def processes(self) -> set[str]:
        """The ids of all processes, dead or alive, whose records are not all in SQL."""
        return {path.name.partition("-")[0] for path in self._directory.glob("*.jsonl")}

    def close(self) -> None:
        """Let go of the files. What is not in SQL yet is recovered by the next start."""
        while self._segments:
            self._segments.popleft().close()

    async def _drain_memory(self, sink: Sink) -> int:
        records = tuple(self._unwritten)[:BATCH]
        if records:
            await self._hand_over(records, sink)
            for _ in records:
                self._unwritten.popleft()
        return len(records)

    async def _drain_files(self, sink: Sink) -> int:
        if not self._segments:
            return 0
        oldest = self._segments[0]
        lines = await self._deliver(oldest, sink)
        if oldest is not self._segments[-1] and oldest.finished:
            self._segments.popleft().close()
        elif oldest.finished:
            oldest.clear()
        return lines

    async def _deliver(self, segment: Segment, sink: Sink) -> int:
        # In a thread: decoding a batch of long traces would hold up the event loop.
        batch = await asyncio.to_thread(segment.read, BATCH)
        for line in batch.damaged:
            if line.endswith(b"\n"):
                self._set_aside(line, "it cannot be read")
            else:  # its process died while writing it, so nobody was told that it is kept
                log.warning("dropped the torn last line of a journal file")
        await self._hand_over(batch.records, sink)
        segment.settle(batch)
        return batch.lines

    async def _hand_over(self, records: Sequence[FinishedRequest], sink: Sink) -> None:
        """Give the records to the sink. One that can never be stored does not block the rest."""
        if not records:
            return
        try:
            await sink(records)
        except (Conflict, InvalidRequest) as error:
            if len(records) == 1:
                self._set_aside(encode_line(records[0]), str(error))
                return
            for record in records:
                await self._hand_over((record,), sink)

    def _set_aside(self, line: bytes, reason: str) -> None:
        log.error("a journal record went to rejected.log: %s", reason)
        with (self._directory / "rejected.log").open("ab") as file:
            file.write(line)
