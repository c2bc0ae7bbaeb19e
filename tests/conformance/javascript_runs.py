"""Runs a script of ours on the JavaScript packages, and reads what it printed."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.installing import node

SCRIPTS = Path(__file__).parent / "javascript"
LIMIT_S = 120


def told(packages: Path, script: str, *arguments: str | Path) -> list[dict[str, Any]]:
    """The JSON lines a script printed."""
    shutil.copy(SCRIPTS / script, packages)  # imports are looked up from where a script lies
    done = subprocess.run(
        [node(packages), packages / script, *arguments],
        cwd=packages,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]
