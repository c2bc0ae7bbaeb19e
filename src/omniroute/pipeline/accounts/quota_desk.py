"""Where quotas are asked for: one question per account at a time, a few at once, answers kept."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from omniroute.catalog.quota_report import QuotaReport
from omniroute.errors import InvalidRequest, NotFound, OmniRouteError
from omniroute.pipeline.accounts.quota_question import Asking, ask
from omniroute.routing.plan import Plan
from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.quotas.rules import shape_of
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.configuration import Connection

log = logging.getLogger(__name__)

MOST_AT_ONCE = 5
PREFLIGHT_S = 2.0

Keep: TypeAlias = Callable[[Connection, QuotaReport, int], Awaitable[None]]


async def _forgotten(_account: Connection, _report: QuotaReport, _at_ms: int) -> None:
    """Reports are not kept."""


@dataclass(frozen=True, slots=True)
class QuotaDesk:
    """Asks, and tells `quotas` what it hears.

    `keep` stores a report, `now_ms` is epoch milliseconds, and `patience_s` is how long a request
    waits to learn what is left of its accounts.
    """

    snapshot: Callable[[], Snapshot]
    quotas: Quotas
    through: Asking
    now_ms: Callable[[], int]
    keep: Keep = _forgotten
    patience_s: float = PREFLIGHT_S
    _asking: dict[str, asyncio.Task[QuotaReport]] = field(default_factory=dict)
    _keeping: set[asyncio.Task[None]] = field(default_factory=set)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))

    async def ask(self, connection: str) -> QuotaReport:
        """What is left of an account right now. Whoever asks at the same time shares the answer.

        Raises:
            NotFound: there is no such account.
            InvalidRequest: its provider has no usage API, or an option is missing.
            UpstreamFailed: the provider does not say; what it said before stays.
        """
        running = self._asking.get(connection)
        if running is None:
            running = asyncio.create_task(self._ask(connection))
            self._asking[connection] = running
            running.add_done_callback(lambda done: self._answered(connection, done))
        return await asyncio.shield(running)

    async def refresh(self, connections: Iterable[str]) -> None:
        """Ask about several accounts. Failures are noted with each account, and raise nothing."""
        found = await asyncio.gather(*map(self.ask, connections), return_exceptions=True)
        for error in found:
            if isinstance(error, BaseException) and not isinstance(error, OmniRouteError):
                raise error

    async def preflight(self, made: Plan, left_ms: int | None = None) -> bool:
        """Learn what is left of the accounts a plan begins with, as far as that is due.

        Args:
            left_ms: how long the caller still waits for its answer; None for any time.

        Returns:
            Whether anything was asked, so that the plan has to be made again.
        """
        due = self.due(made)
        if not due:
            return False
        wait_s = self.patience_s if left_ms is None else min(self.patience_s, left_ms / 1000)
        try:
            async with asyncio.timeout(wait_s):
                await self.refresh(due)
        except TimeoutError:
            for connection in due:
                if self.quotas.preflight_due(connection):
                    self.quotas.unanswered(connection, "its provider took too long to say")
        return True

    def due(self, made: Plan) -> list[str]:
        """The accounts a plan begins with, or keeps back, that must be asked about first."""
        asked = list(dict.fromkeys(row.connection for row in made.candidates))[:MOST_AT_ONCE]
        held = (row.connection for row in made.excluded if row.reason in _HELD and row.connection)
        return [one for one in dict.fromkeys((*asked, *held)) if self.quotas.preflight_due(one)]

    async def kept(self) -> None:
        """Wait until everything that was heard is stored."""
        await asyncio.gather(*self._keeping)

    async def aclose(self) -> None:
        """Stop asking, and store what was heard."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        await self.kept()

    async def _ask(self, connection: str) -> QuotaReport:
        snapshot = self.snapshot()
        account = snapshot.connections.get(connection)
        provider = snapshot.providers.get(account.provider) if account is not None else None
        if account is None or provider is None:
            raise NotFound(f"There is no account with the id '{connection}'.")
        shape = shape_of(provider, account)
        if shape is None:
            raise InvalidRequest(
                f"{provider.name} has no API that says what is left of an account. Set 'quotaPath' "
                "or 'quotaUrl' in its providerSpecificData if you have one."
            )
        try:
            async with self._slots:
                report = await ask(self.through, provider, account, shape, self.now_ms())
        except OmniRouteError as error:
            if connection in self.snapshot().connections:
                self.quotas.unanswered(connection, str(error))
            raise
        if connection not in self.snapshot().connections:
            raise NotFound(f"The account '{account.name}' was deleted while it was asked about.")
        self.quotas.report(connection, report)
        writing = asyncio.create_task(self._keep(account, report, self.now_ms()))
        self._keeping.add(writing)
        writing.add_done_callback(self._keeping.discard)
        return report

    def _answered(self, connection: str, done: asyncio.Task[QuotaReport]) -> None:
        self._asking.pop(connection, None)
        if not done.cancelled():
            done.exception()  # whoever asked may have gone away; it is noted with the account

    async def _keep(self, account: Connection, report: QuotaReport, at_ms: int) -> None:
        try:
            await self.keep(account, report, at_ms)
        except OmniRouteError as error:
            log.warning("the quota of an account could not be stored: %s", error)


_HELD = frozenset({"quota_preflight", "quota_exhausted"})
