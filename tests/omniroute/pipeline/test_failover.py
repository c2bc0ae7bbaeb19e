"""A stream that breaks off is continued by the next target: one valid message, whatever the cut."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.support.builders import account, combo, node, snapshot

from omniroute.catalog.overrides import StatedPrice
from omniroute.chat import (
    ChatReply,
    ChatRequest,
    Dialect,
    Message,
    ReasoningRequest,
    Text,
    Tool,
    ToolCall,
    collect,
)
from omniroute.dialects import CODECS
from omniroute.errors import BudgetExceeded
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.streams.seam import GO_ON
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.trace import RouteTrace
from omniroute.storage.records.money import BudgetRow
from omniroute.upstream.send import OutboundRequest, TransportFailed

pytestmark = pytest.mark.anyio

WORDS = ("Once ", "upon ", "a ", "midnight ", "dreary")
STORY = "".join(WORDS)
ARGUMENTS = '{"city": "Oslo"}'


def world(**config: Any) -> Snapshot:
    return snapshot(
        nodes=[node(name, base_url=f"http://{name}.test/v1") for name in ("one", "two", "three")],
        accounts=[account(f"{name}-{name}", name) for name in ("one", "two", "three")],
        combos=[combo("story", "one/x", "two/y", "three/z", config=config)],
    )


ON = world(midStreamFailover=True)


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def call_delta(arguments: str, **begin: Any) -> bytes:
    function = {"arguments": arguments, **({"name": "weather"} if begin else {})}
    return chunk({"tool_calls": [{"index": 0, **begin, "function": function}]})


USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n'
DONE = b"data: [DONE]\n\n"


def story(words: Sequence[str], *, tool: bool = False) -> list[bytes]:
    """A stream with these words, and perhaps a call in five pieces."""
    pieces = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": w}) for w in words)]
    if tool:
        pieces += [call_delta("", id="call_1", type="function")]
        pieces += [call_delta(ARGUMENTS[at : at + 4]) for at in range(0, len(ARGUMENTS), 4)]
    return [*pieces, chunk({}, "tool_calls" if tool else "stop"), USAGE, DONE]


def rest_of(request: OutboundRequest) -> list[str]:
    """What is missing after the words the request already has."""
    body = msgspec.json.decode(request.body or b"")
    if body["messages"][-1]["content"] != GO_ON:
        return list(WORDS)  # nothing had left: a fresh answer
    said = body["messages"][-2]
    assert said["role"] == "assistant"
    assert STORY.startswith(said["content"])
    return [STORY[len(said["content"]) :]]


class Cut:
    """The first upstream breaks off after some pieces; the second one goes on."""

    def __init__(self, after: int, *, tool: bool, how: str = "drop") -> None:
        self.after, self.tool, self.how = after, tool, how
        self.repeats = False

    def __call__(self, request: OutboundRequest) -> Answer:
        if "one.test" in request.url:
            pieces: list[bytes | Exception] = list(story(WORDS, tool=self.tool)[: self.after])
            if self.how == "drop":
                pieces.append(TransportFailed("broken", "the peer hung up"))
            elif self.how.startswith("error"):
                end = DONE if self.how == "error and end" else b""
                pieces.append(b'data: {"error":{"message":"overloaded","code":503}}\n\n' + end)
            return Answer(pieces=pieces)
        words = list(WORDS) if self.repeats else rest_of(request)
        return Answer(pieces=story(words, tool=self.tool))


CLIENTS = [dialect for dialect in CODECS if dialect in tuple(Dialect)]
LENGTH = {tool: len(story(WORDS, tool=tool)) for tool in (False, True)}


def asking(dialect: Dialect | None, *, tool: bool) -> ChatCall:
    call = chat_call("story", stream=True, dialect=dialect)
    tools = (Tool("weather", parameters={"type": "object"}),) if tool else ()
    request = msgspec.structs.replace(call.request, tools=tools, include_usage=True)
    return ChatCall(call.request_id, call.caller, request, client=call.client)


async def told(bench: Bench, dialect: Dialect, *, tool: bool) -> tuple[ChatReply, bytes]:
    """What a client of a dialect makes of the stream, read as that dialect."""
    answer = await bench.pipeline.stream_bytes(asking(dialect, tool=tool))
    body = b"".join([output async for output in answer.outputs])
    codec = CODECS[dialect]
    splitter, decoder = codec.splitter(), codec.decoder({})
    frames = [*splitter.feed(body), *splitter.close()]
    reply = collect([event for frame in frames for event in decoder.feed(frame)])
    assert decoder.finished or reply.finish is not None
    return reply, body


@pytest.mark.parametrize("how", ["drop", "end", "error", "error and end"])
@pytest.mark.parametrize("tool", [False, True], ids=["text", "tool call"])
@pytest.mark.parametrize("dialect", CLIENTS)
async def test_a_cut_at_every_event_ends_in_one_complete_message(
    bench: Build, dialect: Dialect, tool: bool, how: str
) -> None:
    for after in range(1, LENGTH[tool]):
        made = bench(ON, Cut(after, tool=tool, how=how))
        reply, _ = await told(made, dialect, tool=tool)
        assert reply.text == STORY, after
        assert reply.finish == ("tool_calls" if tool else "stop"), after
        calls = [part for part in reply.parts if isinstance(part, ToolCall)]
        assert [(one.name, json.loads(one.arguments)) for one in calls] == (
            [("weather", json.loads(ARGUMENTS))] if tool else []
        )
        assert reply.failure is None
        assert made.ledger.open_reservations == 0


def trace(bench: Bench) -> RouteTrace:
    (record,) = bench.records
    return msgspec.json.decode(record.trace.data, type=RouteTrace)


async def test_the_seam_is_in_the_trace_and_in_the_stream(bench: Build) -> None:
    made = bench(ON, Cut(4, tool=False))
    _, body = await told(made, Dialect.OPENAI_CHAT, tool=False)
    assert b": x-omniroute-failover=two/y\n\n" in body
    found = trace(made)
    assert found.outcome == "completed"
    assert [(a.provider, a.verdict, a.continues_at) for a in found.attempts] == [
        ("one-one", "stream_cut", None),
        ("two-two", None, len("Once upon a ")),
    ]
    first, second = made.records[0].usage
    assert (first.output_tokens, first.estimated) == (3, True)
    assert (second.output_tokens, second.estimated) == (7, False)


async def test_callers_without_a_wire_format_get_one_message_too(bench: Build) -> None:
    made = bench(ON, Cut(9, tool=True))
    answer = await made.pipeline.stream_events(asking(None, tool=True))
    reply = collect([event async for events in answer.outputs for event in events])
    assert (reply.text, reply.finish) == (STORY, "tool_calls")
    assert len([part for part in reply.parts if isinstance(part, ToolCall)]) == 1


async def test_a_target_that_begins_again_is_not_heard_twice(bench: Build) -> None:
    script = Cut(4, tool=False)
    script.repeats = True
    reply, _ = await told(bench(ON, script), Dialect.ANTHROPIC, tool=False)
    assert reply.text == STORY


async def test_several_targets_may_break_off(bench: Build) -> None:
    def answers(request: OutboundRequest) -> Answer:
        if "three.test" in request.url:
            return Answer(pieces=story(rest_of(request)))
        first = "one.test" in request.url
        words, length = (list(WORDS), 4) if first else (["midnight", "."], 2)
        pieces: list[bytes | Exception] = list(story(words)[:length])
        return Answer(pieces=[*pieces, TransportFailed("broken", "gone")])

    made = bench(ON, answers)
    reply, _ = await told(made, Dialect.GEMINI, tool=False)
    assert reply.text == STORY
    assert [a.continues_at for a in trace(made).attempts] == [None, 12, 20]


async def test_when_nobody_can_go_on_the_client_is_told_so(bench: Build) -> None:
    def answers(request: OutboundRequest) -> Answer:
        if "one.test" in request.url:
            return Cut(4, tool=False)(request)
        return Answer(500, {}, (b'{"error":{"message":"no"}}',))

    made = bench(ON, answers)
    answer = await made.pipeline.stream_bytes(asking(Dialect.OPENAI_CHAT, tool=False))
    body = b"".join([output async for output in answer.outputs])
    assert b'"finish_reason":"error"' in body.replace(b": ", b":")
    assert (trace(made).outcome, len(trace(made).attempts)) == ("cut", 3)
    assert made.ledger.open_reservations == 0


async def test_without_the_option_nothing_is_continued(bench: Build) -> None:
    made = bench(world(), Cut(4, tool=False))
    answer = await made.pipeline.stream_bytes(asking(Dialect.OPENAI_CHAT, tool=False))
    body = b"".join([output async for output in answer.outputs])
    assert b'"error"' in body
    assert [request.url for request in made.gate.asked] == ["http://one.test/v1/chat/completions"]


ENDINGS = {
    "prefilled where the API continues its own words": (
        "claude-3-5-haiku-latest",
        None,
        [{"role": "assistant", "content": "Once upon a"}],
    ),
    "told to go on where thinking forbids it": (
        "claude-3-7-sonnet-latest",
        ReasoningRequest(effort="low"),
        [{"role": "assistant", "content": "Once upon a "}, {"role": "user", "content": GO_ON}],
    ),
}


@pytest.mark.parametrize(("model", "reasoning", "ending"), ENDINGS.values(), ids=ENDINGS)
async def test_how_a_target_is_told_to_go_on(
    bench: Build, model: str, reasoning: ReasoningRequest | None, ending: list[dict[str, Any]]
) -> None:
    there = snapshot(
        nodes=[node("one", base_url="http://one.test/v1")],
        accounts=[account("one-one", "one"), account("anthropic", "claude")],
        combos=[combo("story", "one/x", f"anthropic/{model}", config={"midStreamFailover": True})],
    )
    made = bench(there, lambda r: Cut(4, tool=False)(r) if "one" in r.url else Answer(500))
    messages = (Message("user", (Text("Hello"),)),)
    request = ChatRequest(model="story", messages=messages, stream=True, reasoning=reasoning)
    call = ChatCall("r", chat_call("x").caller, request, client=CODECS[Dialect.OPENAI_CHAT])
    answer = await made.pipeline.stream_bytes(call)
    assert [output async for output in answer.outputs]
    sent = msgspec.json.decode(made.gate.asked[-1].body or b"")["messages"]
    assert [plain(row) for row in sent[1:]] == ending


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A message with its text as text."""
    content = row["content"]
    return {**row, "content": content if isinstance(content, str) else content[0]["text"]}


def priced(limit_micro_usd: int) -> Snapshot:
    """A dollar per million tokens read, two per million written, everywhere; a budget."""
    price = {"x": StatedPrice(input=1, output=2), "y": StatedPrice(input=1, output=2)}
    row = BudgetRow(scope_kind="key", scope_id="key-1", total_micro_usd=limit_micro_usd)
    return msgspec.structs.replace(
        ON,
        stated_prices={"one-one": price, "two-two": price},
        budgets={("key", "key-1"): row},
    )


async def test_both_parts_of_a_continued_answer_are_paid_for(bench: Build) -> None:
    made = bench(priced(10_000_000), Cut(4, tool=False))
    reply, _ = await told(made, Dialect.OPENAI_CHAT, tool=False)
    assert reply.text == STORY
    parts = [row.cost_micro_usd for row in made.records[0].usage]
    assert len(parts) == 2
    assert None not in parts
    (charge,) = made.records[0].charges
    assert charge.micro_usd == sum(part or 0 for part in parts)


async def test_a_part_without_a_price_does_not_hide_what_the_other_cost(bench: Build) -> None:
    there = priced(10_000_000)
    prices = {"two-two": there.stated_prices["two-two"]}
    made = bench(msgspec.structs.replace(there, stated_prices=prices), Cut(4, tool=False))
    await told(made, Dialect.OPENAI_CHAT, tool=False)
    first, second = (row.cost_micro_usd for row in made.records[0].usage)
    assert first is None
    (charge,) = made.records[0].charges
    assert charge.micro_usd == second


@pytest.mark.parametrize("limit", range(40, 400, 15))
async def test_a_budget_is_not_passed_by_going_on(bench: Build, limit: int) -> None:
    made = bench(priced(limit), Cut(4, tool=False))
    try:
        answer = await made.pipeline.stream_bytes(asking(Dialect.OPENAI_CHAT, tool=False))
    except BudgetExceeded:
        assert limit < 150
        return
    body = b"".join([output async for output in answer.outputs])
    outcome = trace(made).outcome
    assert outcome in ("completed", "cut", "stopped")
    assert (outcome == "cut") == (b'"error"' in body)
    spent = sum(charge.micro_usd for record in made.records for charge in record.charges)
    assert 0 < spent <= limit
    assert made.ledger.open_reservations == 0
    if limit > 350:
        assert outcome == "completed"
