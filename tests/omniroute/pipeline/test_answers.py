"""Answers that need not be asked for: kept, shared and repeated, and never somebody else's."""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.support.builders import account, node, snapshot

from omniroute.caller import Caller
from omniroute.chat import (
    ChatReply,
    ChatRequest,
    Dialect,
    Extras,
    Message,
    ReasoningRequest,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    collect,
)
from omniroute.dialects import CODECS
from omniroute.errors import IdempotencyMismatch, OmniRouteError
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.reuse.response_cache import CacheLimits, Kept, ResponseCache
from omniroute.pipeline.reuse.sharing import Sharing
from omniroute.pipeline.reuse.signature import keepable, signature
from omniroute.routing.targets import Candidate
from omniroute.routing.trace import RouteTrace
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio

WORLD = snapshot(
    nodes=[node("one", base_url="http://one.test/v1")], accounts=[account("one-one", "a")]
)
NOW_MS = 1_800_000_000_000


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def reply(text: str = "Hi you", **message: Any) -> bytes:
    finish = "tool_calls" if "tool_calls" in message else "stop"
    return json.dumps(
        {
            "id": "c",
            "model": "m",
            "choices": [
                {"index": 0, "message": {"content": text, **message}, "finish_reason": finish}
            ],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2},
        }
    ).encode()


def answers(request: OutboundRequest) -> Answer:
    if b'"stream":true' in (request.body or b""):
        words = [chunk({"content": word}) for word in ("Hi ", "you")]
        return Answer(pieces=[*words, chunk({}, "stop"), b"data: [DONE]\n\n"])
    return Answer(pieces=[reply()])


def asking(
    *,
    temperature: float | None = 0,
    dialect: Dialect | None = Dialect.OPENAI_CHAT,
    key: str = "key-1",
    stream: bool = False,
    text: str = "Hello",
    path: str = "/v1/chat/completions",
    **headers: str,
) -> ChatCall:
    call = chat_call(
        "one/x", stream=stream, dialect=dialect, caller=Caller(door="http", key_id=key)
    )
    request = msgspec.structs.replace(call.request, temperature=temperature)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    written = {"model": "one/x", "messages": [{"role": "user", "content": text}], "stream": stream}
    body = json.dumps(written).encode() if dialect is Dialect.OPENAI_CHAT else None
    return replace(call, request=request, headers=names, body=body, path=path)


def traces(bench: Bench) -> list[RouteTrace]:
    return [msgspec.json.decode(row.trace.data, type=RouteTrace) for row in bench.records]


async def streamed(bench: Bench, call: ChatCall) -> tuple[str, str]:
    """Text and source of a stream, as its client reads it."""
    answer = await bench.pipeline.stream_bytes(call)
    body = b"".join([output async for output in answer.outputs])
    assert call.dialect is not None
    codec = CODECS[call.dialect]
    splitter, decoder = codec.splitter(), codec.decoder({})
    frames = [*splitter.feed(body), *splitter.close()]
    found = collect([event for frame in frames for event in decoder.feed(frame)])
    assert found.finish == "stop"
    return found.text, answer.head.source


async def test_a_kept_answer_costs_nothing_and_asks_nobody(bench: Build) -> None:
    made = bench(WORLD, answers)
    first = await made.pipeline.complete(asking())
    second = await made.pipeline.complete(asking())
    assert (first.head.source, second.head.source) == ("upstream", "cache")
    assert second.reply == first.reply
    assert len(made.gate.asked) == 1
    assert second.receipt.cost_micro_usd is None
    kept = traces(made)[1]
    assert (kept.source, kept.cache, kept.outcome, kept.attempts) == (
        "cache",
        "hit",
        "completed",
        (),
    )
    assert made.records[1].usage == ()
    cache = made.pipeline.answers.cache
    assert (cache.hits, cache.misses, cache.tokens_saved) == (1, 1, 7)


@pytest.mark.parametrize("dialect", list(CODECS))
async def test_a_hit_is_a_stream_for_whoever_streams(bench: Build, dialect: Dialect) -> None:
    made = bench(WORLD, answers)
    assert await streamed(made, asking(dialect=dialect, stream=True)) == ("Hi you", "upstream")
    assert await streamed(made, asking(dialect=dialect, stream=True)) == ("Hi you", "cache")
    whole = await made.pipeline.complete(asking(dialect=dialect))
    assert (whole.head.source, whole.reply.text) == ("cache", "Hi you")
    assert len(made.gate.asked) == 1


MISSES: dict[str, tuple[dict[str, Any], str]] = {
    "another key": ({"key": "key-2"}, "miss"),
    "another dialect": ({"dialect": Dialect.ANTHROPIC}, "miss"),
    "a temperature": ({"temperature": 0.7}, "temperature 0.7"),
    "the client's wish": ({"x_omniroute_no_cache": "True"}, "bypassed by the client"),
}


@pytest.mark.parametrize(("change", "reason"), MISSES.values(), ids=MISSES)
async def test_nobody_gets_what_is_not_the_same(
    bench: Build, change: dict[str, Any], reason: str
) -> None:
    made = bench(WORLD, answers)
    await made.pipeline.complete(asking())
    other = await made.pipeline.complete(asking(**change))
    assert other.head.source == "upstream"
    assert traces(made)[1].cache == reason
    assert len(made.gate.asked) == 2


async def test_without_a_temperature_answers_are_read_and_not_kept(bench: Build) -> None:
    made = bench(WORLD, answers)
    for _ in range(2):
        await made.pipeline.complete(asking(temperature=None))
    assert len(made.gate.asked) == 2


async def test_the_switch_is_off(bench: Build) -> None:
    there = msgspec.structs.replace(
        WORLD, settings={**WORLD.settings, "semanticCacheEnabled": False}
    )
    made = bench(there, answers)
    for _ in range(2):
        await made.pipeline.complete(asking())
    assert len(made.gate.asked) == 2
    assert traces(made)[0].cache == "switched off"


CALL = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
KEEPABLE = {
    "a text": (ChatReply(parts=(Text("x"),), finish="stop"), True),
    "a truncated one": (ChatReply(parts=(Text("x"),), finish="length"), False),
    "one that broke off": (ChatReply(parts=(Text("x"),)), False),
    "a call": (ChatReply(parts=(ToolCall("i", "f", "{}"),), finish="stop"), False),
    "nothing": (ChatReply(finish="stop"), False),
}


@pytest.mark.parametrize(("found", "kept"), KEEPABLE.values(), ids=KEEPABLE)
def test_what_is_worth_keeping(found: ChatReply, kept: bool) -> None:
    assert keepable(found) is kept


words = st.text("ab", max_size=2)
maybe = st.none()
requests = st.builds(
    ChatRequest,
    model=st.sampled_from(["m", "n"]),
    messages=st.lists(
        st.builds(Message, st.sampled_from(["user", "system"]), st.tuples(st.builds(Text, words))),
        max_size=2,
    ).map(tuple),
    tools=st.sampled_from([(), (Tool("t"),), (Tool("u"),)]),
    tool_choice=st.sampled_from([None, ToolChoice("none"), ToolChoice("required")]),
    max_output_tokens=st.sampled_from([None, 5]),
    temperature=st.sampled_from([None, 0.0]),
    top_p=st.sampled_from([None, 0.5]),
    stop=st.sampled_from([(), ("x",)]),
    seed=st.sampled_from([None, 1]),
    reasoning=st.sampled_from([None, ReasoningRequest(effort="low")]),
    response_format=st.sampled_from([None, ResponseFormat("json_object")]),
    extras=st.sampled_from([None, Extras(Dialect.OPENAI_CHAT, {"logprobs": True})]),
)
callers = st.builds(
    Caller,
    door=st.just("http"),
    key_id=st.sampled_from(["a", "b"]),
    allowed_models=st.sampled_from([(), ("m",)]),
)
clients = st.sampled_from([None, *CODECS.values()])


@given(requests, requests, callers, callers, clients, clients, st.integers(1, 2), st.integers(1, 2))
def test_only_the_same_question_has_the_same_name(
    one: ChatRequest,
    two: ChatRequest,
    asker: Caller,
    other: Caller,
    client: Any,
    another: Any,
    version: int,
    later: int,
) -> None:
    first = signature(ChatCall("r1", asker, one, client), version)
    second = signature(ChatCall("r2", other, two, another), later)
    same = (one, asker, client, version) == (two, other, another, later)
    assert (first == second) is same


@given(requests, callers)
def test_what_does_not_shape_an_answer_does_not_name_it(asked: ChatRequest, asker: Caller) -> None:
    told = msgspec.structs.replace(
        asked,
        user="somebody",
        stream=True,
        include_usage=True,
        extras=Extras(Dialect.OPENAI_CHAT, {"metadata": {"trace": 1}})
        if asked.extras is None
        else asked.extras,
    )
    assert signature(ChatCall("a", asker, asked), 1) == signature(ChatCall("b", asker, told), 1)


def kept(text: str = "x") -> Kept:
    return Kept(
        reply=ChatReply(parts=(Text(text),), finish="stop"),
        candidate=Candidate(provider="p", model="m", connection="c"),
        provider_alias="p",
        connection_name="c",
        tokens=1,
    )


async def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    cache = ResponseCache(lambda: NOW_MS, limits=CacheLimits(entries=2))
    for name in "abc":
        cache.keep(name, "o", kept())
    assert [await cache.find(name) is not None for name in "abc"] == [False, True, True]
    size = len(msgspec.json.encode(kept()))
    small = ResponseCache(lambda: NOW_MS, limits=CacheLimits(bytes=2 * size))
    for name in "abc":
        small.keep(name, "o", kept())
    assert small.entries == 2
    assert not small.keep("d", "o", kept("x" * 300_000))


async def test_answers_grow_old() -> None:
    clock = [NOW_MS]
    cache = ResponseCache(lambda: clock[0], limits=CacheLimits(ttl_ms=10))
    cache.keep("a", "o", kept())
    clock[0] += 9
    assert await cache.find("a") is not None
    clock[0] += 1
    assert await cache.find("a") is None


@dataclass
class Held(Answer):
    """Answers when it is told to."""

    gate: asyncio.Event | None = None

    async def read(self) -> bytes:
        assert self.gate is not None
        await self.gate.wait()
        return await super().read()


async def test_the_same_question_under_way_is_asked_once(bench: Build) -> None:
    gate = asyncio.Event()
    made = bench(WORLD, lambda _: Held(pieces=[reply()], gate=gate))
    asked = [asyncio.create_task(made.pipeline.complete(asking())) for _ in range(5)]
    await asyncio.sleep(0.01)
    gate.set()
    found = await asyncio.gather(*asked)
    assert len(made.gate.asked) == 1
    assert sorted(one.head.source for one in found) == ["shared"] * 4 + ["upstream"]
    assert {one.reply.text for one in found} == {"Hi you"}
    assert len(made.records) == 5


async def test_who_began_may_leave_while_others_wait(bench: Build) -> None:
    gate = asyncio.Event()
    made = bench(WORLD, lambda _: Held(pieces=[reply()], gate=gate))
    first = asyncio.create_task(made.pipeline.complete(asking()))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(made.pipeline.complete(asking()))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert (await second).reply.text == "Hi you"
    assert len(made.gate.asked) == 1


async def test_when_the_last_one_leaves_the_upstream_is_left(bench: Build) -> None:
    gate = asyncio.Event()
    made = bench(WORLD, lambda _: Held(pieces=[reply()], gate=gate))
    tasks = [asyncio.create_task(made.pipeline.complete(asking())) for _ in range(3)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert made.gate.given[0].closed
    assert traces(made)[0].outcome == "client_gone"
    assert made.pipeline.answers.sharing.in_flight == 0
    assert made.ledger.open_reservations == 0


async def test_a_failure_is_everybodys_and_is_not_kept(bench: Build) -> None:
    made = bench(WORLD, lambda _: Answer(400, {}, (b'{"error":{"message":"no"}}',)))
    found = await asyncio.gather(
        *(made.pipeline.complete(asking()) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(one, OmniRouteError) for one in found)
    with pytest.raises(OmniRouteError):
        await made.pipeline.complete(asking())


async def test_sharing_under_cancellation_leaves_nothing_behind() -> None:
    sharing: Sharing[int] = Sharing()
    for leavers in range(4):
        gate = asyncio.Event()

        async def work(gate: asyncio.Event = gate) -> int:
            await gate.wait()
            return 7

        tasks = [asyncio.create_task(sharing.run("x", work)) for _ in range(4)]
        await asyncio.sleep(0)
        for task in tasks[:leavers]:
            task.cancel()
        await asyncio.sleep(0)
        gate.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [one[0] for one in done if isinstance(one, tuple)] == [7] * (4 - leavers)
        await asyncio.sleep(0)
        assert sharing.in_flight == 0


async def test_a_repeated_request_gets_the_first_answer(bench: Build) -> None:
    made = bench(WORLD, answers)
    calls = [asking(temperature=None, idempotency_key="k") for _ in range(2)]
    first, second = [await made.pipeline.complete(call) for call in calls]
    assert (first.head.source, second.head.source) == ("upstream", "idempotency")
    assert second.body == first.body
    assert len(made.gate.asked) == 1
    made.clock[0] += 5_001
    third = await made.pipeline.complete(calls[0])
    assert third.head.source == "upstream"


OTHERS: dict[str, dict[str, Any]] = {
    "another key of the gateway": {"key": "key-2"},
    "another path": {"path": "/v1/messages"},
    "another idempotency key": {"idempotency_key": "l"},
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
async def test_a_repetition_is_one_of_the_same_caller_and_path(
    bench: Build, change: dict[str, Any]
) -> None:
    made = bench(WORLD, answers)
    same: dict[str, Any] = {"temperature": None, "idempotency_key": "k"}
    await made.pipeline.complete(asking(**same))
    other = await made.pipeline.complete(asking(**{**same, **change}))
    assert other.head.source == "upstream"


async def test_a_key_belongs_to_one_body(bench: Build) -> None:
    made = bench(WORLD, answers)
    await made.pipeline.complete(asking(idempotency_key="k", text="one"))
    with pytest.raises(IdempotencyMismatch):
        await made.pipeline.complete(asking(idempotency_key="k", text="two"))


async def test_a_failure_is_not_repeated(bench: Build) -> None:
    wrong = [True]

    def once(_: OutboundRequest) -> Answer:
        failing, wrong[0] = wrong[0], False
        bad = Answer(400, {}, (b'{"error":{"message":"no"}}',))
        return bad if failing else Answer(pieces=[reply()])

    made = bench(WORLD, once)
    call = asking(temperature=None, idempotency_key="k")
    with pytest.raises(OmniRouteError):
        await made.pipeline.complete(call)
    assert (await made.pipeline.complete(call)).head.source == "upstream"
