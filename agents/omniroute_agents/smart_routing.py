"""Answers a conversation through the router and says where the answer came from."""

from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct

from omniroute.chat import ChatReply, ChatRequest, Collector, Event, TextDelta, Usage
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import BudgetExceeded, UpstreamFailed
from omniroute.operations.agents.agents import require_tools
from omniroute.operations.agents.tools import tools_of
from omniroute.operations.chats import chat
from omniroute.operations.inputs import convert_input
from omniroute.pipeline.callers.session_ids import session_id_of
from omniroute.pipeline.exchange import ChatCall, StreamAnswer
from omniroute.pipeline.money.reserving import OVER_OWN_BUDGET
from omniroute.routing.sizes import input_tokens
from omniroute.skills.skill import Emit, InputRequired, Skill, SkillReply, SkillRequest
from omniroute.storage.records.configuration import Agent
from omniroute_agents.conversation import Conversation


class Options(Struct, frozen=True):
    """The metadata this skill reads. `budget` is USD; `tools` are tool skills the model may call,
    `approval` those of them that need somebody's yes first."""

    model: str = "auto"
    combo: str | None = None
    budget: float | None = None
    role: chat.Role | None = None
    tools: tuple[str, ...] = ()
    approval: tuple[str, ...] = ()
    resume: str | None = None


async def run(engine: Engine, request: SkillRequest, emit: Emit) -> SkillReply:
    """Stream the model's text through `emit`; the metadata tells route, cost and verdict."""
    options = convert_input(Options, _known(request.options))
    if options.tools:
        return await _with_tools(engine, request, emit, options)
    asked = ChatRequest(model=options.combo or options.model, messages=request.messages)
    call = ChatCall(
        request_id=engine.new_id(),
        caller=request.caller,
        request=asked,
        max_cost_micro_usd=chat.budget_micro_usd(options.budget),
        session=session_id_of(request.caller, asked, {}),
        task=options.role,
    )
    try:
        answer = await chat.stream_events(engine, call)
    except BudgetExceeded as error:
        raise _question(error) from error
    reply = await _read(answer, emit)
    if reply.failure is not None:
        raise UpstreamFailed(reply.failure.message, status=reply.failure.status)
    return SkillReply(reply.text, _metadata(engine, call, answer, options))


async def _with_tools(
    engine: Engine, request: SkillRequest, emit: Emit, options: Options
) -> SkillReply:
    """The same for a model that may call tool skills, which the gateway runs."""
    agent = Agent(
        id=SKILL.id,
        title=SKILL.name,
        description=SKILL.description,
        model=options.combo or options.model,
        tools=options.tools,
        approval=options.approval,
    )
    await require_tools(engine, agent)
    tools = await tools_of(engine, agent)
    talk = Conversation(agent, engine, request, emit, options.budget, tools, options.role)
    await talk.begin(request.messages, options.resume)
    try:
        reply = await talk.until_it_answers()
    except BudgetExceeded as error:
        raise _question(error) from error
    call, answer = talk.answers[-1]
    facts = talk.facts()
    more = {name: facts[name] for name in ("model_calls", "tool_calls", "cost_usd")}
    return SkillReply(reply.text, {**_metadata(engine, call, answer, options), **more})


def _question(refused: BudgetExceeded) -> InputRequired:
    """Asks whether more may be spent, where failing would lose the conversation."""
    told = ("needed_usd", "limit_usd", "spent_usd", "scope", "scope_id", "period", "reset_at")
    facts = {name: refused.extras[name] for name in told if name in refused.extras}
    if refused.code == OVER_OWN_BUDGET:
        answers = (
            "Answer with a higher metadata.budget (USD) to go on, 'yes' to go on without a budget "
            "for this request, or 'no' to cancel."
        )
        return InputRequired(f"{refused} {answers}", facts=facts, approves={"budget": None})
    answers = (
        "Once the limit is raised or has been reset, answer 'yes' to try again, or 'no' to cancel."
    )
    return InputRequired(f"{refused} {answers}", facts=facts)


def _known(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in Options.__struct_fields__ if name in options}


async def _read(answer: StreamAnswer[list[Event]], emit: Emit) -> ChatReply:
    collector = Collector()
    async with aclosing(answer.outputs) as outputs:
        async for events in outputs:
            for event in events:
                collector.feed(event)
                if isinstance(event, TextDelta):
                    await emit(event.text)
    return collector.reply()


def _metadata(
    engine: Engine, call: ChatCall, answer: StreamAnswer[list[Event]], options: Options
) -> dict[str, Any]:
    head, receipt = answer.head, answer.receipt
    chosen = head.chosen
    actual = (receipt.cost_micro_usd or 0) / 1e6
    price = engine.snapshot.price(chosen.provider, chosen.model)
    read = Usage(input_tokens=input_tokens(call.request))
    allowed = options.budget is None or actual <= options.budget
    metadata = {
        "request_id": call.request_id,
        "routing_explanation": chat.routing_explanation(
            head, receipt.cost_micro_usd, receipt.latency_ms
        ),
        "cost_envelope": {
            "estimated": round(price.cost_micro_usd(read) / 1e6, 4) if price else None,
            "actual": None if receipt.cost_micro_usd is None else round(actual, 4),
            "currency": "USD",
        },
        "resilience_trace": _resilience_trace(answer),
        "policy_verdict": {
            "allowed": allowed,
            "reason": "within budget" if allowed else "the actual cost is over the budget",
        },
        "provider": chosen.provider,
        "model": chosen.model,
    }
    plain: dict[str, Any] = msgspec.to_builtins(metadata)
    return plain


def _resilience_trace(answer: StreamAnswer[list[Event]]) -> list[dict[str, str]]:
    *failed, served = answer.head.attempts
    tried = [("fallback_needed", attempt) for attempt in failed]
    tried.append(("fallback_selected" if failed else "primary_selected", served))
    return [
        {"event": event, "provider": row.provider, "timestamp": iso(row.started_at_ms)}
        for event, row in tried
    ]


SKILL = Skill(
    id="smart-routing",
    name="Smart routing",
    description=(
        "Answers a prompt with the best available model and says which target answered, why, "
        "what it cost and what failed on the way."
    ),
    tags=("routing", "chat", "fallback", "cost"),
    examples=("Write a haiku about failover.", "Review this function for race conditions."),
    time_limit_s=30.0,
    run=run,
)
