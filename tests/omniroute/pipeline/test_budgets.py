"""A budget on the whole way of a request: refused, cut, shared out, degraded, or let pass."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.support.builders import account, combo, snapshot

from omniroute.chat import Dialect, collect
from omniroute.dialects import CODECS
from omniroute.errors import BudgetExceeded
from omniroute.pipeline.money.ledger import SLICE_TOKENS, Ledger
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.trace import RouteTrace
from omniroute.storage.records.money import BudgetRow
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio

# gpt-4o-mini: $0.15 per million tokens read, $0.60 per million written.
MODEL = "openai/gpt-4o-mini"
TOKEN_MICRO = 0.6


def world(micro_usd: int, **more: Any) -> Snapshot:
    return snapshot(
        accounts=[account("openai", "o")],
        combos=[combo("or-free", MODEL, "demo/echo")],
        budgets=[BudgetRow(scope_kind="key", scope_id="key-1", total_micro_usd=micro_usd, **more)],
    )


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n"


@dataclass
class Slow(Answer):
    """A stream of words that lets others run between two of them."""

    words: int = 100

    async def chunks(self) -> AsyncIterator[bytes]:
        for number in range(self.words):
            yield chunk({"content": f"word{number:03} "})
            await asyncio.sleep(0)
        yield chunk({}, "stop")
        usage = {"prompt_tokens": 5, "completion_tokens": self.words}
        yield b"data: " + json.dumps({"id": "c", "choices": [], "usage": usage}).encode() + b"\n\n"
        yield b"data: [DONE]\n\n"


def whole(tokens: int) -> Answer:
    reply = {
        "id": "c",
        "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": tokens},
    }
    return Answer(pieces=[json.dumps(reply).encode()])


def answers(request: OutboundRequest, words: int = 100) -> Answer:
    """An upstream that keeps to the limit it is given."""
    body = msgspec.json.decode(request.body or b"")
    words = min(words, body.get("max_tokens") or body.get("max_completion_tokens") or words)
    return Slow(words=words) if body.get("stream") else whole(words)


def traces(bench: Bench) -> list[RouteTrace]:
    return [msgspec.json.decode(row.trace.data, type=RouteTrace) for row in bench.records]


def sent(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(bench.gate.asked[-1].body or b"")
    return found


async def test_far_from_the_limit_nobody_notices(bench: Build) -> None:
    made = bench(world(10_000_000), answers)
    await made.pipeline.complete(chat_call(MODEL, dialect=Dialect.OPENAI_CHAT))
    assert "max_tokens" not in sent(made)
    assert "max_completion_tokens" not in sent(made)
    assert (made.ledger.open_reservations, made.ledger.spent_micro_usd("key-1")) == (0, 61)
    assert [row.micro_usd for row in made.records[0].charges] == [61]


async def test_near_the_limit_the_upstream_keeps_to_what_is_left(bench: Build) -> None:
    made = bench(world(1_000), answers)
    await made.pipeline.complete(chat_call(MODEL))
    limit = sent(made).get("max_tokens") or sent(made)["max_completion_tokens"]
    assert 1_500 < limit < 1_000 / TOKEN_MICRO


async def test_what_is_used_up_refuses_before_anything_is_sent(bench: Build) -> None:
    made = bench(world(10), answers)
    with pytest.raises(BudgetExceeded) as refused:
        await made.pipeline.complete(chat_call(MODEL))
    assert made.gate.asked == []
    assert refused.value.code == "budget_exceeded"
    (trace,) = traces(made)
    assert (trace.outcome, trace.error) == ("refused", str(refused.value))
    assert trace.plan is not None


async def test_degrading_asks_only_what_costs_nothing(bench: Build) -> None:
    made = bench(world(10, action="degrade"), answers)
    answer = await made.pipeline.complete(chat_call("or-free"))
    assert (answer.head.chosen.provider, made.gate.asked) == ("demo", [])
    (trace,) = traces(made)
    assert trace.plan is not None
    assert "only what costs nothing was asked" in trace.plan.notes[-1]


async def test_degrading_without_anything_free_refuses(bench: Build) -> None:
    made = bench(world(10, action="degrade"), answers)
    with pytest.raises(BudgetExceeded):
        await made.pipeline.complete(chat_call(MODEL))


async def test_an_alert_lets_pass(bench: Build) -> None:
    made = bench(world(10, action="alert"), answers)
    await made.pipeline.complete(chat_call(MODEL))
    assert made.ledger.spent_micro_usd("key-1") == 61


async def ask(bench: Bench, dialect: Dialect | None, *, stream: bool) -> str | None:
    """One request; why it stopped, as its client reads it."""
    call = chat_call(MODEL, dialect=dialect, stream=stream)
    if not stream:
        return (await bench.pipeline.complete(call)).reply.finish
    if dialect is None:
        events = await bench.pipeline.stream_events(call)
        return collect([one async for batch in events.outputs for one in batch]).finish
    answer = await bench.pipeline.stream_bytes(call)
    body = b"".join([output async for output in answer.outputs])
    codec = CODECS[dialect]
    splitter, decoder = codec.splitter(), codec.decoder({})
    frames = [*splitter.feed(body), *splitter.close()]
    return collect([event for frame in frames for event in decoder.feed(frame)]).finish


KINDS = {
    "whole": (None, False),
    "events": (None, True),
    **{f"{dialect} stream": (dialect, True) for dialect in CODECS},
}


@pytest.mark.parametrize(("dialect", "stream"), KINDS.values(), ids=KINDS)
async def test_answers_that_outgrow_the_money_end_for_length(
    bench: Build, dialect: Dialect | None, stream: bool
) -> None:
    limit = round(4 * SLICE_TOKENS * TOKEN_MICRO)
    made = bench(world(limit), lambda request: answers(request, 500))
    async with asyncio.timeout(10):
        found = await asyncio.gather(
            *(ask(made, dialect, stream=stream) for _ in range(4)), return_exceptions=True
        )
    assert "length" in found
    stopped = [trace for trace in traces(made) if trace.outcome == "stopped"]
    assert stopped
    assert all("budget ended this answer" in (trace.error or "") for trace in stopped)
    assert made.ledger.spent_micro_usd("key-1") <= limit
    assert (made.ledger.open_reservations, made.ledger.reserved_micro_usd) == (0, 0)


async def test_sixteen_agents_spend_the_last_cent(bench: Build) -> None:
    limit = 2_000
    made = bench(world(limit), answers)
    refused: list[BudgetExceeded] = []

    async def agent(stream: bool) -> None:
        while True:
            try:
                await ask(made, Dialect.ANTHROPIC if stream else None, stream=stream)
            except BudgetExceeded as error:
                refused.append(error)
                return

    async with asyncio.timeout(20):
        await asyncio.gather(*(agent(number % 2 == 0) for number in range(16)))
    spent = made.ledger.spent_micro_usd("key-1")
    assert spent <= limit
    assert limit - spent < 20, "too little for reading and the shortest answer"
    assert len(refused) == 16
    assert all(error.extras["reserved_usd"] == 0 for error in refused[-1:])


async def test_a_ledger_without_a_store_is_its_own(bench: Build) -> None:
    assert bench(world(1), answers).ledger.vault is None
    assert Ledger(lambda: 0).open_reservations == 0
