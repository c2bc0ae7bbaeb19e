"""The background task that moves finished requests from the journal into SQL."""

import asyncio
import logging
from types import TracebackType
from typing import Self

from omniroute.storage.journal import Journal, Sink

log = logging.getLogger(__name__)

_LONGEST_BACKOFF_S = 30.0


class Drainer:
    """Recovers what earlier runs left, then drains while it is entered, and once more on exit.

    A failing sink costs nothing but time: records stay in the journal, the next try follows
    after a delay that doubles up to 30 s. The journal is closed on exit.

    Args:
        interval_s: how long a first record waits for others to share its transaction.
        backoff_s: the first delay after a failure.
    """

    def __init__(
        self, journal: Journal, sink: Sink, *, interval_s: float = 0.1, backoff_s: float = 0.5
    ) -> None:
        self._journal = journal
        self._sink = sink
        self._interval_s = interval_s
        self._backoff_s = backoff_s
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="journal drainer")
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._journal.hurry()
        try:
            if self._task is not None:
                await self._task
        finally:
            self._journal.close()

    @property
    def waiting(self) -> int:
        """How many finished requests are not in SQL yet."""
        return self._journal.waiting

    async def flush(self) -> None:
        """Have everything appended so far in SQL, now. Raises what the sink raises."""
        while self._journal.waiting:
            await self._journal.drain(self._sink)

    async def _run(self) -> None:
        recovered = False
        delay_s = self._backoff_s
        while True:
            try:
                if not recovered:
                    await self._journal.recover(self._sink)
                    recovered = True
                await self._journal.gathered(self._interval_s)
                await self._journal.drain(self._sink)
                delay_s = self._backoff_s
                if self._closing.is_set():
                    await self.flush()
                    return
            except Exception:  # whatever it is, the records must be tried again
                log.exception("finished requests cannot be stored; they stay in the journal")
                if self._closing.is_set():
                    return
                await self._pause(delay_s)
                delay_s = min(2 * delay_s, _LONGEST_BACKOFF_S)

    async def _pause(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._closing.wait()
        except TimeoutError:
            return
