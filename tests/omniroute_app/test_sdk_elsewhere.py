"""SDKs that cannot be installed beside the current ones: JavaScript's, and the majors before."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.omniroute_app.targets import TARGETS
from tests.support.installing import installed, npm_packages
from tests.support.processes import Gateway

HERE = Path(__file__).parent
SAID = {
    "chat tools": "The tools answered: rain; news",
    "responses tools": "The tools answered: rain; news",
    "messages tools": "The tools answered: rain; news",
    "count tokens": "at least 3",
}
"""What is said in a case; `one two three` where nothing stands here."""


def told(command: list[str | Path], gateway: Gateway, place: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [*command, gateway.url, *TARGETS.values()],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def wrong(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in cases if row.get("said") != SAID.get(row["case"], "one two three")]


@pytest.mark.slow
def test_the_javascript_sdks_and_the_majors_before_them(crossroads: Gateway) -> None:
    place = npm_packages(HERE / "javascript")
    shutil.copy(HERE / "javascript/clients.mjs", place)
    cases = told(["node", "clients.mjs"], crossroads, place)
    assert wrong(cases) == []
    assert len(cases) == len(TARGETS) * (3 * 6 + 2 * 4)


LOCKS = {"the major before": "requirements.lock", "two before": "requirements-older.lock"}


@pytest.mark.slow
@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_the_python_sdks_of_majors_before(crossroads: Gateway, lock: str) -> None:
    install = ["bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    place = installed(
        HERE / "old_majors",
        lock,
        [sys.executable, "-m", "venv", "."],
        [*install, "--no-deps", "--require-hashes", "-r", lock],
    )
    python = place / "bin/python"
    cases = told([python, HERE / "old_majors/clients.py"], crossroads, place)
    assert wrong(cases) == []
    assert len(cases) == len(TARGETS) * 11
