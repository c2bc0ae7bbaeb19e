"""Agents made by configuration: a model with a system prompt that may call tool skills."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import msgspec
from msgspec import Struct

from omniroute.chat import (
    ChatReply,
    ChatRequest,
    Collector,
    Message,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolResult,
)
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError, UpstreamFailed
from omniroute.operations.agents.tools import tools_of
from omniroute.operations.chats import chat
from omniroute.operations.inputs import convert_input
from omniroute.operations.skills.executions import SkillRun, execute_skill
from omniroute.pipeline.callers.session_ids import session_id_of
from omniroute.pipeline.exchange import ChatCall, Receipt
from omniroute.skills.skill import Emit, InputRequired, Skill, SkillReply, SkillRequest
from omniroute.storage.records.configuration import Agent
from omniroute_agents.transcripts import Transcripts

RESUME = "resume"
"""The option with the conversation so far, set where a question was answered with yes."""


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
    if options.resume is None:
        talk.turns = [*_opening(agent), *request.messages]
    else:
        talk.turns = talk.transcripts.opened(options.resume, talk.bound)
        await talk.answer_calls()
    while True:
        reply = await talk.ask()
        calls = [part for part in reply.parts if isinstance(part, ToolCall)]
        if not calls or talk.is_over:
            return SkillReply(reply.text, talk.facts())
        talk.turns.append(Message("assistant", reply.parts))
        asking = [call for call in calls if call.name in agent.approval]
        if asking:
            raise talk.question(asking)
        await talk.answer_calls()


def _opening(agent: Agent) -> list[Message]:
    return [Message("system", (Text(agent.system_prompt),))] if agent.system_prompt else []


@dataclass(slots=True)
class Conversation:
    """One question to an agent, as far as it has come. `steps` are the model calls made."""

    agent: Agent
    engine: Engine
    request: SkillRequest
    emit: Emit
    budget: float | None
    tools: tuple[Tool, ...]
    turns: list[Message] = field(default_factory=list)
    steps: int = 0
    called: list[str] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the last model call was the last one it may make."""
        return self.steps >= self.agent.max_steps

    @property
    def bound(self) -> str:
        """What a sealed conversation of this one belongs to."""
        return f"{self.agent.id}/{self.request.caller.owner}"

    @property
    def transcripts(self) -> Transcripts:
        """What seals it."""
        return Transcripts(self.engine.installation.derived_key("agent transcripts"))

    async def ask(self) -> ChatReply:
        """One model call. The last one has no tools, so that it has to answer.

        Raises:
            OmniRouteError: it was refused, or every target failed.
        """
        self.steps += 1
        tools = () if self.is_over else self.tools
        asked = ChatRequest(model=self.agent.model, messages=tuple(self.turns), tools=tools)
        caller = self.request.caller
        call = ChatCall(
            request_id=self.engine.new_id(),
            caller=caller,
            request=asked,
            max_cost_micro_usd=chat.budget_micro_usd(self.budget),
            session=session_id_of(caller, asked, {}),
        )
        answer = await chat.stream_events(self.engine, call)
        collector = Collector()
        async with aclosing(answer.outputs) as outputs:
            async for events in outputs:
                for event in events:
                    collector.feed(event)
                    if isinstance(event, TextDelta):
                        await self.emit(event.text)
        reply = collector.reply()
        if reply.failure is not None:
            raise UpstreamFailed(reply.failure.message, status=reply.failure.status)
        self.receipts.append(answer.receipt)
        return reply

    async def answer_calls(self) -> None:
        """Run the tools the last turn calls, side by side, and add what they gave."""
        calls = [part for part in self.turns[-1].parts if isinstance(part, ToolCall)]
        results: dict[str, ToolResult] = {}

        async def one(call: ToolCall) -> None:
            results[call.id] = await self._result(call)

        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(one, call)
        self.turns.append(Message("tool", tuple(results[call.id] for call in calls)))

    async def _result(self, call: ToolCall) -> ToolResult:
        """What a tool gave; a failure is told to the model, which may do something else."""
        self.called.append(call.name)
        caller = self.request.caller
        try:
            if call.name not in self.agent.tools:
                return _told(call, f"There is no tool '{call.name}'.", is_error=True)
            given = msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
            wanted = SkillRun(api_key_id=caller.owner, skill_name=call.name, input=given)
            found = await execute_skill(self.engine, caller, wanted, _unheard)
        except (OmniRouteError, msgspec.MsgspecError) as error:
            return _told(call, str(error), is_error=True)
        if found.status != "success":
            return _told(call, found.error or found.status, is_error=True)
        return _told(call, msgspec.json.encode(found.output).decode(), is_error=False)

    def question(self, asking: Sequence[ToolCall]) -> InputRequired:
        """Whether tools that need a yes may run, with what they would be given."""
        wanted = "; ".join(f"{call.name}({call.arguments or ''})" for call in asking)
        return InputRequired(
            f"{self.agent.title} wants to run {wanted}. Answer 'yes' to let it, 'no' to cancel.",
            facts={"tools": [{"name": one.name, "arguments": one.arguments} for one in asking]},
            approves={RESUME: self.transcripts.sealed(self.turns, self.bound)},
        )

    def facts(self) -> dict[str, Any]:
        """What it took, as the data of the answer."""
        costs = [one.cost_micro_usd for one in self.receipts if one.cost_micro_usd is not None]
        return {
            "agent": self.agent.id,
            "model": self.agent.model,
            "model_calls": self.steps,
            "tool_calls": self.called,
            "input_tokens": sum(one.input_tokens for one in self.receipts),
            "output_tokens": sum(one.output_tokens for one in self.receipts),
            "cost_usd": sum(costs) / 1e6 if costs else None,
        }


def _told(call: ToolCall, text: str, *, is_error: bool) -> ToolResult:
    return ToolResult(call.id, (Text(text),), is_error=is_error, name=call.name)


async def _unheard(_progress: float, _message: str) -> None:
    """The model is not told how far a tool is."""
