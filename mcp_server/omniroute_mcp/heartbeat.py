"""The pulse of a stdio process, in a file that others read. 03 §6."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import anyio
import msgspec
from msgspec import Struct

from omniroute.clock import from_iso, iso, now_ms

EVERY_S = 5.0
FRESH_MS = 15_000


class Heartbeat(Struct, frozen=True, rename="camel"):
    """One beat. Times are ISO-8601 UTC."""

    pid: int
    started_at: str
    last_heartbeat_at: str
    version: str
    transport: Literal["stdio"]
    scopes_enforced: bool
    allowed_scopes: list[str]
    tool_count: int


def heartbeat_path(data_dir: Path) -> Path:
    """Where the pulse lies."""
    return data_dir / "runtime" / "mcp-heartbeat.json"


@asynccontextmanager
async def beating(path: Path, first: Heartbeat) -> AsyncGenerator[None]:
    """Beat now, every five seconds, and once more on exit."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def beat_forever() -> None:
        while True:
            _beat(path, first)
            await anyio.sleep(EVERY_S)

    async with anyio.create_task_group() as group:
        group.start_soon(beat_forever)
        try:
            yield
        finally:
            group.cancel_scope.cancel()
            _beat(path, first)


def _beat(path: Path, first: Heartbeat) -> None:
    beat = msgspec.structs.replace(first, last_heartbeat_at=iso(now_ms()))
    draft = path.with_suffix(f".{first.pid}")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(beat), indent=2))
    draft.replace(path)  # a reader sees the old beat or the new one, never half of one


def read_heartbeat(path: Path) -> Heartbeat | None:
    """The last beat; None when there is none, or the file is not one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Heartbeat)
    except (OSError, msgspec.MsgspecError):
        return None


def since_ms(when: str, at_ms: int) -> int | None:
    """How long ago a time of a beat was; None when it cannot be read."""
    try:
        return at_ms - from_iso(when)
    except ValueError:
        return None


def is_online(beat: Heartbeat, at_ms: int) -> bool:
    """Whether the process of a beat is there: a fresh beat, and a process of that id."""
    age_ms = since_ms(beat.last_heartbeat_at, at_ms)
    return age_ms is not None and age_ms <= FRESH_MS and is_alive(beat.pid)


def is_alive(pid: int) -> bool:
    """Whether a process of that id exists."""
    if pid <= 0:  # to the system these mean groups of processes
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it exists and is not ours
        return True
    return True
