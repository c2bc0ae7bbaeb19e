"""The tool that asks a model, with progress while it writes."""

from contextlib import aclosing

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.chat import ChatReply, Collector, TextDelta
from omniroute.engine import Engine
from omniroute.errors import UpstreamFailed
from omniroute.operations.chats.chat import (
    RouteRequest,
    chat_call,
    complete,
    routing_explanation,
    stream_events,
)
from omniroute.operations.progress import Report, silent
from omniroute.pipeline.exchange import ChatCall, Receipt, ReplyHead

PROGRESS_CHARS = 200


class TokenCounts(Struct, frozen=True):
    """Tokens read and written."""

    prompt: int
    completion: int


class RoutedResponse(Struct, frozen=True):
    """What the model said."""

    content: str
    model: str
    tokens: TokenCounts


class Routing(Struct, frozen=True, rename="camel"):
    """Where the answer came from. `cost` is USD; `request_id` is for explain_route."""

    request_id: str
    provider: str
    combo: str | None
    fallbacks_triggered: int
    cost: float
    latency_ms: int
    routing_explanation: str


class RoutedReply(Struct, frozen=True):
    """An answer and its route."""

    response: RoutedResponse
    routing: Routing


async def route_request(
    engine: Engine, caller: Caller, query: RouteRequest, report: Report
) -> RoutedReply:
    """Answer a conversation; where somebody listens, each upstream event is reported as progress.

    Raises:
        OmniRouteError: refused, or every target failed.
    """
    call = chat_call(engine, caller, query)
    if report is silent and not query.stream:
        whole = await complete(engine, call)
        return _result(call, whole.head, whole.receipt, whole.reply)
    answer = await stream_events(engine, call)
    collector, text = Collector(), ""
    async with aclosing(answer.outputs) as outputs:
        async for events in outputs:
            for event in events:
                collector.feed(event)
            written = "".join(event.text for event in events if isinstance(event, TextDelta))
            if written:
                text += written
                await report(len(text), text[-PROGRESS_CHARS:])
    reply = collector.reply()
    if reply.failure is not None:
        raise UpstreamFailed(reply.failure.message, status=reply.failure.status)
    return _result(call, answer.head, answer.receipt, reply)


def _result(call: ChatCall, head: ReplyHead, receipt: Receipt, reply: ChatReply) -> RoutedReply:
    return RoutedReply(
        RoutedResponse(
            content=reply.text,
            model=reply.model or head.chosen.model,
            tokens=TokenCounts(receipt.input_tokens, receipt.output_tokens),
        ),
        Routing(
            request_id=call.request_id,
            provider=head.chosen.provider,
            combo=head.plan.combo,
            fallbacks_triggered=len(head.attempts) - 1,
            cost=(receipt.cost_micro_usd or 0) / 1e6,
            latency_ms=receipt.latency_ms,
            routing_explanation=routing_explanation(
                head, receipt.cost_micro_usd, receipt.latency_ms
            ),
        ),
    )
