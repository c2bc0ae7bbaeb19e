"""The background task that pushes the configuration when it has changed. Source: 02 §16.1."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from omniroute.background import in_background
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError
from omniroute.operations.configuration.sync.bundle import versioned
from omniroute.operations.configuration.sync.push import cloud_key, last_push, push, required_url
from omniroute.routing.snapshot import Snapshot
from omniroute.upstream.cloud_server import CloudFailed

log = structlog.get_logger(__name__)

PAUSE_S = 2.0
"""How long more changes are waited for: whoever sets a gateway up makes many of them."""

RETRY_S = 300.0
"""When a push that failed is tried again, where nothing changes before."""


class CloudKeeper:
    """Pushes the configuration, where that is wanted, a moment after it has changed.

    Nobody waits for it, and a failure is only logged. Where several processes share a database,
    whoever comes second finds that the server has that version already.

    Args:
        sleep: waits for seconds.
    """

    def __init__(
        self, engine: Engine, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._engine = engine
        self._sleep = sleep
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Push until the process stops."""
        self._changed.set()  # something may have changed while nothing ran
        self._engine.configuration.watch(self._seen)
        async with in_background(self._keep(), "cloud sync"):
            yield

    def _seen(self, _: Snapshot) -> None:
        self._changed.set()

    async def _keep(self) -> None:
        done = True
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), None if done else RETRY_S)
            await self._sleep(PAUSE_S)
            self._changed.clear()
            try:
                done = await self.round()
            except Exception:  # whatever it is, the next change is pushed
                log.exception("cloud_push_failed")
                done = False

    async def round(self) -> bool:
        """Push what the server does not have yet; False where that should be tried again."""
        engine = self._engine
        if not engine.snapshot.settings["cloudEnabled"]:
            return True
        try:
            url, key = required_url(engine), await cloud_key(engine)
            if key is None:
                log.warning("cloud_push_failed", error="There is no key to show the cloud.")
                return True
            bundle = await asyncio.to_thread(versioned, engine, credentials=True)
            known = await last_push(engine)
            if known is None or (known.version, known.url) != (bundle.version, url):
                await push(engine, url, key, bundle)
        except (CloudFailed, OmniRouteError) as error:
            log.warning("cloud_push_failed", error=str(error))
            return False
        return True
