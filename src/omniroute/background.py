"""Work beside the requests: it runs while a context is open, and goes on whatever happens."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

log = structlog.get_logger(__name__)


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None], name: str) -> AsyncGenerator[None]:
    """Run something while the context is open; it is cancelled at the end."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def round_after_round(
    one: Callable[[], Awaitable[float]],
    sleep: Callable[[float], Awaitable[None]],
    *,
    failed: str,
    trouble_s: float,
) -> None:
    """Do rounds until cancelled.

    Args:
        one: a round; returns how many seconds to wait before the next.
        sleep: waits for seconds.
        failed: the event the log has of a round that failed.
        trouble_s: how long to wait after such a one.
    """
    while True:
        try:
            wait_s = await one()
        except Exception:  # whatever it is, the next round must come
            log.exception(failed)
            wait_s = trouble_s
        await sleep(wait_s)
