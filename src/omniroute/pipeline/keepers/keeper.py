"""Writes behind the requests what has to survive the process: in batches, a moment later."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import ClassVar, Self

from omniroute.errors import OmniRouteError
from omniroute.storage.database import Database

log = logging.getLogger(__name__)

PAUSE_S = 1.0


class Keeper(ABC):
    """Keeps storage up to date while it is entered, and a last time on the way out.

    Args:
        sleep: waits for seconds; a change is stored that long after it at the latest.
    """

    what: ClassVar[str]
    """What is kept, as the log calls it."""

    def __init__(
        self, database: Database, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._database = database
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def flush(self) -> None:
        """Store what has changed since the last time; nothing when nothing has.

        Raises:
            StorageUnavailable: it could not be stored; the next flush tries again.
        """

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._flush_or_log()

    async def _keep(self) -> None:
        while True:
            await self._sleep(PAUSE_S)
            await self._flush_or_log()

    async def _flush_or_log(self) -> None:
        try:
            await self.flush()
        except OmniRouteError as error:
            log.warning("%s could not be stored: %s", self.what, error)
