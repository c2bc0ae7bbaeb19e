"""A model that may call tool skills, asked until it answers."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec

from omniroute.chat import (
    ChatReply,
    ChatRequest,
    Collector,
    Event,
    Message,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolResult,
)
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError, UpstreamFailed
from omniroute.operations.chats import chat
from omniroute.operations.progress import silent
from omniroute.operations.skills.executions import SkillRun, execute_skill
from omniroute.pipeline.callers.session_ids import session_id_of
from omniroute.pipeline.exchange import ChatCall, StreamAnswer
from omniroute.skills.skill import Emit, InputRequired, SkillRequest
from omniroute.storage.records.configuration import Agent
from omniroute_agents.transcripts import Transcripts

RESUME = "resume"
"""The option with the conversation so far, set where a question was answered with yes."""


@dataclass(slots=True)
class Conversation:
    """One question to an agent, as far as it has come. `steps` are the model calls made."""

    agent: Agent
    engine: Engine
    request: SkillRequest
    emit: Emit
    budget: float | None
    tools: tuple[Tool, ...]
    role: chat.Role | None = None
    turns: list[Message] = field(default_factory=list)
    steps: int = 0
    called: list[str] = field(default_factory=list)
    answers: list[tuple[ChatCall, StreamAnswer[list[Event]]]] = field(default_factory=list)

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

    @property
    def cost_micro_usd(self) -> int | None:
        """What all model calls cost together, None where no price is known."""
        costs = [answer.receipt.cost_micro_usd for _, answer in self.answers]
        known = [one for one in costs if one is not None]
        return sum(known) if known else None

    async def begin(self, messages: Sequence[Message], resume: str | None) -> None:
        """Take the conversation up: from its beginning, or where it waited for a yes.

        Raises:
            ValidationFailed: `resume` is no conversation of this agent with this caller.
        """
        if resume is None:
            self.turns = [*self._opening(), *messages]
        else:
            self.turns = self.transcripts.opened(resume, self.bound)
            await self.answer_calls()

    def _opening(self) -> list[Message]:
        prompt = self.agent.system_prompt
        return [Message("system", (Text(prompt),))] if prompt else []

    async def until_it_answers(self) -> ChatReply:
        """Ask, run the tools that are called, and so on; the answer.

        Raises:
            InputRequired: a tool needs somebody's yes first.
            OmniRouteError: a model call was refused, or every target failed.
        """
        while True:
            reply = await self.ask()
            calls = [part for part in reply.parts if isinstance(part, ToolCall)]
            if not calls or self.is_over:
                return reply
            self.turns.append(Message("assistant", reply.parts))
            asking = [call for call in calls if call.name in self.agent.approval]
            if asking:
                raise self.question(asking)
            await self.answer_calls()

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
            task=self.role,
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
        self.answers.append((call, answer))
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
            found = await execute_skill(self.engine, caller, wanted, silent)
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
        receipts = [answer.receipt for _, answer in self.answers]
        return {
            "agent": self.agent.id,
            "model": self.agent.model,
            "model_calls": self.steps,
            "tool_calls": self.called,
            "input_tokens": sum(one.input_tokens for one in receipts),
            "output_tokens": sum(one.output_tokens for one in receipts),
            "cost_usd": None if self.cost_micro_usd is None else self.cost_micro_usd / 1e6,
        }


def _told(call: ToolCall, text: str, *, is_error: bool) -> ToolResult:
    return ToolResult(call.id, (Text(text),), is_error=is_error, name=call.name)
