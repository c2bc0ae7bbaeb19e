"""SDKs that cannot be installed beside the current ones: JavaScript's, and the majors before.

Each set is installed once, into a cache of this user's that is named after its lock file.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.omniroute_app.targets import TARGETS
from tests.support.databases import REQUIRED
from tests.support.processes import Gateway

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omniroute-tests"
SAID = {
    "chat tools": "The tools answered: rain; news",
    "responses tools": "The tools answered: rain; news",
    "messages tools": "The tools answered: rain; news",
    "count tokens": "at least 3",
}
"""What is said in a case; `one two three` where nothing stands here."""


def installed(folder: Path, lock: str, *commands: list[str]) -> Path:
    """A folder in which `commands` have been run on a copy of `folder`; skips where they fail."""
    digest = hashlib.sha256((folder / lock).read_bytes() + sys.version.encode()).hexdigest()
    place = CACHE / f"{folder.name}-{digest[:16]}"
    if not (place / "ready").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in (lock, "package.json", ".npmrc"):
            if (folder / name).exists():
                shutil.copy(folder / name, place)
        for command in commands:
            done = subprocess.run(
                command, cwd=place, capture_output=True, text=True, check=False, timeout=240
            )
            if done.returncode:
                reason = f"{command[0]} could not install the SDKs: {done.stderr[-500:]}"
                if REQUIRED:
                    pytest.fail(reason)
                pytest.skip(reason)
        (place / "ready").touch()
    return place


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
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        if REQUIRED:
            pytest.fail("node is not installed")
        pytest.skip("node is not installed")
    place = installed(HERE / "javascript", "package-lock.json", [npm, "ci"])
    shutil.copy(HERE / "javascript/clients.mjs", place)
    cases = told([node, "clients.mjs"], crossroads, place)
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
