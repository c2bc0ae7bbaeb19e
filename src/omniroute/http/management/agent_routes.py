"""Agents made by configuration, as routes."""

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.done import Done
from omniroute.http.problems import delete, get, patch, post
from omniroute.operations.agents import agents
from omniroute.operations.agents.agents import AgentList, AgentView


@get("/api/agents", tags=["Agents"], operation_id="list_agents")
async def list_them(engine: TheEngine, operator: Operator) -> AgentList:
    """All agents, switched off ones included."""
    return await agents.list_agents(engine, operator)


@post("/api/agents", tags=["Agents"], operation_id="create_agent")
async def create(
    engine: TheEngine, operator: Operator, data: JSONBody[agents.AgentInput]
) -> AgentView:
    """Make an agent of a model, a system prompt and tool skills. It is an A2A skill and an MCP
    tool from the next request on."""
    return await agents.create_agent(engine, operator, data)


@get("/api/agents/{agent_id:str}", tags=["Agents"], operation_id="get_agent")
async def one(engine: TheEngine, operator: Operator, agent_id: FromPath[str]) -> AgentView:
    """One agent."""
    return await agents.get_agent(engine, operator, agent_id)


@patch("/api/agents/{agent_id:str}", tags=["Agents"], operation_id="change_agent")
async def change(
    engine: TheEngine,
    operator: Operator,
    agent_id: FromPath[str],
    data: JSONBody[agents.AgentChange],
) -> AgentView:
    """Change what is named of an agent; the rest stays."""
    return await agents.change_agent(engine, operator, agent_id, data)


@delete("/api/agents/{agent_id:str}", status_code=200, tags=["Agents"], operation_id="delete_agent")
async def remove(engine: TheEngine, operator: Operator, agent_id: FromPath[str]) -> Done:
    """Delete an agent."""
    await agents.delete_agent(engine, operator, agent_id)
    return Done()


AGENTS: tuple[HTTPRouteHandler, ...] = (list_them, create, one, change, remove)
"""Every route about agents."""
