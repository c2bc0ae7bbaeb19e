"""Making, changing and deleting agents. Each becomes an A2A skill and an MCP tool at once."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import Conflict, NotFound, OmniRouteError, ValidationFailed
from omniroute.routing.naming.resolve import resolve
from omniroute.storage.records.configuration import Agent
from omniroute.storage.records.skills import SHARED_OWNERS, SkillFilter

AgentId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$", max_length=40)]
Line = Annotated[str, Meta(min_length=1, max_length=200)]
Told = Annotated[str, Meta(min_length=1, max_length=1_000)]
Model = Annotated[str, Meta(min_length=1, max_length=300)]
Prompt = Annotated[str, Meta(max_length=100_000)]
Names = Annotated[tuple[Line, ...], Meta(max_length=50)]
Steps = Annotated[int, Meta(ge=1, le=50)]
Seconds = Annotated[int, Meta(ge=1, le=3_600)]


class AgentInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A new agent.

    Attributes:
        id: what it is asked under: small letters, digits and single dashes.
        title: its name for people.
        description: what it is good for; other agents choose by it.
        model: the model or combo that answers.
        system_prompt: what it is told before every conversation.
        tools: names of the tool skills it may call.
        approval: those of them that run only after somebody said yes.
        max_steps: the most model calls for one question.
        time_limit_s: the most seconds for one question.
    """

    id: AgentId
    title: Line
    description: Told
    model: Model = "auto"
    system_prompt: Prompt = ""
    tools: Names = ()
    approval: Names = ()
    tags: Names = ()
    examples: Names = ()
    max_steps: Steps = 8
    time_limit_s: Seconds = 120
    enabled: bool = True


class AgentChange(Struct, frozen=True, kw_only=True, rename="camel"):
    """What to change of an agent; the rest stays."""

    title: Line | UnsetType = UNSET
    description: Told | UnsetType = UNSET
    model: Model | UnsetType = UNSET
    system_prompt: Prompt | UnsetType = UNSET
    tools: Names | UnsetType = UNSET
    approval: Names | UnsetType = UNSET
    tags: Names | UnsetType = UNSET
    examples: Names | UnsetType = UNSET
    max_steps: Steps | UnsetType = UNSET
    time_limit_s: Seconds | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class AgentView(AgentInput, frozen=True, kw_only=True, rename="camel"):
    """An agent as the management API shows it, with the MCP tool it is."""

    mcp_tool: str
    created_at: str
    updated_at: str


class AgentList(Struct, frozen=True):
    """All agents, by id."""

    agents: tuple[AgentView, ...]


def tool_name(agent_id: str) -> str:
    """The name of the MCP tool an agent is."""
    return f"omniroute_agent_{agent_id.replace('-', '_')}"


async def list_agents(engine: Engine, caller: Caller) -> AgentList:
    """All agents, switched off ones included."""
    async with engine.database.reading() as work:
        return AgentList(tuple(view(row) for row in await work.agents.list()))


async def get_agent(engine: Engine, caller: Caller, agent_id: str) -> AgentView:
    """One agent.

    Raises:
        NotFound: there is none with this id; names the nearest.
    """
    return view(await _found(engine, agent_id))


async def create_agent(engine: Engine, caller: Caller, new: AgentInput) -> AgentView:
    """Make an agent that answers from the next request on.

    Raises:
        Conflict: the id is taken, by an agent or by a skill of the gateway's own.
        ValidationFailed: it names a model or tool skill that does not exist.
    """
    if new.id in engine.agent_ids:
        raise Conflict(f"'{new.id}' is a skill of the gateway's own; choose another id.")
    now = iso(engine.now_ms())
    agent = Agent(created_at=now, updated_at=now, **msgspec.structs.asdict(new))
    await require_sound(engine, agent)
    async with engine.configuration.change(caller, "agent.created", agent.id) as work:
        if await work.agents.some([agent.id]):
            raise Conflict(f"There is an agent '{agent.id}' already; change it, or choose an id.")
        await work.agents.save(agent)
    return view(agent)


async def change_agent(
    engine: Engine, caller: Caller, agent_id: str, change: AgentChange
) -> AgentView:
    """Change what is named of an agent.

    Raises:
        NotFound: there is none with this id.
        ValidationFailed: it would name a model or tool skill that does not exist.
    """
    old = await _found(engine, agent_id)
    said = {name: v for name, v in msgspec.structs.asdict(change).items() if v is not UNSET}
    agent = msgspec.structs.replace(old, **said, updated_at=iso(engine.now_ms()))
    await require_sound(engine, agent)
    async with engine.configuration.change(caller, "agent.updated", agent_id) as work:
        await work.agents.save(agent)
    return view(agent)


async def delete_agent(engine: Engine, caller: Caller, agent_id: str) -> None:
    """Delete an agent. Tasks that run end as they would have.

    Raises:
        NotFound: there is none with this id.
    """
    await _found(engine, agent_id)
    async with engine.configuration.change(caller, "agent.deleted", agent_id) as work:
        await work.agents.delete(agent_id)


async def require_sound(engine: Engine, agent: Agent) -> None:
    """What an agent names has to exist.

    Raises:
        ValidationFailed: it does not; names the nearest.
    """
    try:
        resolve(agent.model, engine.snapshot)
    except OmniRouteError as error:
        raise ValidationFailed([("model", str(error))]) from error
    await require_tools(engine, agent)


async def require_tools(engine: Engine, agent: Agent) -> None:
    """The tools an agent names have to exist.

    Raises:
        ValidationFailed: one does not; names the nearest.
    """
    async with engine.database.reading() as work:
        shared = await work.skills.page(SkillFilter(owners=SHARED_OWNERS))
    known = {one.name for one in shared}
    problems = [
        (f"tools.{place}", f"there is no shared tool skill '{name}'.{did_you_mean(name, known)}")
        for place, name in enumerate(agent.tools)
        if name not in known
    ]
    problems += [
        (f"approval.{place}", f"'{name}' is not among its tools")
        for place, name in enumerate(agent.approval)
        if name not in agent.tools
    ]
    if problems:
        raise ValidationFailed(problems)


async def _found(engine: Engine, agent_id: str) -> Agent:
    async with engine.database.reading() as work:
        agents = {row.id: row for row in await work.agents.list()}
    if agent_id not in agents:
        raise NotFound(f"There is no agent '{agent_id}'.{did_you_mean(agent_id, agents)}")
    return agents[agent_id]


def view(agent: Agent) -> AgentView:
    """A stored agent in the shape of the management API."""
    return AgentView(mcp_tool=tool_name(agent.id), **msgspec.structs.asdict(agent))
