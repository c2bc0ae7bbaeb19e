"""Thinking that a client dropped comes back with the result of the call it led to."""

import json
from typing import Any

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Build
from tests.support.builders import account, snapshot

from omniroute.caller import Caller
from omniroute.chat import ChatRequest, Dialect, Message, Reasoning, Text, ToolCall, ToolResult
from omniroute.dialects import CODECS
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.reuse.recall import KEPT_FOR_MS, MAX_CALLS, Recall
from omniroute.routing.trace import RouteTrace
from omniroute.upstream.send import OutboundRequest

SIGNED = Reasoning("hm", "c2ln", origin=Dialect.ANTHROPIC)
BARE = Reasoning(signature="Z2Vt", origin=Dialect.GEMINI)
CALL = ToolCall("call_1", "look", "{}")


def asking(*parts: Any) -> ChatRequest:
    answer = ToolResult("call_1", (Text("12"),))
    turns = (Message("assistant", parts), Message("tool", (answer,)))
    return ChatRequest(model="m", messages=turns)


def test_thinking_stands_before_the_turn_and_a_bare_signature_before_its_call() -> None:
    recall = Recall(lambda: 0)
    recall.keep("me", "call_1", (SIGNED,))
    said = Text("Let me see")
    assert recall.completed(asking(said, CALL), "me").messages[0].parts == (SIGNED, said, CALL)
    recall.keep("me", "call_1", (BARE,))
    assert recall.completed(asking(said, CALL), "me").messages[0].parts == (said, BARE, CALL)


def test_what_the_client_returned_wins_and_owners_are_kept_apart() -> None:
    recall = Recall(lambda: 0)
    recall.keep("me", "call_1", (SIGNED,))
    returned = asking(Reasoning("own"), CALL)
    assert recall.completed(returned, "me") is returned
    dropped = asking(CALL)
    assert recall.completed(dropped, "somebody else") is dropped


def test_thoughts_go_after_an_hour_and_the_oldest_first() -> None:
    clock = [0]
    recall = Recall(lambda: clock[0])
    for number in range(MAX_CALLS + 1):
        recall.keep("me", f"call_{number}", (SIGNED,))
    assert recall.thoughts("me", "call_0") == ()
    assert recall.thoughts("me", "call_1") == (SIGNED,)
    clock[0] = KEPT_FOR_MS
    assert recall.thoughts("me", "call_1") == ()


THINKS = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 1, "output_tokens": 1},
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "tool_use", "id": "call_1", "name": "look", "input": {}},
    ],
}


def frames() -> bytes:
    start, end = {**THINKS, "content": [], "stop_reason": None}, {"stop_reason": "tool_use"}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    deltas = [
        [
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "c2ln"},
        ],
        [{"type": "input_json_delta", "partial_json": "{}"}],
    ]
    for index, block in enumerate(THINKS["content"]):
        opened = block if index else {"type": "thinking", "thinking": "", "signature": ""}
        events.append({"type": "content_block_start", "index": index, "content_block": opened})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta}
            for delta in deltas[index]
        ]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}})
    events.append({"type": "message_stop"})
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n"
        for event in events
    )


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_openai_client_that_drops_everything_may_still_answer_a_call(
    bench: Build, stream: bool
) -> None:
    world = snapshot(accounts=[account("anthropic", "a")])
    sent: list[dict[str, Any]] = []

    def upstream(request: OutboundRequest) -> Answer:
        sent.append(json.loads(request.body or b""))
        return Answer(pieces=(frames() if stream else msgspec.json.encode(THINKS),))

    built = bench(world, upstream)
    client = CODECS[Dialect.OPENAI_CHAT]
    tool = {"type": "function", "function": {"name": "look"}}
    asked: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
    calls = [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    answered: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "12"},
    ]
    for messages in (asked, asked + answered):
        body = {
            "model": "anthropic/claude-sonnet-4-5",
            "messages": messages,
            "tools": [tool],
            "reasoning_effort": "low",
            "stream": stream,
        }
        raw = json.dumps(body).encode()
        request = client.decode_request(raw)
        caller = Caller(door="http", key_id="key-1")
        call = ChatCall("request-1", caller, request, client, raw)
        if stream:
            answer = await built.pipeline.stream_bytes(call)
            async for _ in answer.outputs:
                pass
        else:
            await built.pipeline.complete(call)
    thinking = sent[1]["messages"][1]["content"][0]
    assert thinking == {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    assert sent[1]["thinking"]["type"] == "enabled"


REFUSAL = {"type": "error", "error": {"type": "invalid_request_error", "message": ""}}
REFUSALS = {
    "Anthropic": "messages.1.content.0: Invalid `signature` in `thinking` block",
    "Gemini": "Thought signature is not valid.",
    "OpenAI": "The encrypted content for item rs_1 could not be verified.",
}


@pytest.mark.anyio
@pytest.mark.parametrize("message", REFUSALS.values(), ids=REFUSALS)
async def test_state_another_provider_signed_is_left_out_and_the_trace_says_so(
    bench: Build, message: str
) -> None:
    """Two providers of one dialect sign for themselves; a client returns what it was given."""
    world = snapshot(accounts=[account("anthropic", "a")])
    sent: list[dict[str, Any]] = []

    def upstream(request: OutboundRequest) -> Answer:
        sent.append(json.loads(request.body or b""))
        if len(sent) > 1:
            return Answer(pieces=(msgspec.json.encode(THINKS),))
        refused = {**REFUSAL, "error": {"type": "invalid_request_error", "message": message}}
        return Answer(400, pieces=(json.dumps(refused).encode(),))

    built = bench(world, upstream)
    client = CODECS[Dialect.ANTHROPIC]
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    said = [thinking, {"type": "text", "text": "Ho"}]
    body = {
        "model": "anthropic/claude-sonnet-4-5",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": said},
            {"role": "user", "content": "?"},
        ],
    }
    raw = json.dumps(body).encode()
    call = ChatCall(
        "request-1", Caller(door="http", key_id="key-1"), client.decode_request(raw), client, raw
    )
    answer = await built.pipeline.complete(call)
    assert json.loads(answer.body)["content"][0]["type"] == "thinking"
    assert sent[0]["messages"][1]["content"] == said
    assert sent[1]["messages"][1]["content"] == said[1:]
    trace = msgspec.json.decode(built.records[0].trace.data, type=RouteTrace)
    assert [attempt.verdict for attempt in trace.attempts] == ["foreign_state", None]
    assert trace.attempts[1].left_behind == ("1 thinking signature of anthropic",)
