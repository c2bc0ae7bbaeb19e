"""What all tests share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The event loop under `pytest.mark.anyio`."""
    return "asyncio"
