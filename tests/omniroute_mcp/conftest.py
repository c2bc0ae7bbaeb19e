"""A gateway process, and the whole application in process, for MCP clients."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx
import pytest
from starlette.applications import Starlette
from tests.support.processes import Gateway

from omniroute.engine import Engine
from omniroute_app.asgi import Gateway as Composed
from omniroute_app.asgi import build_gateway
from omniroute_app.settings import Settings, load_settings
from omniroute_app.wiring import open_engine


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway process."""
    with Gateway(tmp_path_factory.mktemp("mcp")) as process:
        yield process
        assert process.stop() == 0


@asynccontextmanager
async def application(
    data_dir: Path, peer: str = "127.0.0.1", **environ: str
) -> AsyncIterator[tuple[Engine, httpx.AsyncClient, Composed]]:
    """An engine, a client of the whole application as `peer`, and the application."""
    settings: Settings = load_settings(environ, data_dir=data_dir, discover=False)
    async with open_engine(settings, environ) as engine:
        composed = build_gateway(engine, settings)
        root = cast("Starlette", composed.app.app)
        transport = httpx.ASGITransport(composed.app, client=(peer, 50_000))
        async with (
            root.router.lifespan_context(root),
            httpx.AsyncClient(transport=transport, base_url="http://localhost:20128") as client,
        ):
            yield engine, client, composed
