"""Programs of other package managers that tests run.

Each set is installed once, into a cache of this user's that is named after its lock file.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.databases import REQUIRED

NODE_MAJOR = 22

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omniroute-tests"


def missing(reason: str) -> None:
    """Skip what needs a program that is not here, or fail where everything has to run."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


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
                missing(f"{command[0]} could not install the SDKs: {done.stderr[-500:]}")
        (place / "ready").touch()
    return place


def npm_packages(folder: Path) -> Path:
    """A folder with what `package-lock.json` of `folder` names."""
    npm = shutil.which("npm")
    if npm is None:
        missing("npm is not installed")
    return installed(folder, "package-lock.json", [str(npm), "ci"])


def node(packages: Path) -> Path:
    """A Node.js of at least 22: the one among those packages, or this machine's."""
    found = next(packages.glob("node_modules/node-*-*/bin/node"), None)
    found = found or Path(shutil.which("node") or "node")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout[1:].partition(".")[0]) < NODE_MAJOR:
        missing(f"Node.js {NODE_MAJOR} is not installed")
    return found
