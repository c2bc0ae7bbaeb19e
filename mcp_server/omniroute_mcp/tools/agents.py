"""The tools that configured agents are: one row for each, made from its configuration."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.chat import Message, Text
from omniroute.engine import Engine
from omniroute.operations.agents.agents import tool_name
from omniroute.operations.progress import Report
from omniroute.skills.skill import SkillRequest
from omniroute.storage.records.configuration import Agent
from omniroute_agents.configured import skill_of
from omniroute_agents.conversation import RESUME
from omniroute_mcp.route_request import PROGRESS_CHARS
from omniroute_mcp.tools.row import ToolRow

FIRST_NUMBER = 100


class AgentQuestion(Struct, frozen=True, kw_only=True):
    """A question to an agent.

    Attributes:
        message: what it is asked or told to do.
        budget: the most each of its model calls may cost, in USD.
        resume: set by the gateway when a question of the agent's own was answered; leave it out.
    """

    message: str
    budget: float | None = None
    resume: str | None = None


class AgentAnswer(Struct, frozen=True, kw_only=True):
    """What an agent answered, and what it took: model calls, tools, tokens, cost."""

    answer: str
    metadata: dict[str, Any]


@lru_cache(maxsize=512)
def agent_row(agent: Agent, number: int) -> ToolRow:
    """The tool an agent is."""

    async def call(
        engine: Engine, caller: Caller, query: AgentQuestion, report: Report
    ) -> AgentAnswer:
        text = ""

        async def emit(piece: str) -> None:
            nonlocal text
            text += piece
            await report(len(text), text[-PROGRESS_CHARS:])

        options: dict[str, Any] = {"budget": query.budget, RESUME: query.resume}
        request = SkillRequest(
            task_id=caller.step_id or "",
            caller=caller,
            messages=(Message("user", (Text(query.message),)),),
            options={name: value for name, value in options.items() if value is not None},
        )
        reply = await skill_of(agent).run(engine, request, emit)
        return AgentAnswer(answer=reply.text, metadata=reply.metadata)

    scopes = {"execute:completions"} | ({"execute:skills"} if agent.tools else set())
    return ToolRow(
        number=number,
        subject="agents",
        name=tool_name(agent.id),
        title=agent.title,
        description=agent.description,
        params=AgentQuestion,
        result=AgentAnswer,
        scopes=frozenset(scopes),
        phase=2,
        audit="full",
        call=call,
        source_endpoints=("/a2a",),
        writes=True,
        idempotent=False,
        open_world=True,
        time_limit_s=float(agent.time_limit_s),
        may_take_long=True,
    )


def agent_rows(agents: Mapping[str, Agent]) -> dict[str, ToolRow]:
    """The tools of all agents, by name."""
    rows = (agent_row(agent, FIRST_NUMBER + at) for at, agent in enumerate(agents.values()))
    return {row.name: row for row in rows}
