"""The pulse of a stdio process: the file, and when it counts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from omniroute.clock import from_iso, iso
from omniroute_mcp.heartbeat import (
    Heartbeat,
    beating,
    heartbeat_path,
    is_alive,
    is_online,
    read_heartbeat,
)

NOW_MS = 1_800_000_000_000


def beat(**changes: Any) -> Heartbeat:
    """A beat of this very process, just now."""
    made = Heartbeat(
        pid=os.getpid(),
        started_at=iso(NOW_MS),
        last_heartbeat_at=iso(NOW_MS),
        version="1",
        transport="stdio",
        scopes_enforced=True,
        allowed_scopes=["read:*"],
        tool_count=6,
    )
    return msgspec.structs.replace(made, **changes)


@pytest.mark.anyio
async def test_it_is_written_at_the_start_and_left_on_exit(tmp_path: Path) -> None:
    path = heartbeat_path(tmp_path)
    with anyio.fail_after(10):
        async with beating(path, beat()):
            while not path.exists():
                await anyio.lowlevel.checkpoint()
        written = json.loads(path.read_text())
    at = written.pop("lastHeartbeatAt")
    assert from_iso(at) > 0
    assert written == {
        "pid": os.getpid(),
        "startedAt": iso(NOW_MS),
        "version": "1",
        "transport": "stdio",
        "scopesEnforced": True,
        "allowedScopes": ["read:*"],
        "toolCount": 6,
    }
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.anyio
async def test_it_beats_every_five_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = heartbeat_path(tmp_path)
    pauses: list[tuple[float, bool]] = []

    async def sleep(seconds: float) -> None:
        pauses.append((seconds, path.exists()))
        path.unlink()
        await anyio.lowlevel.checkpoint()

    with anyio.fail_after(10):
        async with beating(path, beat()):
            monkeypatch.setattr(anyio, "sleep", sleep)
            while len(pauses) < 3:
                await anyio.lowlevel.checkpoint()
            monkeypatch.undo()
    assert pauses[:3] == [(5.0, True)] * 3
    assert path.exists()


def dead_pid() -> int:
    """The id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


ONLINE = {
    "just now": (beat(), NOW_MS, True),
    "15 seconds ago": (beat(), NOW_MS + 15_000, True),
    "longer ago": (beat(), NOW_MS + 15_001, False),
    "a time nobody can read": (beat(last_heartbeat_at="soon"), NOW_MS, False),
    "a process that has ended": (beat(pid=dead_pid()), NOW_MS, False),
}


@pytest.mark.parametrize(("one", "at_ms", "online"), ONLINE.values(), ids=ONLINE)
def test_online_takes_a_fresh_beat_and_a_live_process(
    one: Heartbeat, at_ms: int, online: bool
) -> None:
    assert is_online(one, at_ms) is online


@pytest.mark.parametrize("pid", [0, -1, 10**30])
def test_ids_no_process_can_have_are_dead(pid: int) -> None:
    assert not is_alive(pid)


GOOD = msgspec.to_builtins(beat())
ABSENT = {
    "no JSON": b"{",
    "not an object": b"[]",
    **{
        f"without {name}": msgspec.json.encode({k: v for k, v in GOOD.items() if k != name})
        for name in GOOD
    },
    **{f"{name} mistyped": msgspec.json.encode({**GOOD, name: {}}) for name in GOOD},
    "of another transport": msgspec.json.encode({**GOOD, "transport": "sse"}),
}


@pytest.mark.parametrize("written", ABSENT.values(), ids=ABSENT)
def test_a_file_that_is_no_beat_counts_as_absent(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "beat.json"
    path.write_bytes(written)
    assert read_heartbeat(path) is None
