"""A query that is cancelled in a task group: the process can still end."""

import threading
from pathlib import Path

import anyio
from sqlalchemy import text

from omniroute.storage.engines import create_engines

SLOW = (
    "WITH RECURSIVE counted(x) AS "
    "(SELECT 1 UNION ALL SELECT x + 1 FROM counted LIMIT 100000000) SELECT max(x) FROM counted"
)
LIMIT_S = 30


async def cancel_a_query(path: Path) -> None:
    writing, reading = create_engines(f"sqlite:///{path}")

    async def query(begun: anyio.Event) -> None:
        async with reading.begin() as connection:
            begun.set()
            await connection.execute(text(SLOW))

    for _ in range(3):
        async with anyio.create_task_group() as group:
            begun = anyio.Event()
            group.start_soon(query, begun)
            await begun.wait()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    await writing.dispose()
    await reading.dispose()


def test_the_loop_ends_after_cancelled_queries(tmp_path: Path) -> None:
    """Its own thread, so that a loop that never ends fails this test and no other."""
    thread = threading.Thread(
        target=anyio.run, args=(cancel_a_query, tmp_path / "x.sqlite"), daemon=True
    )
    thread.start()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
