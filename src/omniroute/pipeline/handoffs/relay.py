"""Conversations that change accounts without losing their thread: summaries made in time.

In combos with the strategy `context-relay`. While an account's quota runs low, the conversation is
summarised in the background; when another account takes over, it reads the summary first.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias

from omniroute.chat import ChatRequest
from omniroute.errors import OmniRouteError
from omniroute.pipeline.exchange import ChatCall, WholeAnswer
from omniroute.pipeline.facts import session_of
from omniroute.pipeline.handoffs.handoff import Handoff, handed_over, read_summary, summary_request
from omniroute.pipeline.settlement import Settlement
from omniroute.routing.combo_config import ComboConfig
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Candidate, Quota

log = logging.getLogger(__name__)

LATE_SHARE = 0.95
"""From here on there may be no quota left for the summary itself."""

KEPT_FOR_MS = 5 * 3_600_000
"""How long a summary is kept when nobody knows when the quota starts afresh."""

PATH = "internal:handoff"

Ask: TypeAlias = Callable[[ChatCall], Awaitable[WholeAnswer]]

Key: TypeAlias = tuple[str, str]
"""Session and combo."""


class HandoffStore(Protocol):
    """Where summaries survive a restart."""

    async def put(self, session: str, combo: str, handoff: Handoff) -> None:
        """Store one, over the one before."""

    async def drop(self, session: str, combo: str) -> None:
        """Forget one."""


class ContextRelay:
    """The summaries that wait for another account, and the making of new ones.

    Args:
        now_ms: epoch milliseconds.
        quota: what is left of an account's quota.
        new_id: makes ids of requests.
        store: keeps summaries over a restart; in memory only without one.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        quota: Callable[[str], Quota | None],
        new_id: Callable[[], str],
        store: HandoffStore | None = None,
    ) -> None:
        self._now_ms = now_ms
        self._quota = quota
        self._new_id = new_id
        self._store = store
        self._waiting: dict[Key, Handoff] = {}
        self._making: dict[Key, asyncio.Task[None]] = {}
        self._dropping: set[asyncio.Task[None]] = set()

    def restore(self, stored: Mapping[Key, Handoff]) -> None:
        """Take over what an earlier process made."""
        self._waiting.update(stored)

    def waiting(
        self, call: ChatCall, snapshot: Snapshot, combo: str | None, to: Candidate
    ) -> Handoff | None:
        """What an account should read first, because another one had the conversation."""
        key = self._key(call, snapshot, combo)
        found = self._waiting.get(key) if key is not None else None
        if found is None or found.connection == to.connection:
            return None
        return found if found.expires_at_ms > self._now_ms() else None

    def heaviest(self, call: ChatCall, snapshot: Snapshot, combo: str | None) -> ChatRequest | None:
        """The request with a summary that some account may have to read; None without one."""
        key = self._key(call, snapshot, combo)
        found = self._waiting.get(key) if key is not None else None
        return None if found is None else handed_over(call.request, found)

    def delivered(self, books: Settlement, ask: Ask) -> None:
        """A request was answered: a summary that was read is done, and one may be due.

        Args:
            ask: answers the request for a summary.
        """
        combo = books.plan.combo if books.plan is not None else None
        key = self._key(books.call, books.snapshot, combo)
        if key is None or not books.attempts:
            return
        if any(change.code == "handoff" for change in books.call.changes):
            self._waiting.pop(key, None)
            self._spawn_drop(key)
        served = books.attempts[-1]
        config = books.snapshot.conduct(combo, served.provider)
        if config is None or not self._due(key, served.provider, served.connection, config):
            return
        model = config.handoff_model or books.snapshot.written(served.provider, served.model)
        request = summary_request(books.call.request, model, config.max_messages_for_summary)
        call = ChatCall(
            request_id=self._new_id(),
            caller=books.call.caller,
            request=request,
            pinned_connection=None if config.handoff_model else served.connection,
            path=PATH,
            session=books.call.session,
        )
        task = asyncio.create_task(self._make(key, call, served.connection, ask))
        self._making[key] = task
        task.add_done_callback(lambda _: self._making.pop(key, None))

    async def settled(self) -> None:
        """Wait for everything under way; for tests and for a stop that has the time."""
        await asyncio.gather(*self._making.values(), *self._dropping)

    def stop(self) -> None:
        """Nobody waits for summaries any more."""
        for task in (*self._making.values(), *self._dropping):
            task.cancel()

    def _key(self, call: ChatCall, snapshot: Snapshot, combo: str | None) -> Key | None:
        stored = snapshot.combos.get(combo) if combo is not None else None
        if stored is None or stored.strategy != "context-relay" or call.path == PATH:
            return None
        session = session_of(call, "explicit")
        return None if session is None else (session, stored.name)

    def _due(self, key: Key, provider: str, connection: str, config: ComboConfig) -> bool:
        if key in self._making or self._current(key):
            return False
        if config.handoff_providers and provider not in config.handoff_providers:
            return False
        quota = self._quota(connection)
        used = quota.used if quota is not None and not quota.exhausted else None
        return used is not None and config.handoff_threshold <= used < LATE_SHARE

    def _current(self, key: Key) -> bool:
        found = self._waiting.get(key)
        return found is not None and found.expires_at_ms > self._now_ms()

    async def _make(self, key: Key, call: ChatCall, connection: str, ask: Ask) -> None:
        try:
            answer = await ask(call)
        except OmniRouteError as error:
            log.info("no summary for a hand-over: %s", error)
            return
        summary = read_summary(answer.reply.text)
        if summary is None:
            log.info("the model's summary for a hand-over is not readable")
            return
        now, quota = self._now_ms(), self._quota(connection)
        resets_ms = quota.next_reset_ms if quota is not None else None
        handoff = Handoff(
            connection=connection,
            summary=summary,
            created_at_ms=now,
            expires_at_ms=now + KEPT_FOR_MS if resets_ms is None else resets_ms,
        )
        self._waiting[key] = handoff
        self._forget_expired()
        if self._store is not None:
            await self._stored(self._store.put(*key, handoff))

    def _forget_expired(self) -> None:
        now = self._now_ms()
        gone = [key for key, row in self._waiting.items() if row.expires_at_ms <= now]
        for key in gone:
            del self._waiting[key]

    def _spawn_drop(self, key: Key) -> None:
        if self._store is None:
            return
        task = asyncio.create_task(self._stored(self._store.drop(*key)))
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    async def _stored(self, step: Awaitable[None]) -> None:
        try:
            await step
        except OmniRouteError as error:
            log.warning("a hand-over could not be stored: %s", error)
