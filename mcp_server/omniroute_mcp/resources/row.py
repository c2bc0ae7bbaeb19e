"""What a resource is: one row says how it is listed, who may read it and where it comes from."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.inputs import convert_input
from omniroute.operations.progress import silent
from omniroute_mcp.tools import TOOLS

Read: TypeAlias = Callable[[Engine, Caller, Mapping[str, str]], Awaitable[Any]]
"""Takes the values of the URI's variables; returns what is encoded as JSON."""


class ResourceRow(Struct, frozen=True, kw_only=True):
    """One resource, or one template when its URI has variables."""

    uri: str
    name: str
    title: str
    description: str
    scopes: frozenset[str]
    read: Read

    @property
    def is_template(self) -> bool:
        """Whether the URI has variables."""
        return "{" in self.uri


def of_tool(
    uri: str,
    tool: str,
    *,
    name: str,
    description: str,
    **fixed: Any,
) -> ResourceRow:
    """The resource that reads as a tool's result does, with the scopes of that tool."""
    row = TOOLS[tool]

    async def read(engine: Engine, caller: Caller, variables: Mapping[str, str]) -> Any:
        query = convert_input(row.params, {**fixed, **variables})
        return await row.call(engine, caller, query, silent)

    return ResourceRow(
        uri=uri,
        name=name,
        title=row.title,
        description=description,
        scopes=row.scopes,
        read=read,
    )
