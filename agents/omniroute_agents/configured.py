"""Agents made by configuration: a model with a system prompt that may call tool skills."""

from collections.abc import Iterator, Mapping
from functools import partial

from msgspec import Struct

from omniroute.engine import Engine
from omniroute.operations.agents.tools import tools_of
from omniroute.operations.inputs import convert_input
from omniroute.skills.skill import Emit, Skill, SkillReply, SkillRequest
from omniroute.storage.records.configuration import Agent
from omniroute_agents.conversation import RESUME, Conversation


class ConfiguredSkills(Mapping[str, Skill[Engine]]):
    """The gateway's own skills and the agents that are configured right now."""

    def __init__(self, own: Mapping[str, Skill[Engine]], engine: Engine) -> None:
        self._own = own
        self._engine = engine

    def __getitem__(self, name: str) -> Skill[Engine]:
        own = self._own.get(name)
        return own if own is not None else skill_of(self._engine.snapshot.agents[name])

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._engine.snapshot.agents

    def __len__(self) -> int:
        return len(self._own) + len(self._engine.snapshot.agents)


def skill_of(agent: Agent) -> Skill[Engine]:
    """The skill an agent is."""
    return Skill(
        id=agent.id,
        name=agent.title,
        description=agent.description,
        tags=agent.tags or ("agent",),
        examples=agent.examples,
        time_limit_s=float(agent.time_limit_s),
        run=partial(run, agent),
    )


class Options(Struct, frozen=True):
    """The metadata an agent reads. `budget` is USD, for each model call."""

    budget: float | None = None
    resume: str | None = None


async def run(agent: Agent, engine: Engine, request: SkillRequest, emit: Emit) -> SkillReply:
    """Ask the model, run the tools it calls, and so on until it answers.

    Raises:
        InputRequired: a tool needs somebody's yes first.
    """
    known = {name: v for name, v in request.options.items() if name in ("budget", RESUME)}
    options = convert_input(Options, known)
    tools = await tools_of(engine, agent)
    talk = Conversation(agent, engine, request, emit, options.budget, tools)
    await talk.begin(request.messages, options.resume)
    reply = await talk.until_it_answers()
    return SkillReply(reply.text, talk.facts())
