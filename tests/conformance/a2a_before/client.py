"""The Python A2A SDK of 0.3, whose package name the current one has too, against one gateway.

`python client.py <gateway> <key>` prints one JSON line per case: what was said, or the error.
"""

import asyncio
import json
import sys
from uuid import uuid4

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientJSONRPCError
from a2a.types import (
    GetTaskPushNotificationConfigParams,
    Message,
    MessageSendConfiguration,
    Part,
    PushNotificationConfig,
    Role,
    TaskArtifactUpdateEvent,
    TaskIdParams,
    TaskPushNotificationConfig,
    TaskQueryParams,
    TextPart,
)


def order(text="one two", model="echo", **metadata):
    return Message(
        message_id=str(uuid4()),
        role=Role.user,
        parts=[Part(root=TextPart(text=text))],
        metadata={"model": f"demo/{model}", **metadata},
    )


async def sent(client, message, **configuration):
    """The task, as the last event shows it."""
    wanted = MessageSendConfiguration(**configuration) if configuration else None
    return [task async for task, _ in client.send_message(message, configuration=wanted)][-1]


async def silent_task(client):
    """A task that says nothing for a minute, once it works."""
    task = await sent(client, order(model="slow-start-60000"), blocking=False)
    while task.status.state != "working":
        task = await client.get_task(TaskQueryParams(id=task.id))
    return task.id


async def failure(attempt):
    """The code of the error an attempt ends with."""
    try:
        await attempt
    except A2AClientJSONRPCError as error:
        return error.error.code
    return "succeeded"


async def send(client, _streaming):
    task = await sent(client, order())
    return [task.status.state, task.artifacts[0].parts[0].root.text]


async def stream(_client, streaming):
    pieces, states = [], []
    async for task, update in streaming.send_message(order(model="slow-5")):
        if isinstance(update, TaskArtifactUpdateEvent):
            pieces += [part.root.text for part in update.artifact.parts if part.root.text]
        else:
            states.append(task.status.state)
    return [pieces, states]


async def get(client, _streaming):
    task = await sent(client, order())
    found = await client.get_task(TaskQueryParams(id=task.id, history_length=1))
    return [found.status.state, len(found.history), found.metadata["skill"]]


async def cancel(client, _streaming):
    task_id = await silent_task(client)
    cancelled = await client.cancel_task(TaskIdParams(id=task_id))
    return [cancelled.status.state, await failure(client.cancel_task(TaskIdParams(id=task_id)))]


async def resubscribe(client, streaming):
    task_id, states = await silent_task(client), []
    async for task, _ in streaming.resubscribe(TaskIdParams(id=task_id)):
        states.append(task.status.state)
        if len(states) == 1:
            await client.cancel_task(TaskIdParams(id=task_id))
    return states


async def push(client, _streaming):
    task_id = await silent_task(client)
    config = PushNotificationConfig(id="mine", url="http://127.0.0.1:9/", token="t")
    wanted = TaskPushNotificationConfig(task_id=task_id, push_notification_config=config)
    made = await client.set_task_callback(wanted)
    named = GetTaskPushNotificationConfigParams(id=task_id, push_notification_config_id="mine")
    got = await client.get_task_callback(named)
    # The id may be left out.
    same = await client.get_task_callback(GetTaskPushNotificationConfigParams(id=task_id))
    await client.cancel_task(TaskIdParams(id=task_id))
    return [
        made == got == same,
        got.push_notification_config.id,
        got.push_notification_config.token,
    ]


async def errors(client, _streaming):
    async def unknown_skill():
        await sent(client, order(skill="dancing"))

    nowhere = TaskIdParams(id="nowhere")
    unknown_config = GetTaskPushNotificationConfigParams(id="nowhere")
    return [
        await failure(client.get_task(TaskQueryParams(id="nowhere"))),
        await failure(client.cancel_task(nowhere)),
        await failure(client.get_task_callback(unknown_config)),
        await failure(unknown_skill()),
    ]


async def extended_card(client, _streaming):
    card = await client.get_card()
    return [card.name, card.capabilities.extensions[0].uri]


CASES = {
    "send": send,
    "stream": stream,
    "get": get,
    "cancel": cancel,
    "resubscribe": resubscribe,
    "push": push,
    "errors": errors,
    "extended card": extended_card,
}


async def main(gateway, key):
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as http:
        for path in ("agent-card.json", "agent.json"):
            card = await A2ACardResolver(http, gateway, f"/.well-known/{path}").get_agent_card()
            clients = [
                ClientFactory(ClientConfig(streaming=streaming, httpx_client=http)).create(card)
                for streaming in (False, True)
            ]
            for name, run in CASES.items():
                told = {"card": path, "case": name}
                try:
                    told["said"] = await run(*clients)
                except Exception as error:  # noqa: BLE001 - reported, and the next case runs
                    told["error"] = repr(error)
                print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
