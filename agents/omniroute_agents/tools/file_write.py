"""Writes a file of the caller's workspace."""

import asyncio
from typing import Any

from msgspec import Struct

from omniroute.operations.inputs import convert_input
from omniroute.skills.tool import ToolCall, ToolHandler
from omniroute_agents.tools.schemas import flat_schema
from omniroute_agents.tools.workspace import Workspaces


class Wanted(Struct, frozen=True):
    """Which file, relative to the workspace, and what is to be in it. Directories are made."""

    path: str
    content: str
    append: bool = False
    overwrite: bool = True


class Written(Struct, frozen=True):
    """The size of the file in bytes."""

    path: str
    bytes: int


def tool(workspaces: Workspaces) -> ToolHandler:
    """The tool over some workspaces."""
    one_at_a_time = asyncio.Lock()  # or two writers would each find room for both

    async def run(call: ToolCall) -> Any:
        wanted = convert_input(Wanted, dict(call.arguments))
        content = wanted.content.encode("utf-8", "replace")
        async with one_at_a_time:
            size = await asyncio.to_thread(
                workspaces.write,
                call.owner,
                wanted.path,
                content,
                append=wanted.append,
                overwrite=wanted.overwrite,
            )
        return Written(wanted.path, size)

    return ToolHandler(
        name="file_write",
        description="Write a file of your workspace, or add to its end.",
        tags=("files",),
        input_schema=flat_schema(Wanted),
        output_schema=flat_schema(Written),
        run=run,
    )
