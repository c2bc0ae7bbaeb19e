"""What is changed in a prompt before it is sent: combos, the operator's text, thinking budgets."""

from typing import Any

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build
from tests.support.builders import account, combo, node, snapshot

from omniroute.caller import Caller
from omniroute.chat import (
    ChatRequest,
    Dialect,
    Extras,
    HostedTool,
    Message,
    ReasoningRequest,
    Text,
    Tool,
    ToolChoice,
)
from omniroute.dialects import CODECS
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.preparing import prepared
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.trace import RouteTrace

pytestmark = pytest.mark.anyio

HOSTED = HostedTool(Extras(Dialect.OPENAI_RESPONSES, {"type": "web_search"}))
USER = Message("user", (Text("Hi"),))
ASSISTANT = Message("assistant", (Text("Well,"),))
SYSTEM = Message("system", (Text("Be kind."),))
MARKED = Text("Be kind.", Extras(Dialect.ANTHROPIC, {"cache_control": {"type": "ephemeral"}}))


def asked(*messages: Message, **more: Any) -> ChatRequest:
    return ChatRequest(model="own", messages=messages or (USER,), **more)


def tools(*names: str) -> tuple[Tool, ...]:
    return tuple(Tool(name) for name in names)


def world(settings: dict[str, Any] | None = None, **own: Any) -> Snapshot:
    return snapshot(
        nodes=[node("one")],
        accounts=[account("one-one", "one")],
        combos=[combo("own", "one/x", **own)],
        **(settings or {}),
    )


def budget(**rule: Any) -> Snapshot:
    return world({"thinkingBudget": rule})


def prompt(text: str) -> Snapshot:
    return world({"systemPrompt": {"enabled": True, "prompt": text}})


CHANGED: dict[str, tuple[Snapshot, ChatRequest, ChatRequest, list[str]]] = {
    "a combo's message takes the place of all system messages": (
        world(system_message="Be brief."),
        asked(SYSTEM, USER, SYSTEM),
        asked(Message("system", (Text("Be brief."),)), USER),
        ["system-message"],
    ),
    "only tools whose name fits stay": (
        world(tool_filter_regex="^read_"),
        asked(tools=tools("read_file", "delete_file", "read_dir")),
        asked(tools=tools("read_file", "read_dir")),
        ["tool-filter"],
    ),
    "a pattern fits anywhere in a name": (
        world(tool_filter_regex="file"),
        asked(tools=(*tools("read_file"), HOSTED)),
        asked(tools=tools("read_file")),
        ["tool-filter"],
    ),
    "a choice of a tool that is gone is gone": (
        world(tool_filter_regex="read"),
        asked(tools=tools("read", "write"), tool_choice=ToolChoice("tool", "write")),
        asked(tools=tools("read")),
        ["tool-filter"],
    ),
    "a choice that can still be met stays": (
        world(tool_filter_regex="read"),
        asked(tools=tools("read", "write"), tool_choice=ToolChoice("required")),
        asked(tools=tools("read"), tool_choice=ToolChoice("required")),
        ["tool-filter"],
    ),
    "the operator's text stands before the client's": (
        prompt("You work for us."),
        asked(SYSTEM, USER),
        asked(Message("system", (Text("You work for us.\n\nBe kind."),)), USER),
        ["system-prompt"],
    ),
    "the operator's text stands alone where there is no other": (
        prompt("You work for us."),
        asked(),
        asked(Message("system", (Text("You work for us."),)), USER),
        ["system-prompt"],
    ),
    "a marked block stays as it is": (
        prompt("You work for us."),
        asked(Message("system", (MARKED,)), USER),
        asked(Message("system", (Text("You work for us."), MARKED)), USER),
        ["system-prompt"],
    ),
    "thinking is left to the model": (
        budget(mode="auto"),
        asked(reasoning=ReasoningRequest(budget_tokens=5)),
        asked(),
        ["thinking-budget"],
    ),
    "thinking is fixed": (
        budget(mode="custom", customBudget=1_024),
        asked(),
        asked(reasoning=ReasoningRequest("low", 1_024)),
        ["thinking-budget"],
    ),
    "a fixed budget of nothing forbids thinking": (
        budget(mode="custom", customBudget=0),
        asked(reasoning=ReasoningRequest("high")),
        asked(),
        ["thinking-budget"],
    ),
    "thinking grows with the request": (
        budget(mode="adaptive", effortLevel="medium"),
        asked(*[USER] * 11, tools=tools(*"abcd")),
        asked(*[USER] * 11, tools=tools(*"abcd"), reasoning=ReasoningRequest("high", 20_480)),
        ["thinking-budget"],
    ),
    "an adaptive budget has a base and a slope of its own": (
        budget(mode="adaptive", baseBudget=1_000, complexityMultiplier=2),
        asked(Message("user", (Text("x" * 2_001),))),
        asked(Message("user", (Text("x" * 2_001),)), reasoning=ReasoningRequest("medium", 1_600)),
        ["thinking-budget"],
    ),
    "an answer that has begun is not thought about": (
        budget(mode="custom"),
        asked(USER, ASSISTANT, reasoning=ReasoningRequest("low")),
        asked(USER, ASSISTANT),
        ["thinking-budget"],
    ),
    "steps follow each other": (
        world({"systemPrompt": {"enabled": True, "prompt": "A"}}, system_message="B"),
        asked(SYSTEM, USER),
        asked(Message("system", (Text("A\n\nB"),)), USER),
        ["system-message", "system-prompt"],
    ),
}


def call_of(request: ChatRequest) -> ChatCall:
    caller = Caller(door="http", key_id="k")
    return ChatCall("r", caller, request, client=CODECS[Dialect.OPENAI_CHAT], body=b"{}")


@pytest.mark.parametrize(("there", "request_", "sent", "codes"), CHANGED.values(), ids=CHANGED)
def test_a_step(
    there: Snapshot, request_: ChatRequest, sent: ChatRequest, codes: list[str]
) -> None:
    done = prepared(call_of(request_), there, "own")
    assert done.request == sent
    assert [change.code for change in done.changes] == codes
    assert done.body is None, "what the client wrote is not what is sent"


UNTOUCHED: dict[str, tuple[Snapshot, ChatRequest]] = {
    "nothing is configured": (world(), asked(SYSTEM, USER, tools=tools("a"))),
    "every tool fits": (world(tool_filter_regex="."), asked(tools=tools("a", "b"))),
    "the prompt is off": (world({"systemPrompt": {"prompt": "x"}}), asked()),
    "thinking is passed through": (
        budget(mode="passthrough", customBudget=5),
        asked(reasoning=ReasoningRequest("low")),
    ),
    "thinking is as it should be": (
        budget(mode="custom", customBudget=10_240),
        asked(reasoning=ReasoningRequest("medium", 10_240)),
    ),
    "a stored setting is not valid": (world({"thinkingBudget": {"mode": "??"}}), asked()),
}


@pytest.mark.parametrize(("there", "request_"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_needs_no_change_is_the_very_same_call(there: Snapshot, request_: ChatRequest) -> None:
    call = call_of(request_)
    assert prepared(call, there, "own") is call


def test_a_pattern_that_would_take_for_ever_does_not_match() -> None:
    there = world(tool_filter_regex="(a|a|aa)+$")
    done = prepared(call_of(asked(tools=tools("a" * 62 + "!", "b"))), there, "own")
    assert done.request.tools == ()


def trace(bench: Bench) -> RouteTrace:
    return msgspec.json.decode(bench.records[-1].trace.data, type=RouteTrace)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_changed_is_sent_and_told(bench: Build, stream: bool) -> None:
    answer = b'{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}]}'
    chunk = b'{"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":"stop"}]}'
    pieces = (b"data: " + chunk + b"\n\ndata: [DONE]\n\n",) if stream else (answer,)
    made = bench(world(system_message="Be brief."), lambda _: Answer(pieces=pieces))
    written = b'{"model":"own","messages":[{"role":"user","content":"Hi"}]}'
    call = ChatCall(
        "r",
        Caller(door="http", key_id="k"),
        asked(stream=stream),
        client=CODECS[Dialect.OPENAI_CHAT],
        body=written,
    )
    if stream:
        streamed = await made.pipeline.stream_bytes(call)
        assert [output async for output in streamed.outputs]
        head = streamed.head
    else:
        head = (await made.pipeline.complete(call)).head
    sent = msgspec.json.decode(made.gate.asked[0].body or b"")
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [change.code for change in head.changes] == ["system-message"]
    assert trace(made).changes == head.changes
