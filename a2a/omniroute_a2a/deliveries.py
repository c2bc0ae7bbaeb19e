"""Takes messages from the outbox to their receivers: in order, signed, and tried again (04 §10)."""

import logging
from collections.abc import Awaitable, Callable

import anyio
from a2a.types import TaskPushNotificationConfig
from anyio.abc import TaskGroup
from msgspec.structs import replace

from omniroute.errors import OmniRouteError
from omniroute.storage.records.agents import PushDelivery
from omniroute.upstream.webhooks import TIMEOUT_S, WebhookFailed, Webhooks
from omniroute_a2a.push import read_config
from omniroute_a2a.push_records import PushRecords

RETRY_DELAYS_S = (1, 5, 30)
"""Pauses before the second attempt and those after it; then the message is given up."""

LEASE_MS = round(TIMEOUT_S * 1000) + 5_000
"""How long an attempt keeps others off. When its process dies, another one tries then."""

MOST_AT_ONCE = 20
POLL_S = 60.0
"""How often somebody looks for messages that another process has left."""

log = logging.getLogger(__name__)


class Deliveries:
    """Sends while `run` runs.

    Args:
        records: the outbox.
        webhooks: the way out.
        allow_private: the setting `a2aAllowPrivateWebhooks`.
        clock: Unix milliseconds.
        sleep: seconds.
    """

    def __init__(
        self,
        records: PushRecords,
        webhooks: Webhooks,
        allow_private: Callable[[], bool],
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._records = records
        self._webhooks = webhooks
        self._allow_private = allow_private
        self._clock = clock
        self._sleep = sleep
        self._woken = anyio.Event()
        self._under_way = 0

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._woken.set()

    async def run(self) -> None:
        """Send what is due, again and again, until cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                self._woken = anyio.Event()
                try:
                    # A cancelled query would cost the database its connection.
                    with anyio.CancelScope(shield=True):
                        pause_s = await self._begin_due(group)
                except OmniRouteError:
                    log.exception("the outbox of push notifications cannot be read")
                    pause_s = POLL_S
                await self._pause(pause_s)

    async def _begin_due(self, group: TaskGroup) -> float:
        """Begin what is due; how many seconds later something else may be."""
        room = MOST_AT_ONCE - self._under_way
        for delivery in await self._records.due(self._clock(), room) if room else ():
            now = self._clock()
            if await self._records.claim(delivery, now, now + LEASE_MS):
                self._under_way += 1
                group.start_soon(self._deliver, replace(delivery, attempts=delivery.attempts + 1))
        if self._under_way >= MOST_AT_ONCE:
            return POLL_S  # the first that ends wakes us
        next_ms = await self._records.next_due_ms()
        return POLL_S if next_ms is None else min(POLL_S, max(0, next_ms - self._clock()) / 1000)

    async def _pause(self, seconds: float) -> None:
        """Wait for a time, or until woken."""
        async with anyio.create_task_group() as group:

            async def woken() -> None:
                await self._woken.wait()
                group.cancel_scope.cancel()

            group.start_soon(woken)
            await self._sleep(seconds)
            group.cancel_scope.cancel()

    async def _deliver(self, delivery: PushDelivery) -> None:
        """One attempt, and what came of it."""
        try:
            settled = await self._attempted(delivery)
            with anyio.CancelScope(shield=True):
                await self._records.settle(replace(settled, updated_at_ms=self._clock()))
        except OmniRouteError:  # the lease runs out, and it is tried again
            log.exception("the outcome of a push notification cannot be stored")
        finally:
            self._under_way -= 1
            self.wake()

    async def _attempted(self, delivery: PushDelivery) -> PushDelivery:
        with anyio.CancelScope(shield=True):
            stored = await self._records.get(delivery.push_config)
        if stored is None:
            return given_up(delivery, "Its configuration is gone or cannot be read.")
        config = read_config(stored)
        try:
            await self._webhooks.post(
                config.url,
                delivery.body,
                message_id=f"{delivery.task_id}.{delivery.id}",
                now_ms=self._clock(),
                headers=headers_of(config),
                allow_private=self._allow_private(),
            )
        except WebhookFailed as error:
            if error.final or delivery.attempts > len(RETRY_DELAYS_S):
                return given_up(delivery, str(error))
            delay_ms = RETRY_DELAYS_S[delivery.attempts - 1] * 1000
            return replace(delivery, reason=str(error), due_at_ms=self._clock() + delay_ms)
        return replace(delivery, state="delivered", reason=None)


def given_up(delivery: PushDelivery, reason: str) -> PushDelivery:
    """The message as one nobody sends any more."""
    log.warning(
        "push notification of task %s given up after %d attempts: %s",
        delivery.task_id,
        delivery.attempts,
        reason,
    )
    return replace(delivery, state="given_up", reason=reason)


def headers_of(config: TaskPushNotificationConfig) -> dict[str, str]:
    """What a receiver wants to be shown."""
    headers = {}
    if config.token:
        headers["x-a2a-notification-token"] = config.token
    shown = config.authentication
    if shown.scheme and shown.credentials:
        headers["authorization"] = f"{shown.scheme} {shown.credentials}"
    return headers
