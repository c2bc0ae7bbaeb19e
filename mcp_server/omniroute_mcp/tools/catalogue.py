"""The tools there are right now: the gateway's own and those of configured agents."""

from collections.abc import Mapping

from omniroute.engine import Engine
from omniroute.storage.records.configuration import Agent
from omniroute_mcp.tools import TOOLS
from omniroute_mcp.tools.agents import agent_rows
from omniroute_mcp.tools.row import ToolRow


class Catalogue:
    """Every tool by name, in the order of the list; made anew when agents change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._agents: Mapping[str, Agent] = {}
        self._tools: Mapping[str, ToolRow] = TOOLS

    def __call__(self) -> Mapping[str, ToolRow]:
        agents = self._engine.snapshot.agents
        if agents is not self._agents:
            self._agents, self._tools = agents, {**TOOLS, **agent_rows(agents)}
        return self._tools
