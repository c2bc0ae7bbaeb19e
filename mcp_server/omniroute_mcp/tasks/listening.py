"""Changes of tasks on the streams of `subscriptions/listen`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import anyio
import mcp_types as types
import structlog
from mcp.server.session import ServerSession
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY, ListenHandler
from mcp.shared.exceptions import MCPError

from omniroute_mcp.tasks.running import Tasks
from omniroute_mcp.tasks.task import Task
from omniroute_mcp.tasks.wire import Context, TaskNotification, require_knows_tasks

FIELD = "taskIds"
MOST = 100
"""How many tasks one stream tells of; further ones are not agreed to."""

log = structlog.get_logger(__name__)


class Telling(Protocol):
    """Where a stream's notifications go."""

    async def send_notification(
        self, notification: types.ServerNotification, related_request_id: types.RequestId | None
    ) -> None: ...


class AgreeingToTasks:
    """A listening session whose acknowledgement names tasks beside what the SDK agrees to."""

    def __init__(self, session: Telling, task_ids: Sequence[str]) -> None:
        self._session = session
        self._task_ids = task_ids
        self.acknowledged = anyio.Event()

    async def send_notification(
        self,
        notification: types.ServerNotification,
        related_request_id: types.RequestId | None = None,
    ) -> None:
        """Pass a notification on."""
        if isinstance(notification, types.SubscriptionsAcknowledgedNotification):
            agreed = notification.params.notifications
            both = agreed.model_copy(update={FIELD: list(self._task_ids)})
            told = notification.params.model_copy(update={"notifications": both})
            notification = notification.model_copy(update={"params": told})
            await self._session.send_notification(notification, related_request_id)
            self.acknowledged.set()
        else:
            await self._session.send_notification(notification, related_request_id)


async def listen(
    tasks: Tasks,
    handler: ListenHandler,
    context: Context,
    params: types.SubscriptionsListenRequestParams,
) -> types.SubscriptionsListenResult:
    """Serve one stream: what the SDK tells, and every task it asks for as it stands and changes.

    Raises:
        MCPError: tasks are asked for by a client that did not declare the extension.
    """
    wanted = _wanted(params.notifications)
    if not wanted:
        return await handler(context, params)
    require_knows_tasks(context)
    known = {name: tasks.here(context, name) for name in wanted[:MOST]}
    agreed = {name: task for name, task in known.items() if task is not None}
    session = AgreeingToTasks(context.session, list(agreed))
    told = [(task, anyio.CancelScope()) for task in agreed.values()]
    for task, until in told:
        tasks.spawn(_tell, session, context.request_id, task, until)
    try:
        own = replace(context, session=cast("ServerSession", session))
        return await handler(own, params)
    finally:
        for _, until in told:
            until.cancel()


def _wanted(asked: types.SubscriptionFilter) -> list[str]:
    found = (asked.model_extra or {}).get(FIELD) or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise MCPError(code=types.INVALID_PARAMS, message=f"{FIELD} is a list of task ids")
    return found


async def _tell(
    session: AgreeingToTasks, stream: types.RequestId | None, task: Task, until: anyio.CancelScope
) -> None:
    meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: stream}
    try:
        with until:
            await session.acknowledged.wait()
            ended = False
            while not ended:
                moved, ended = task.moved, task.has_ended
                told = TaskNotification(params={"_meta": meta, **task.told()})
                await session.send_notification(cast("types.ServerNotification", told), stream)
                if not ended:
                    await moved.wait()
    except Exception as error:  # noqa: BLE001 - the stream is gone
        log.info("task_stream_lost", error=type(error).__name__)
