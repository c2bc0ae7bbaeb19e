"""The JavaScript packages, and gateways on loopback for clients to reach."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.installing import npm_packages
from tests.support.processes import Gateway

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def packages() -> Path:
    """A folder with the suites and clients in JavaScript, and the Node.js they need."""
    return npm_packages(HERE / "javascript")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway process, with nothing configured."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as process:
        yield process
        assert process.stop() == 0
