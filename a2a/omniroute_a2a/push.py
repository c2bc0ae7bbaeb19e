"""Push configurations as the SDK's store, and the notices that go to their receivers (04 §10)."""

from collections.abc import Callable

import msgspec
from a2a.compat.v0_3 import conversions
from a2a.server.context import ServerCallContext
from a2a.server.tasks import PushNotificationConfigStore
from a2a.server.tasks.push_notification_config_store import normalize_push_notification_config
from a2a.types import Task, TaskPushNotificationConfig, TaskStatusUpdateEvent
from a2a.utils.errors import InvalidParamsError
from a2a.utils.proto_utils import to_stream_response

from omniroute.storage.records.agents import PushConfig
from omniroute.upstream.webhooks import webhook_problem
from omniroute_a2a.proto import from_json, to_json, whole_numbers
from omniroute_a2a.push_records import PushRecords
from omniroute_a2a.records import Notice

PROTOCOL = "protocol"
"""Call state: the version a receiver set up in this call understands; 1.0 unless it says so."""

V03 = "0.3"
V10 = "1.0"

MOST_PER_TASK = 20
LONGEST_ID = 200
LONGEST_URL = 2_000
LONGEST_SECRET = 4_000


class PushConfigs(PushNotificationConfigStore):
    """Configurations in SQL, each visible to the owner of its task only.

    Args:
        records: durable storage.
        clock: Unix milliseconds.
        allow_private: the setting `a2aAllowPrivateWebhooks`.
    """

    def __init__(
        self, records: PushRecords, clock: Callable[[], int], allow_private: Callable[[], bool]
    ) -> None:
        self.records = records
        self._clock = clock
        self._allow_private = allow_private

    async def set_info(
        self,
        task_id: str,
        notification_config: TaskPushNotificationConfig,
        context: ServerCallContext,
    ) -> TaskPushNotificationConfig:
        """Keep a configuration, or overwrite the one with its id.

        Raises:
            InvalidParamsError: its address is none that messages are sent to, or the task has
                too many.
        """
        config = normalize_push_notification_config(task_id, notification_config)
        self._check(config)
        others = [one for one in await self.records.of_task(task_id) if one.config_id != config.id]
        if len(others) >= MOST_PER_TASK:
            raise InvalidParamsError(
                f"A task has at most {MOST_PER_TASK} push configurations; delete one first."
            )
        row = PushConfig(
            task_id=task_id,
            config_id=config.id,
            owner=context.user.user_name,
            protocol=context.state.get(PROTOCOL, V10),
            config=to_json(config),
            created_at_ms=self._clock(),
        )
        await self.records.save(row)
        return config

    async def get_info(
        self, task_id: str, context: ServerCallContext
    ) -> list[TaskPushNotificationConfig]:
        """The caller's configurations of a task, oldest first."""
        found = await self.records.of_task(task_id)
        return [read_config(one) for one in found if one.owner == context.user.user_name]

    async def delete_info(
        self,
        task_id: str,
        context: ServerCallContext,  # noqa: ARG002 - the handler has asked whose task it is
        config_id: str | None = None,
    ) -> None:
        """Forget one configuration, or all of a task."""
        await self.records.delete(task_id, config_id)

    def _check(self, config: TaskPushNotificationConfig) -> None:
        problem = webhook_problem(config.url, allow_private=self._allow_private())
        if problem is not None:
            raise InvalidParamsError(
                f"The push notification url cannot be used: {problem}. Private addresses are"
                " allowed by the setting a2aAllowPrivateWebhooks."
            )
        for name, text, longest in (
            ("url", config.url, LONGEST_URL),
            ("id", config.id, LONGEST_ID),
            ("token", config.token, LONGEST_SECRET),
            ("authentication.scheme", config.authentication.scheme, LONGEST_ID),
            ("authentication.credentials", config.authentication.credentials, LONGEST_SECRET),
        ):
            if len(text) > longest:
                raise InvalidParamsError(f"The push notification {name} is over {longest} long.")
            if name != "id" and not (text.isascii() and text.isprintable()):
                raise InvalidParamsError(f"The push notification {name} must be printable ASCII.")


def read_config(row: PushConfig) -> TaskPushNotificationConfig:
    """A stored configuration in its 1.0 form."""
    return from_json(row.config, TaskPushNotificationConfig())


def notice_of(task: Task, *, created: bool) -> Notice:
    """Tells of a new task, or of its new status, as a stream would."""
    event = (
        task
        if created
        else TaskStatusUpdateEvent(task_id=task.id, context_id=task.context_id, status=task.status)
    )
    response = to_stream_response(event)

    def text_for(protocol: str) -> str:
        if protocol == V10:
            return to_json(response)
        result = conversions.to_compat_stream_response(response).result
        old = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        return msgspec.json.encode(whole_numbers(old)).decode()

    return text_for
