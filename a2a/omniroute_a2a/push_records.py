"""Durable push configurations and outbox: what the door asks of storage, and SQL as the answer."""

from collections.abc import Sequence
from typing import Protocol

from omniroute.storage.database import Database
from omniroute.storage.records.agents import PushConfig, PushDelivery


class PushRecords(Protocol):
    """Configurations of tasks and messages on their way. Each call is a transaction of its own;
    see `omniroute.storage.push`."""

    async def save(self, config: PushConfig, /) -> None: ...
    async def get(self, config: str, /) -> PushConfig | None: ...
    async def of_task(self, task_id: str, /) -> Sequence[PushConfig]: ...
    async def delete(self, task_id: str, config_id: str | None, /) -> None: ...
    async def delete_orphans(self, before_ms: int, /) -> None: ...
    async def due(self, now_ms: int, limit: int, /) -> Sequence[PushDelivery]: ...
    async def claim(self, delivery: PushDelivery, now_ms: int, until_ms: int, /) -> bool: ...
    async def settle(self, delivery: PushDelivery, /) -> None: ...
    async def next_due_ms(self) -> int | None: ...
    async def history(self, task_id: str, /) -> Sequence[PushDelivery]: ...


class SqlPushRecords:
    """`PushRecords` in the gateway's database, one unit of work per call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, config: PushConfig, /) -> None:
        async with self._database.work() as work:
            await work.push.save(config)

    async def get(self, config: str, /) -> PushConfig | None:
        async with self._database.reading() as work:
            return await work.push.get(config)

    async def of_task(self, task_id: str, /) -> Sequence[PushConfig]:
        async with self._database.reading() as work:
            return await work.push.of_task(task_id)

    async def delete(self, task_id: str, config_id: str | None, /) -> None:
        async with self._database.work() as work:
            await work.push.delete(task_id, config_id)

    async def delete_orphans(self, before_ms: int, /) -> None:
        async with self._database.work() as work:
            await work.push.delete_orphans(before_ms)

    async def due(self, now_ms: int, limit: int, /) -> Sequence[PushDelivery]:
        async with self._database.reading() as work:
            return await work.push.due(now_ms, limit)

    async def claim(self, delivery: PushDelivery, now_ms: int, until_ms: int, /) -> bool:
        async with self._database.work() as work:
            return await work.push.claim(delivery, now_ms, until_ms)

    async def settle(self, delivery: PushDelivery, /) -> None:
        async with self._database.work() as work:
            await work.push.settle(delivery)

    async def next_due_ms(self) -> int | None:
        async with self._database.reading() as work:
            return await work.push.next_due_ms()

    async def history(self, task_id: str, /) -> Sequence[PushDelivery]:
        async with self._database.reading() as work:
            return await work.push.history(task_id)
