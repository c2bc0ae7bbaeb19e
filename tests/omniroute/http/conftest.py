"""The whole application in process, seen by this machine's user and by strangers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias, cast

import httpx
import pytest
from starlette.applications import Starlette

from omniroute.engine import Engine
from omniroute_app.asgi import build_gateway
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine

BOSS = "key-of-the-environment"
"""For routes that this machine alone may not use: `OMNIROUTE_API_KEY` of a gateway."""

HERE = ("127.0.0.1", 50_000)
ELSEWHERE = ("192.0.2.7", 50_000)


class Site:
    """One gateway; `as_peer` makes a client that connects from an address."""

    def __init__(
        self, engine: Engine, transports: Callable[[tuple[str, int]], httpx.ASGITransport]
    ):
        self.engine = engine
        self._transports = transports

    def as_peer(self, peer: tuple[str, int] = HERE, *, key: str | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=self._transports(peer),
            base_url="http://localhost:20128",
            headers={"authorization": f"Bearer {key}"} if key else {},
        )


OpenSite: TypeAlias = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture
def site(tmp_path: Path) -> OpenSite:
    """Opens a gateway under environment variables."""

    @asynccontextmanager
    async def opened(**environ: str) -> AsyncIterator[Site]:
        environ.setdefault("PRICING_SYNC_LITELLM_URL", "http://127.0.0.1:9/")  # never the real one
        settings = load_settings(environ, data_dir=tmp_path, discover=False)
        async with open_engine(settings, environ) as engine:
            gateway = build_gateway(engine, settings)
            root = cast("Starlette", gateway.app.app)
            async with root.router.lifespan_context(root):
                yield Site(engine, lambda peer: httpx.ASGITransport(gateway.app, client=peer))

    return opened
