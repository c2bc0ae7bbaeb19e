"""Conversations that keep their model in combos with `context_cache_protection`."""

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.support.builders import account, combo, node, snapshot

from omniroute.caller import Caller
from omniroute.chat import Message, Text
from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.turns.pins import TTL_MS
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio


def world(*, protects: bool) -> Snapshot:
    return snapshot(
        nodes=[node(name, base_url=f"http://{name}.test/v1") for name in ("one", "two")],
        accounts=[account(f"{name}-{name}", name) for name in ("one", "two")],
        combos=[
            combo(
                "mix", "one/x", "two/y", strategy="round-robin", context_cache_protection=protects
            )
        ],
    )


def ok(_: OutboundRequest) -> Answer:
    message = {"message": {"content": "ok"}, "finish_reason": "stop"}
    return Answer(pieces=(msgspec.json.encode({"choices": [message]}),))


def saying(*turns: str, session: str = "", key: str = "k") -> ChatCall:
    call = chat_call("mix", caller=Caller(door="http", key_id=key))
    messages = tuple(Message("user", (Text(turn),)) for turn in turns)
    request = msgspec.structs.replace(call.request, messages=messages)
    headers = {"x-session-id": session} if session else {}
    return ChatCall("r", call.caller, request, headers=headers)


async def served(made: Bench, call: ChatCall) -> str:
    return (await made.pipeline.complete(call)).head.chosen.model


async def test_a_conversation_keeps_its_model_and_the_others_take_turns(bench: Build) -> None:
    made = bench(world(protects=True), ok)
    assert await served(made, saying("a")) == "x"
    assert await served(made, saying("b")) == "y"
    for turns in (("a", "more"), ("a", "more", "and more")):
        assert await served(made, saying(*turns)) == "x"
    assert await served(made, saying("b", "more")) == "y"


async def test_a_named_session_is_the_conversation_whatever_is_said(bench: Build) -> None:
    made = bench(world(protects=True), ok)
    assert [await served(made, saying(text, session="s")) for text in "abc"] == ["x", "x", "x"]


async def test_conversations_of_two_keys_are_two(bench: Build) -> None:
    made = bench(world(protects=True), ok)
    keys = ("one", "two", "one", "two")
    assert [await served(made, saying("a", key=key)) for key in keys] == ["x", "y", "x", "y"]


async def test_without_protection_the_strategy_decides(bench: Build) -> None:
    made = bench(world(protects=False), ok)
    assert [await served(made, saying("a")) for _ in range(3)] == ["x", "y", "x"]


async def test_a_model_that_cannot_be_used_gives_way_and_the_next_one_is_kept(
    bench: Build,
) -> None:
    down: set[str] = set()

    def answers(request: OutboundRequest) -> Answer:
        return Answer(500) if any(name in request.url for name in down) else ok(request)

    made = bench(world(protects=True), answers)
    assert await served(made, saying("a")) == "x"
    down.add("one.test")
    assert await served(made, saying("a", "b")) == "y"
    down.clear()
    made.clock[0] += 60_000
    assert await served(made, saying("a", "b", "c")) == "y"


async def test_a_pin_ends_a_day_after_its_last_use(bench: Build) -> None:
    made = bench(world(protects=True), ok)
    assert await served(made, saying("a")) == "x"
    made.clock[0] += TTL_MS
    assert await served(made, saying("a")) == "y", "its turn"


async def test_the_plan_says_so_and_can_be_made_again(bench: Build) -> None:
    made = bench(world(protects=True), ok)
    await served(made, saying("a"))
    answer = await made.pipeline.complete(saying("a"))
    assert "this conversation's model" in answer.head.chosen.reasons
    assert answer.head.plan.candidates[0] == answer.head.chosen
