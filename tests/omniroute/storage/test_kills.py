"""`kill -9` at every kind of moment of what writes much: backups, migrations, files and the like.

A worker process forks a child for each kill. The child counts its steps - statements, syncs,
renames - and kills itself at one of them, drawn from a seed. Whatever it was doing, the database
opens clean afterwards, holds either all of the old or all of the new, and what was acknowledged.
"""

import json
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WORKER = Path(__file__).with_name("kill_worker.py")
KILLS = 2
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "doing", ["backup", "restore", "import", "migration", "retention", "apply", "rotate"]
)
async def test_a_kill_at_any_moment_leaves_a_whole_database(
    doing: str, url: str, tmp_path: Path
) -> None:
    command = [sys.executable, str(WORKER), doing, url, str(tmp_path), str(KILLS)]
    with anyio.fail_after(120):
        done = await anyio.run_process(
            command, stderr=subprocess.STDOUT, check=False, cwd=ROOT, env=None
        )
    assert done.returncode == 0, done.stdout.decode()
    outcomes = json.loads(done.stdout.decode().splitlines()[-1])
    assert len(outcomes) == KILLS
    assert all(outcome["killed"] for outcome in outcomes)
    assert {outcome["problem"] for outcome in outcomes} == {None}
