"""Reads a file of the caller's workspace."""

import asyncio
import base64
from typing import Any, Literal

from msgspec import Struct

from omniroute.operations.inputs import convert_input
from omniroute.skills.tool import ToolCall, ToolFailed, ToolHandler
from omniroute_agents.tools.schemas import flat_schema
from omniroute_agents.tools.workspace import Workspaces


class Wanted(Struct, frozen=True):
    """Which file, relative to the workspace, and whether as text or as base64."""

    path: str
    encoding: Literal["utf8", "base64"] = "utf8"


class Read(Struct, frozen=True):
    """What is in it, and its size in bytes."""

    path: str
    encoding: Literal["utf8", "base64"]
    content: str
    bytes: int


def tool(workspaces: Workspaces) -> ToolHandler:
    """The tool over some workspaces."""

    async def run(call: ToolCall) -> Any:
        wanted = convert_input(Wanted, dict(call.arguments))
        content = await asyncio.to_thread(workspaces.read, call.owner, wanted.path)
        text = _text(content) if wanted.encoding == "utf8" else base64.b64encode(content).decode()
        return Read(wanted.path, wanted.encoding, text, len(content))

    return ToolHandler(
        name="file_read",
        description="Read a file of your workspace.",
        tags=("files",),
        input_schema=flat_schema(Wanted),
        output_schema=flat_schema(Read),
        run=run,
    )


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ToolFailed("The file is not UTF-8 text; read it with encoding 'base64'.") from error
