"""Asking a model: the one operation behind every chat door."""

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.chat import ChatRequest, Event, Message, Text
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.pipeline.callers.session_ids import session_id_of
from omniroute.pipeline.exchange import ChatCall, ReplyHead, StreamAnswer, WholeAnswer
from omniroute.pipeline.tokens.token_count import TokenCount


async def complete(engine: Engine, call: ChatCall) -> WholeAnswer:
    """Answer a chat call with a whole reply.

    Raises:
        OmniRouteError: the call was refused, or every target failed.
    """
    recording = engine.payloads.begin(call)
    if recording is None:
        return await engine.chat.complete(call)
    try:
        answer = await engine.chat.complete(call)
        recording.saw(answer.body or msgspec.json.encode(answer.reply))
    finally:
        engine.payloads.end(call, recording)
    return answer


async def stream_bytes(engine: Engine, call: ChatCall) -> StreamAnswer[bytes]:
    """Answer a chat call with a stream as its client speaks.

    Raises:
        OmniRouteError: the call was refused, or every target failed before its first content.
    """
    recording = engine.payloads.begin(call)
    if recording is None:
        return await engine.chat.stream_bytes(call)
    try:
        answer = await engine.chat.stream_bytes(call)
    except BaseException:
        engine.payloads.end(call, recording)
        raise
    return engine.payloads.recorded(call, recording, answer, bytes)


async def stream_events(engine: Engine, call: ChatCall) -> StreamAnswer[list[Event]]:
    """Answer a chat call with neutral events.

    Raises:
        OmniRouteError: as for `stream_bytes`.
    """
    recording = engine.payloads.begin(call)
    if recording is None:
        return await engine.chat.stream_events(call)
    try:
        answer = await engine.chat.stream_events(call)
    except BaseException:
        engine.payloads.end(call, recording)
        raise
    return engine.payloads.recorded(call, recording, answer, msgspec.json.encode)


async def count_tokens(engine: Engine, call: ChatCall) -> TokenCount:
    """How many tokens a request has.

    Raises:
        Forbidden: the caller's key may not use the model.
    """
    return await engine.chat.count_tokens(call)


MAX_BUDGET_USD = 1_000_000


class PlainMessage(Struct, frozen=True):
    """A message of text only."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str


Role: TypeAlias = Literal["coding", "review", "planning", "analysis"]
"""What kind of work a request is: the row of the fitness table models are judged by."""


class RouteRequest(Struct, frozen=True, kw_only=True):
    """A chat request as an agent states it.

    Attributes:
        model: model, combo or `auto`.
        messages: the conversation, oldest first.
        combo: a combo to use instead of `model`.
        budget: the most the request may cost, in USD.
        role: what kind of task this is.
        stream: read the answer as a stream, also where nobody listens to its progress.
    """

    model: str
    messages: tuple[PlainMessage, ...]
    combo: str | None = None
    budget: float | None = None
    role: Role | None = None
    stream: bool = False


def chat_call(engine: Engine, caller: Caller, query: RouteRequest) -> ChatCall:
    """The call an agent's request stands for.

    Raises:
        ValidationFailed: there are no messages, or the budget is out of range.
    """
    if not query.messages:
        raise ValidationFailed([("messages", "at least one message is needed")])
    messages = tuple(
        Message("system" if one.role == "developer" else one.role, (Text(one.content),))
        for one in query.messages
    )
    request = ChatRequest(model=query.combo or query.model, messages=messages)
    return ChatCall(
        request_id=engine.new_id(),
        caller=caller,
        request=request,
        max_cost_micro_usd=budget_micro_usd(query.budget),
        session=session_id_of(caller, request, {}),
        task=query.role,
    )


def budget_micro_usd(usd: float | None) -> int | None:
    """A budget as the ledger counts.

    Raises:
        ValidationFailed: it is not positive, or more than anybody spends on one request.
    """
    if usd is None:
        return None
    if not usd > 0:  # nor is what is no number
        raise ValidationFailed([("budget", "must be more than 0")])
    if usd > MAX_BUDGET_USD:
        raise ValidationFailed([("budget", f"must be at most {MAX_BUDGET_USD}")])
    return int(usd * 1_000_000)


def routing_explanation(head: ReplyHead, cost_micro_usd: int | None, latency_ms: int) -> str:
    """One sentence on why an answer came from where it came."""
    chosen = head.chosen
    cost = "unknown" if cost_micro_usd is None else f"${cost_micro_usd / 1e6:.6f}"
    return (
        f"{chosen.provider}/{chosen.model} on account '{head.connection_name}' "
        f"({'; '.join(chosen.reasons)}; attempt {len(head.attempts)}, "
        f"{len(head.plan.candidates)} planned), {latency_ms} ms, cost {cost}"
    )
