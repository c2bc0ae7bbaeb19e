"""Providers that take only so many tools: learned from their own words, kept, told."""

from collections.abc import Callable

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.support.builders import account, node, snapshot

from omniroute.chat import Tool, ToolChoice
from omniroute.errors import UpstreamFailed
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.keepers.health_keeper import as_rows, from_rows
from omniroute.routing.resilience.tool_limits import LEARNED_FOR_MS, tool_limit_in
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio

WORLD = snapshot(
    nodes=[node("one", base_url="http://one.test/v1")], accounts=[account("one-one", "a")]
)

TOLD = {
    "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an "
    "array with length 150 instead.": 128,
    "Too many tools provided. At most 64 are supported.": 64,
    "tools: the maximum number of tools is 20": 20,
    "The number of function declarations exceeds the limit of 512.": 512,
    "You may pass no more than 16 functions": 16,
    "tools.0.name must be at most 64 characters": 64,
    "This model does not support tools": None,
    "maximum context length is 8192 tokens": None,
    "Too many tools": None,
    "at most 0 tools": None,
    "at most 10001 tools": None,
}


@pytest.mark.parametrize(("text", "most"), TOLD.items())
def test_the_number_an_error_names(text: str, most: int | None) -> None:
    assert tool_limit_in(text) == most


def picky(most: int, named: int | None = None) -> Callable[[OutboundRequest], Answer]:
    """An upstream that takes so many tools, and names that number or another one."""

    def answers(request: OutboundRequest) -> Answer:
        tools = msgspec.json.decode(request.body or b"").get("tools", [])
        if len(tools) > most:
            text = f"Invalid 'tools': array too long. Expected maximum length {named or most}."
            return Answer(400, pieces=(msgspec.json.encode({"error": {"message": text}}),))
        message = {"message": {"content": "ok"}, "finish_reason": "stop"}
        return Answer(pieces=(msgspec.json.encode({"choices": [message]}),))

    return answers


def asking(tools: int, choice: ToolChoice | None = None) -> ChatCall:
    call = chat_call("one/x")
    made = tuple(Tool(f"t{number}") for number in range(tools))
    return ChatCall(
        "r",
        call.caller,
        msgspec.structs.replace(call.request, tools=made, tool_choice=choice),
    )


def sent(made: Bench) -> list[int]:
    return [len(msgspec.json.decode(one.body or b"").get("tools", [])) for one in made.gate.asked]


async def test_a_limit_is_learned_and_the_request_goes_again_at_once(bench: Build) -> None:
    made = bench(WORLD, picky(3))
    answer = await made.pipeline.complete(asking(5))
    assert [(one.code, one.text) for one in answer.head.changes] == [
        ("tools-truncated", "one-one takes 3 of 5 tools")
    ]
    await made.pipeline.complete(asking(4))
    await made.pipeline.complete(asking(2))
    assert sent(made) == [5, 3, 3, 2], "the second request already knows"


async def test_a_limit_is_forgotten_after_a_day(bench: Build) -> None:
    made = bench(WORLD, picky(3))
    await made.pipeline.complete(asking(5))
    made.clock[0] += LEARNED_FOR_MS
    await made.pipeline.complete(asking(5))
    assert sent(made) == [5, 3, 5, 3]


async def test_a_limit_survives_a_restart(bench: Build) -> None:
    made = bench(WORLD, picky(3))
    await made.pipeline.complete(asking(5))
    found = from_rows(as_rows(made.health.view()), {"a"}, made.clock[0])
    assert found.most_tools("one-one") == 3


async def test_a_choice_of_a_tool_beyond_the_limit_is_dropped(bench: Build) -> None:
    made = bench(WORLD, picky(3))
    await made.pipeline.complete(asking(5, ToolChoice("tool", "t4")))
    assert "tool_choice" not in msgspec.json.decode(made.gate.asked[-1].body or b"")


async def test_an_error_that_does_not_help_goes_to_the_client(bench: Build) -> None:
    made = bench(WORLD, picky(3, named=64))
    with pytest.raises(UpstreamFailed) as told:
        await made.pipeline.complete(asking(5))
    assert (told.value.status, sent(made)) == (400, [5])
