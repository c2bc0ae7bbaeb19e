"""Where tasks are kept: in the database, so that results outlive connections and the process."""

from typing import Any, Self

import msgspec
from msgspec import Struct

from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.storage.records.agents import McpTask
from omniroute_mcp.tasks.task import Task, stopped_error


class Kept(Struct, frozen=True):
    """A task as it was last written. `told` is what its caller is told."""

    owner: str
    has_ended: bool
    told: dict[str, Any]

    @classmethod
    def of(cls, row: McpTask) -> Self:
        """Read a row."""
        return cls(row.owner, row.holder is None, msgspec.json.decode(row.data))


async def put(engine: Engine, task: Task) -> None:
    """Write a task as it stands."""
    row = McpTask(
        id=task.id,
        owner=task.owner,
        holder=None if task.has_ended else engine.tools.holder,
        data=msgspec.json.encode(task.told()).decode(),
        expires_at_ms=task.expires_at_ms,
    )
    async with engine.database.work() as work:
        await work.mcp_tasks.save(row)


async def find(engine: Engine, task_id: str) -> Kept | None:
    """A task that has been written and has not expired."""
    async with engine.database.reading() as work:
        row = await work.mcp_tasks.get(task_id)
    return Kept.of(row) if row is not None and row.expires_at_ms > engine.now_ms() else None


async def settle_left_behind(engine: Engine) -> int:
    """Fail what processes that are gone have left unfinished; how much that was."""
    async with engine.database.reading() as work:
        dead = engine.tools.dead(await work.mcp_tasks.holders())
    if not dead:
        return 0
    async with engine.database.work() as work:
        left = await work.mcp_tasks.held_by(dead)
        for row in left:
            await work.mcp_tasks.save(_failed(row, engine.now_ms()))
    return len(left)


def _failed(row: McpTask, now_ms: int) -> McpTask:
    error = stopped_error("the gateway was stopped")
    told = {name: value for name, value in Kept.of(row).told.items() if name != "inputRequests"}
    told |= {
        "status": "failed",
        "statusMessage": error.message,
        "lastUpdatedAt": iso(now_ms),
        "error": {"code": error.code, "message": error.message},
    }
    data = msgspec.json.encode(told).decode()
    return msgspec.structs.replace(row, holder=None, data=data)
