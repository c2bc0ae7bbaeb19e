"""Engines over fresh data directories, each under variables of its own."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from omniroute.engine import Engine
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine

OpenEngine: TypeAlias = Callable[..., AbstractAsyncContextManager[Engine]]

VARIABLES = {
    "OPENAI_KEY": "sk-openai",
    "TEAM_KEY": "omr-team-key-of-16-characters",
    "PROXY_PASSWORD": "let me in",
}


@pytest.fixture
def open_in(tmp_path: Path) -> OpenEngine:
    """Opens the engine of a directory of the test."""

    @asynccontextmanager
    async def opened(
        name: str = "data", environ: Mapping[str, str] = VARIABLES, url: str | None = None
    ) -> AsyncIterator[Engine]:
        settings = load_settings(
            {}, data_dir=tmp_path / name, discover=False, database_url=url, disable_auto_backup=True
        )
        async with open_engine(settings, environ) as engine:
            yield engine

    return opened


@pytest.fixture
async def engine(open_in: OpenEngine) -> AsyncIterator[Engine]:
    """One of them."""
    async with open_in() as opened:
        yield opened
