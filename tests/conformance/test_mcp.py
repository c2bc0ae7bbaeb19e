"""The official MCP conformance suites against the fixture and against the product itself.

The fixture stands behind the product's own gates, authentication, transports and sessions.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.installing import node
from tests.support.processes import Gateway, Process, free_port

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SUITE = "@modelcontextprotocol/conformance/dist/index.js"
STABLE_SUITE = "conformance-stable/dist/index.js"
LIMIT_S = 240

GENERIC = {
    "2025-11-25": (
        "server-initialize",
        "server-session-lifecycle",
        "ping",
        "logging-set-level",
        "completion-complete",
        "tools-list",
        "resources-list",
        "prompts-list",
        "dns-rebinding-protection",
        "server-sse-multiple-streams",
    ),
    "2026-07-28": (
        "server-stateless",
        "completion-complete",
        "tools-list",
        "resources-list",
        "prompts-list",
        "sep-2164-resource-not-found",
        "caching",
        "dns-rebinding-protection",
        "http-header-validation",
        "input-required-result-unsupported-methods",
    ),
}
"""The scenarios that ask nothing of a server but what every server has."""


@pytest.fixture(scope="module")
def fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the fixture."""
    port, data = free_port(), tmp_path_factory.mktemp("fixture")
    arguments = ["--port", str(port), "--data-dir", str(data)]
    with Process(arguments, ready="fixture on port", module="tests.conformance.mcp_server"):
        yield f"http://127.0.0.1:{port}/api/mcp/stream"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a gateway's MCP door."""
    with Gateway(tmp_path_factory.mktemp("product")) as gateway:
        yield f"{gateway.url}/api/mcp/stream"


def run(packages: Path, suite: str, *arguments: str, place: Path) -> tuple[int, dict[str, int]]:
    """Exit status of a suite, and the failed checks of every scenario that was run."""
    done = subprocess.run(
        [node(packages), packages / "node_modules" / suite, "server", *arguments, "-o", str(place)],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    summary = re.findall(r"[✓✗] ([\w.-]+): \d+ passed, (\d+) failed", done.stdout)
    assert summary or "Passed:" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    return done.returncode, {name: int(failed) for name, failed in summary}


@pytest.mark.parametrize("revision", GENERIC)
def test_everything_a_revision_requires(
    packages: Path, fixture: str, tmp_path: Path, revision: str
) -> None:
    status, failed = run(
        packages, SUITE, "--url", fixture, "--requirements", revision, place=tmp_path
    )
    assert status == 0
    assert len(failed) >= 30
    assert {name: count for name, count in failed.items() if count} == {}


def test_the_suite_of_the_revision_before(packages: Path, fixture: str, tmp_path: Path) -> None:
    status, failed = run(packages, STABLE_SUITE, "--url", fixture, place=tmp_path)
    assert status == 0
    assert len(failed) >= 25
    assert {name: count for name, count in failed.items() if count} == {}


@pytest.mark.parametrize("revision", GENERIC)
def test_the_product_itself(packages: Path, product: str, tmp_path: Path, revision: str) -> None:
    expected = str(HERE / "mcp_product_expected.yml")
    for scenario in GENERIC[revision]:
        place = tmp_path / scenario
        place.mkdir()
        arguments = ("--url", product, "--scenario", scenario, "--spec-version", revision)
        known = ("--expected-failures", expected)
        status, _ = run(packages, SUITE, *arguments, *known, place=place)
        assert status == 0, scenario
