"""Where changes of A2A tasks are told, and the messages that are still on their way, in SQL."""

from collections.abc import Callable

import msgspec
from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.agents import PushConfig, PushDelivery
from omniroute.storage.sealing import Sealer
from omniroute.storage.statements import upsert
from omniroute.storage.tables import a2a_push_configs as configs
from omniroute.storage.tables import a2a_push_deliveries as deliveries
from omniroute.storage.tables import a2a_tasks as tasks

PENDING = "pending"

_OLDEST = (
    select(func.min(deliveries.c.id))
    .where(deliveries.c.state == PENDING)
    .group_by(deliveries.c.push_config)
)


def place(config: str) -> str:
    """What the sealed configuration of a row is bound to."""
    return f"a2a_push_configs:{config}:config"


class PushRepository:
    """Configurations of tasks, and an outbox of messages to their receivers."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def save(self, config: PushConfig) -> None:
        """Keep a configuration, or overwrite that of the task with its id."""
        box = await self._sealer.steady()
        row = {**msgspec.structs.asdict(config), "id": config.id}
        row["config"] = box.seal(config.config, place(config.id))
        await upsert(self._connection, configs, row)

    async def get(self, config: str) -> PushConfig | None:
        """One configuration by its whole name; None when it is gone or does not open."""
        rows = await self._connection.execute(select(configs).where(configs.c.id == config))
        return next((opened for row in rows.mappings() if (opened := self._opened(row))), None)

    async def of_task(self, task_id: str) -> tuple[PushConfig, ...]:
        """The configurations of a task, oldest first; those that do not open are left out."""
        rows = await self._connection.execute(
            select(configs)
            .where(configs.c.task_id == task_id)
            .order_by(configs.c.created_at_ms, configs.c.id)
        )
        return tuple(opened for row in rows.mappings() if (opened := self._opened(row)))

    async def delete(self, task_id: str, config_id: str | None = None) -> None:
        """Forget one configuration of a task, or all; what was still to be told is not."""
        gone = delete(configs).where(configs.c.task_id == task_id)
        if config_id is not None:
            gone = gone.where(configs.c.config_id == config_id)
        await self._connection.execute(gone)

    async def delete_orphans(self, before_ms: int) -> None:
        """Forget configurations made before a time whose task is gone, or never came."""
        no_task = ~select(tasks.c.id).where(tasks.c.id == configs.c.task_id).exists()
        await self._connection.execute(
            delete(configs).where(configs.c.created_at_ms < before_ms, no_task)
        )

    async def enqueue(self, task_id: str, body_for: Callable[[str], str], now_ms: int) -> int:
        """Put a message to every receiver of a task into the outbox; how many.

        Args:
            body_for: makes the text for a protocol version.
        """
        found = await self._connection.execute(
            select(configs.c.id, configs.c.protocol).where(configs.c.task_id == task_id)
        )
        rows = [
            {
                "push_config": row.id,
                "task_id": task_id,
                "body": body_for(row.protocol),
                "state": PENDING,
                "attempts": 0,
                "due_at_ms": now_ms,
                "created_at_ms": now_ms,
                "updated_at_ms": now_ms,
            }
            for row in found
        ]
        if rows:
            await self._connection.execute(insert(deliveries), rows)
        return len(rows)

    async def due(self, now_ms: int, limit: int) -> tuple[PushDelivery, ...]:
        """Messages that may be tried now: the oldest of each receiver, so that they stay in order.

        Whoever sends one claims it first.
        """
        rows = await self._connection.execute(
            select(deliveries)
            .where(deliveries.c.id.in_(_OLDEST), deliveries.c.due_at_ms <= now_ms)
            .order_by(deliveries.c.id)
            .limit(limit)
        )
        return tuple(PushDelivery(**dict(row)) for row in rows.mappings())

    async def claim(self, delivery: PushDelivery, now_ms: int, until_ms: int) -> bool:
        """Count an attempt and keep others off until a time; False when somebody was faster."""
        taken = await self._connection.execute(
            update(deliveries)
            .where(
                deliveries.c.id == delivery.id,
                deliveries.c.state == PENDING,
                deliveries.c.attempts == delivery.attempts,
            )
            .values(attempts=delivery.attempts + 1, due_at_ms=until_ms, updated_at_ms=now_ms)
        )
        return taken.rowcount == 1

    async def settle(self, delivery: PushDelivery) -> None:
        """Write down how the attempt ended; nothing when its receiver was forgotten meanwhile."""
        await self._connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery.id)
            .values(
                state=delivery.state,
                due_at_ms=delivery.due_at_ms,
                reason=delivery.reason,
                updated_at_ms=delivery.updated_at_ms,
            )
        )

    async def next_due_ms(self) -> int | None:
        """When the next message may be tried, None when there is none."""
        due: int | None = await self._connection.scalar(
            select(func.min(deliveries.c.due_at_ms)).where(deliveries.c.id.in_(_OLDEST))
        )
        return due

    async def history(self, task_id: str) -> tuple[PushDelivery, ...]:
        """Every message about a task, oldest first."""
        rows = await self._connection.execute(
            select(deliveries).where(deliveries.c.task_id == task_id).order_by(deliveries.c.id)
        )
        return tuple(PushDelivery(**dict(row)) for row in rows.mappings())

    def _opened(self, row: RowMapping) -> PushConfig | None:
        values = dict(row)
        opened = self._sealer.open(values["config"], place(values.pop("id")))
        return None if opened is None else PushConfig(**{**values, "config": opened})
