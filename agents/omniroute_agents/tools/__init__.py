"""The built-in tools behind tool skills: one module each, together one registry."""

from collections.abc import Callable, Iterable
from pathlib import Path

from omniroute.skills.tool import ToolRegistry
from omniroute.upstream.proxies import Via
from omniroute.upstream.send import Sender
from omniroute_agents.tools import file_read, file_write, http_request, web_search
from omniroute_agents.tools.web_search import Searching
from omniroute_agents.tools.workspace import Workspaces


def built_in(
    gate: Sender,
    search: Searching,
    data_dir: Path,
    via: Callable[[str], Via | None],
    *,
    max_file_bytes: int,
    max_response_bytes: int,
    time_limit_s: float,
    holder: str,
    dead: Callable[[Iterable[str]], list[str]],
) -> ToolRegistry:
    """Every built-in tool of an installation.

    Args:
        search: searches the web for the key an execution is for.
        via: the proxy for an address.
        holder: the name of this process, `dead` which of such names are gone.
    """
    workspaces = Workspaces(data_dir / "skills" / "workspaces", max_file_bytes)
    tools = (
        file_read.tool(workspaces),
        file_write.tool(workspaces),
        http_request.tool(gate, via, max_response_bytes),
        web_search.tool(search),
    )
    return ToolRegistry({tool.name: tool for tool in tools}, time_limit_s, holder, dead)
