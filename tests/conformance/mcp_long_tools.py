"""The tools the conformance suite expects to become tasks, over the product's own."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult, InputRequiredResult
from tests.conformance.mcp_tools import CONFIRM, NAME, PAUSE_S, Answer, Context, elicit, text

from omniroute_mcp.tasks.running import Tasks
from omniroute_mcp.tasks.task import Task
from omniroute_mcp.tasks.wire import knows_tasks, require_knows_tasks

Long: TypeAlias = Callable[[Tasks, Task | None, types.CallToolRequestParams], Awaitable[Answer]]


async def slow(_tasks: Tasks, _task: Task | None, params: types.CallToolRequestParams) -> Answer:
    await anyio.sleep(float((params.arguments or {}).get("seconds", 0)))
    return text("Computed.")


async def failing(_tasks: Tasks, _task: Task | None, _params: Any) -> Answer:
    await anyio.sleep(PAUSE_S)
    content = [types.TextContent(type="text", text="It failed.")]
    return types.CallToolResult(content=list(content), is_error=True)


async def breaking(_tasks: Tasks, _task: Task | None, _params: Any) -> Answer:
    await anyio.sleep(PAUSE_S)
    raise MCPError(code=types.INTERNAL_ERROR, message="It broke.")


def asking(questions: Mapping[str, types.ElicitRequest]) -> Long:
    async def run(tasks: Tasks, task: Task | None, _params: Any) -> Answer:
        if task is None:
            return text("Nobody was asked.")
        return text(str(await tasks.ask(task, questions)))

    return run


async def greeting(
    _tasks: Tasks, _task: Task | None, params: types.CallToolRequestParams
) -> Answer:
    await anyio.sleep(PAUSE_S)
    told = (params.input_responses or {})["user_name"]
    assert isinstance(told, ElicitResult)
    return text(f"Hello, {(told.content or {}).get('name')}!")


LONG: dict[str, Long] = {
    "slow_compute": slow,
    "failing_job": failing,
    "protocol_error_job": breaking,
    "confirm_delete": asking({"confirm": elicit("Delete it?", CONFIRM)}),
    "multi_input": asking({"one": elicit("Name?", NAME), "two": elicit("Name?", NAME)}),
    "test_tool_with_task": greeting,
}
ONLY_AS_TASKS = ("failing_job", "test_tool_with_task")


async def call_long(tasks: Tasks, context: Context, params: types.CallToolRequestParams) -> Any:
    """A task at once where the client knows them, else the answer."""
    if params.name in ONLY_AS_TASKS:
        require_knows_tasks(context)
    if params.name == "test_tool_with_task" and not params.input_responses:
        return InputRequiredResult(input_requests={"user_name": elicit("Name?", NAME)})
    run = LONG[params.name]
    if not knows_tasks(context):
        return await run(tasks, None, params)

    async def work(task: Task) -> Answer:
        task.begin()
        return await run(tasks, task, params)

    return await tasks.call(context, 0, work)
