"""The SDK's own client on a real socket: every interface the card declares."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import parse_agent_card
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import TaskNotCancelableError, TaskNotFoundError
from tests.omniroute_a2a.conftest import served

from omniroute.storage.database import Database
from omniroute.storage.secret_box import SecretBox
from omniroute_a2a.push_records import SqlPushRecords
from omniroute_a2a.records import SqlTaskRecords

pytestmark = pytest.mark.anyio

INTERFACES = {
    "JSON-RPC 1.0": ("JSONRPC", "1.0"),
    "JSON-RPC 0.3": ("JSONRPC", "0.3"),
    "HTTP+JSON 1.0": ("HTTP+JSON", "1.0"),
}

Serve = Callable[[], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def connected(
    url: str, interface: tuple[str, str], *, streaming: bool
) -> AsyncGenerator[Client]:
    """A client that takes one interface of the card as served."""
    async with httpx.AsyncClient(headers={"Authorization": "Bearer key-a"}) as http:
        card = parse_agent_card((await http.get(f"{url}/.well-known/agent-card.json")).json())
        kept = [
            i
            for i in card.supported_interfaces
            if (i.protocol_binding, i.protocol_version) == interface
        ]
        assert len(kept) == 1
        kept[0].url = kept[0].url.replace("http://gateway.test", url)
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(kept)
        config = ClientConfig(
            streaming=streaming, httpx_client=http, supported_protocol_bindings=[interface[0]]
        )
        yield ClientFactory(config).create(card)  # fmt: skip


def order(text: str) -> SendMessageRequest:
    return SendMessageRequest(
        message=Message(message_id="m", role=Role.ROLE_USER, parts=[Part(text=text)])
    )


@pytest.mark.parametrize("interface", INTERFACES.values(), ids=INTERFACES)
async def test_send_get_and_list(world: Any, serve: Serve, interface: tuple[str, str]) -> None:
    with anyio.fail_after(20):
        async with serve() as url, connected(url, interface, streaming=False) as client:
            replies = [reply async for reply in client.send_message(order("a b"))]
            task = replies[-1].task
            assert task.status.state == TaskState.TASK_STATE_COMPLETED
            assert [part.text for part in task.artifacts[0].parts] == ["ab"]
            assert (await client.get_task(GetTaskRequest(id=task.id))).id == task.id
            if interface[1] == "1.0":
                listed = await client.list_tasks(ListTasksRequest())
                assert ([t.id for t in listed.tasks], listed.page_size) == ([task.id], 1)
            with pytest.raises(TaskNotFoundError):
                await client.get_task(GetTaskRequest(id="unknown"))


@pytest.mark.parametrize("interface", INTERFACES.values(), ids=INTERFACES)
async def test_pieces_arrive_before_the_end(
    world: Any, serve: Serve, interface: tuple[str, str]
) -> None:
    with anyio.fail_after(20):
        async with serve() as url, connected(url, interface, streaming=True) as client:
            seen: list[StreamResponse] = []
            async for reply in client.send_message(order("wait")):
                seen.append(reply)
                if reply.HasField("artifact_update") and not world.gate.is_set():
                    assert reply.artifact_update.artifact.parts[0].text == "first "
                    world.gate.set()
            texts = [
                part.text
                for reply in seen
                if reply.HasField("artifact_update")
                for part in reply.artifact_update.artifact.parts
            ]
            assert "".join(texts) == "first second"
            assert seen[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


@pytest.mark.parametrize("interface", INTERFACES.values(), ids=INTERFACES)
async def test_another_client_joins_and_cancels(
    world: Any, serve: Serve, interface: tuple[str, str]
) -> None:
    with anyio.fail_after(20):
        async with serve() as url, connected(url, interface, streaming=True) as client:
            states: list[TaskState] = []
            joined = anyio.Event()

            async def join(task_id: str) -> None:
                async for reply in client.subscribe(SubscribeToTaskRequest(id=task_id)):
                    if reply.HasField("task"):
                        assert reply.task.artifacts[0].parts[0].text == "first "
                        joined.set()
                    if reply.HasField("status_update"):
                        states.append(reply.status_update.status.state)

            async with anyio.create_task_group() as group:
                stream = client.send_message(order("wait"))
                async for reply in stream:
                    if reply.HasField("artifact_update"):
                        task_id = reply.artifact_update.task_id
                        group.start_soon(join, task_id)
                        await joined.wait()
                        cancelled = await client.cancel_task(CancelTaskRequest(id=task_id))
                        assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
            assert (world.stopped, states) == ([task_id], [TaskState.TASK_STATE_CANCELED])
            assert reply.status_update.status.state == TaskState.TASK_STATE_CANCELED
            with pytest.raises(TaskNotCancelableError):
                await client.cancel_task(CancelTaskRequest(id=task_id))


@pytest.mark.parametrize("interface", INTERFACES.values(), ids=INTERFACES)
async def test_extended_card(world: Any, serve: Serve, interface: tuple[str, str]) -> None:
    with anyio.fail_after(20):
        async with serve() as url, connected(url, interface, streaming=False) as client:
            card: AgentCard = await client.get_extended_agent_card(GetExtendedAgentCardRequest())
            extension = card.capabilities.extensions[0]
            assert (extension.uri, list(extension.params["allowedModels"])) == (
                "urn:omniroute:a2a:key",
                ["gpt"],
            )


ONE_POINT_0 = {name: row for name, row in INTERFACES.items() if row[1] == "1.0"}


@pytest.mark.parametrize("interface", ONE_POINT_0.values(), ids=ONE_POINT_0)
async def test_lists_have_filters_and_pages(
    world: Any, serve: Serve, interface: tuple[str, str]
) -> None:
    with anyio.fail_after(20):
        async with serve() as url, connected(url, interface, streaming=False) as client:
            made = []
            for text in ("a b", "c d", "fail"):
                world.now_ms += 1000
                replies = [reply async for reply in client.send_message(order(text))]
                made.append(replies[-1].task.id)
            seen, token = [], ""
            while True:
                page = await client.list_tasks(ListTasksRequest(page_size=2, page_token=token))
                seen += [task.id for task in page.tasks]
                token = page.next_page_token
                if not token:
                    break
            assert (seen, page.total_size) == (made[::-1], 3)
            failed = ListTasksRequest(status=TaskState.TASK_STATE_FAILED)
            assert [task.id for task in (await client.list_tasks(failed)).tasks] == [made[2]]
            for length in (0, 1):
                request = GetTaskRequest(id=made[0], history_length=length)
                assert len((await client.get_task(request)).history) == length


@pytest.mark.parametrize("interface", INTERFACES.values(), ids=INTERFACES)
async def test_push_configurations(
    make_world: Any, tmp_path: Path, interface: tuple[str, str]
) -> None:
    database = await Database.open(
        f"sqlite:///{tmp_path / 'push.db'}", tmp_path, SecretBox(bytes(32))
    )
    with anyio.fail_after(20):
        async with (
            make_world(SqlTaskRecords(database), SqlPushRecords(database)) as world,
            served(world.app) as url,
            connected(url, interface, streaming=False) as client,
        ):
            replies = [reply async for reply in client.send_message(order("a b"))]
            task_id = replies[-1].task.id
            config = TaskPushNotificationConfig(
                task_id=task_id, id="one", url="https://hooks.example/", token="t"
            )
            made = await client.create_task_push_notification_config(config)
            named = GetTaskPushNotificationConfigRequest(task_id=task_id, id="one")
            assert made == await client.get_task_push_notification_config(named)
            assert (made.id, made.url, made.token) == ("one", config.url, "t")
            every = ListTaskPushNotificationConfigsRequest(task_id=task_id)
            listed = await client.list_task_push_notification_configs(every)
            assert [one.id for one in listed.configs] == ["one"]
            gone = DeleteTaskPushNotificationConfigRequest(task_id=task_id, id="one")
            await client.delete_task_push_notification_config(gone)
            listed = await client.list_task_push_notification_configs(every)
            assert list(listed.configs) == []
    await database.close()
