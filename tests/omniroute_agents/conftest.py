"""An engine as the composition root builds it, with the demo provider only."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omniroute.engine import Engine
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine over a fresh data directory."""
    settings = load_settings({}, data_dir=tmp_path, discover=False)
    async with open_engine(settings, {}) as opened:
        yield opened
