"""What all tests share."""

import gc
import os

import pytest
import structlog
from hypothesis import HealthCheck, settings

# The same examples every time, so that a failure is the change's; `explore` looks for new ones:
# HYPOTHESIS_PROFILE=explore pytest tests/omniroute/dialects. Slow machines are no failure.
SLOW = [HealthCheck.too_slow]
settings.register_profile("gate", deadline=None, derandomize=True, suppress_health_check=SLOW)
settings.register_profile("explore", deadline=None, max_examples=2_000, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

# Plain tracebacks: the default prints every local variable of every frame, for seconds each.
structlog.configure(
    processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop under `pytest.mark.anyio`."""
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, so that no worker ends with one while the others are idle."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    """What has been imported is there for good, so the collector need not look at it again."""
    gc.collect()
    gc.freeze()
