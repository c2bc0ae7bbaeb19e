"""The background task that renews tokens before they end, so that no request has to wait."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from omniroute.background import in_background, round_after_round
from omniroute.engine import Engine
from omniroute.pipeline.accounts.logins import ENDED, LoginFailed
from omniroute.storage.records.configuration import Connection

log = structlog.get_logger(__name__)

FIRST_LOOK_S = 10.0
LOOK_S = 60.0


class LoginKeeper:
    """Looks every minute. Several processes may: a token is renewed by one of them.

    Args:
        stagger_s: between two renewals.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        engine: Engine,
        stagger_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._stagger_s = stagger_s
        self._sleep = sleep

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Renew tokens until the process stops."""
        async with in_background(self._keep(), "logins"):
            yield

    async def _keep(self) -> None:
        await self._sleep(FIRST_LOOK_S)
        await round_after_round(
            self._look, self._sleep, failed="tokens_not_renewed", trouble_s=LOOK_S
        )

    async def _look(self) -> float:
        await self.round()
        return LOOK_S

    async def round(self) -> int:
        """Renew the tokens that will end soon, one after the other; how many there were."""
        due = self.due()
        for place, account in enumerate(due):
            if place:
                await self._sleep(self._stagger_s)
            try:
                await self._engine.logins.fresh(account)
            except LoginFailed as error:  # it is noted with the account; requests will see it
                log.info("login_not_renewed", connection=account.id, why=str(error))
        return len(due)

    def due(self) -> list[Connection]:
        """The active accounts whose token will end soon and can be renewed."""
        now_ms = self._engine.now_ms()
        return [
            row
            for row in self._engine.snapshot.connections.values()
            if row.auth_type == "oauth"
            and row.is_active
            and row.refresh_token is not None
            and row.test_status not in ENDED
            and self._engine.logins.is_due(row, now_ms)
        ]
