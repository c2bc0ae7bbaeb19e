"""Requests of OpenAI clients for Anthropic upstreams: what each part of the wire becomes."""

import json
from hashlib import sha256
from typing import Any

import pytest

from omniroute.chat import Dialect
from omniroute.dialects import CODECS
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.pairing import NO_ANSWER
from omniroute.errors import InvalidRequest

HI = {"role": "user", "content": "Hi"}
HI_TURN = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}


def translate(body: dict[str, Any], **facts: Any) -> dict[str, Any]:
    wire = json.dumps({"model": "m", "messages": [HI], **body}).encode()
    request = CODECS[Dialect.OPENAI_CHAT].decode_request(wire)
    target = TargetFacts(model="claude", **facts)
    found: dict[str, Any] = json.loads(CODECS[Dialect.ANTHROPIC].encode_request(request, target))
    return found


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def call(call_id: str | None, name: str = "look", arguments: Any = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def used(call_id: str, name: str = "look", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def answer(call_id: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def result(call_id: str, value: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": [text(value)]}


def asked(*calls: dict[str, Any], content: str | None = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def test_a_plain_request_whole() -> None:
    assert translate({"temperature": 1.6, "stop": "END", "user": "u1", "seed": 3}) == {
        "model": "claude",
        "max_tokens": 64_000,
        "temperature": 1.0,
        "messages": [HI_TURN],
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
    }


MESSAGES: dict[str, tuple[list[Any], list[Any]]] = {
    "neighbours of one role are merged": (
        [HI, {"role": "user", "content": "Ho"}],
        [{"role": "user", "content": [text("Hi"), text("Ho")]}],
    ),
    "a prefill at the end survives, without trailing space": (
        [HI, {"role": "assistant", "content": "Well, "}],
        [HI_TURN, {"role": "assistant", "content": [text("Well,")]}],
    ),
    "empty contents go": (
        [
            {"role": "user", "content": ""},
            {"role": "user", "content": "  \n"},
            {"role": "assistant", "content": None},
            {"role": "user", "content": []},
            HI,
        ],
        [HI_TURN],
    ),
    "an assistant never speaks first": (
        [{"role": "assistant", "content": "Yes?"}, HI],
        [
            {"role": "user", "content": [text("(The conversation begins.)")]},
            {"role": "assistant", "content": [text("Yes?")]},
            HI_TURN,
        ],
    ),
    "parallel answers in any order become one user turn": (
        [HI, asked(call("a"), call("b")), answer("b", "B"), answer("a", "A"), HI],
        [
            HI_TURN,
            {"role": "assistant", "content": [used("a"), used("b")]},
            {"role": "user", "content": [result("a", "A"), result("b", "B"), text("Hi")]},
        ],
    ),
    "an answer without call goes": ([HI, answer("nobody", "x")], [HI_TURN]),
    "a call without answer gets a placeholder": (
        [HI, asked(call("a")), HI],
        [
            HI_TURN,
            {"role": "assistant", "content": [used("a")]},
            {"role": "user", "content": [result("a", NO_ANSWER), text("Hi")]},
        ],
    ),
    "a call at the end waits": (
        [HI, asked(call("a"))],
        [HI_TURN, {"role": "assistant", "content": [used("a")]}],
    ),
    "arguments that are no object are kept": (
        [
            HI,
            asked(
                call("a", arguments=""),
                call("b", arguments="{oops"),
                call("c", arguments="[1]"),
                call("d", arguments={"k": 1}),
            ),
        ],
        [
            HI_TURN,
            {
                "role": "assistant",
                "content": [
                    used("a"),
                    used("b", _raw="{oops"),
                    used("c", _raw="[1]"),
                    used("d", k=1),
                ],
            },
        ],
    ),
    "ids are cleaned, made unique, and answers follow them": (
        [HI, asked(call("x.1"), call("x:1"), call("y"), call("y")), answer("x:1", "2"), HI],
        [
            HI_TURN,
            {
                "role": "assistant",
                "content": [used("x_1"), used("x_1_2"), used("y"), used("y_2")],
            },
            {
                "role": "user",
                "content": [
                    result("x_1", NO_ANSWER),
                    result("x_1_2", "2"),
                    result("y", NO_ANSWER),
                    result("y_2", NO_ANSWER),
                    text("Hi"),
                ],
            },
        ],
    ),
    "a call without id takes the answer nobody else wants": (
        [HI, asked(call(None)), answer("lost", "found")],
        [
            HI_TURN,
            {"role": "assistant", "content": [used("call")]},
            {"role": "user", "content": [result("call", "found")]},
        ],
    ),
    "an id used in every turn means the newest call": (
        [HI, asked(call("0")), answer("0", "A"), asked(call("0")), answer("0", "B")],
        [
            HI_TURN,
            {"role": "assistant", "content": [used("0")]},
            {"role": "user", "content": [result("0", "A")]},
            {"role": "assistant", "content": [used("0_2")]},
            {"role": "user", "content": [result("0_2", "B")]},
        ],
    ),
    "an answer is never taken for one to an older call": (
        [HI, asked(call("0")), HI, asked(call("0")), answer("0", "B")],
        [
            HI_TURN,
            {"role": "assistant", "content": [used("0")]},
            {"role": "user", "content": [result("0", NO_ANSWER), text("Hi")]},
            {"role": "assistant", "content": [used("0_2")]},
            {"role": "user", "content": [result("0_2", "B")]},
        ],
    ),
    "a call without name goes with its answer": (
        [HI, asked(call("a", name=" "), content="Hm"), answer("a", "x"), HI],
        [HI_TURN, {"role": "assistant", "content": [text("Hm")]}, HI_TURN],
    ),
    "text moves in front of the calls": (
        [HI, asked(call("a"), content="Let me see")],
        [HI_TURN, {"role": "assistant", "content": [text("Let me see"), used("a")]}],
    ),
    "an empty answer stays an answer": (
        [HI, asked(call("a")), answer("a", [{"type": "text", "text": " "}])],
        [
            HI_TURN,
            {"role": "assistant", "content": [used("a")]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
        ],
    ),
    "legacy function calls": (
        [
            HI,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}},
            {"role": "function", "name": "f", "content": "42"},
        ],
        [
            HI_TURN,
            {"role": "assistant", "content": [used("call_0_f", "f")]},
            {"role": "user", "content": [result("call_0_f", "42")]},
        ],
    ),
    "reasoning without a genuine signature is not sent": (
        [HI, {"role": "assistant", "content": "A", "reasoning_content": "hm"}, HI],
        [HI_TURN, {"role": "assistant", "content": [text("A")]}, HI_TURN],
    ),
    "a refusal is text": (
        [HI, {"role": "assistant", "content": None, "refusal": "No."}, HI],
        [HI_TURN, {"role": "assistant", "content": [text("No.")]}, HI_TURN],
    ),
    "pictures and documents": (
        [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                    {"type": "image_url", "image_url": {"url": "https://x.dev/a.png"}},
                    {"type": "image_url", "image_url": {"url": " "}},
                    {"type": "text", "text": "T", "cache_control": {"type": "ephemeral"}},
                    {
                        "type": "file",
                        "file": {"file_data": "data:application/pdf;base64,cGRm", "filename": "a"},
                    },
                ],
            }
        ],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://x.dev/a.png"}},
                    {"type": "text", "text": "T", "cache_control": {"type": "ephemeral"}},
                    {
                        "type": "document",
                        "source": {
                            "type": "base64",
                            "media_type": "application/pdf",
                            "data": "cGRm",
                        },
                        "title": "a",
                    },
                ],
            }
        ],
    ),
}


@pytest.mark.parametrize(("messages", "turns"), MESSAGES.values(), ids=MESSAGES)
def test_messages(messages: list[Any], turns: list[Any]) -> None:
    assert translate({"messages": messages})["messages"] == turns


def test_system_texts_are_joined_in_order() -> None:
    messages = [{"role": "system", "content": "A"}, HI, {"role": "developer", "content": "B"}]
    wire = translate({"messages": messages})
    assert (wire["system"], wire["messages"]) == ([text("A\nB")], [HI_TURN])


def test_a_system_prompt_alone_becomes_the_user() -> None:
    wire = translate({"messages": [{"role": "system", "content": "Hi"}]})
    assert (wire["messages"], "system" in wire) == ([HI_TURN], False)


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
WIRE_TOOL = {
    "name": "look",
    "description": "",
    "input_schema": {"type": "object", "properties": {}},
}
LONG = "n" * 130
LONG_HASH = sha256(LONG.encode()).hexdigest()

TOOLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "declared": ({"tools": [TOOL]}, {"tools": [WIRE_TOOL]}),
    "none left": ({"tools": [{"type": "function", "function": {"name": " "}}]}, {}),
    "legacy": (
        {"functions": [{"name": "look"}], "function_call": {"name": "look"}},
        {"tools": [WIRE_TOOL], "tool_choice": {"type": "tool", "name": "look"}},
    ),
    "auto": (
        {"tools": [TOOL], "tool_choice": "auto"},
        {"tools": [WIRE_TOOL], "tool_choice": {"type": "auto"}},
    ),
    "none": (
        {"tools": [TOOL], "tool_choice": "none"},
        {"tools": [WIRE_TOOL], "tool_choice": {"type": "none"}},
    ),
    "required, one at a time": (
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        {
            "tools": [WIRE_TOOL],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        },
    ),
    "a named one": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}},
        {"tools": [WIRE_TOOL], "tool_choice": {"type": "tool", "name": "look"}},
    ),
    "one at a time needs a choice": (
        {"tools": [TOOL], "parallel_tool_calls": False},
        {
            "tools": [WIRE_TOOL],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        },
    ),
    "names are cleaned": (
        {"tools": [{"type": "function", "function": {"name": "a.b c"}}]},
        {"tools": [{**WIRE_TOOL, "name": "a_b_c"}]},
    ),
    "long names are cut and told apart": (
        {"tools": [{"type": "function", "function": {"name": LONG}}]},
        {"tools": [{**WIRE_TOOL, "name": f"{'n' * 119}_{LONG_HASH[:8]}"}]},
    ),
}


@pytest.mark.parametrize(("body", "expected"), TOOLS.values(), ids=TOOLS)
def test_tools(body: dict[str, Any], expected: dict[str, Any]) -> None:
    wire = translate(body)
    found = {name: wire[name] for name in ("tools", "tool_choice") if name in wire}
    assert found == expected


def test_renamed_tools_come_back_under_their_own_name() -> None:
    chat, anthropic = CODECS[Dialect.OPENAI_CHAT], CODECS[Dialect.ANTHROPIC]
    tools = [{"type": "function", "function": {"name": name}} for name in ("a.b", "a:b", "ok")]
    body = json.dumps({"model": "m", "messages": [HI], "tools": tools}).encode()
    request = chat.decode_request(body)
    sent = [t["name"] for t in translate({"tools": tools})["tools"]]
    names = anthropic.tool_names(request)
    assert sent[0] == "a_b"
    assert len(set(sent)) == 3
    assert [names.get(name, name) for name in sent] == ["a.b", "a:b", "ok"]
    reply = json.dumps({"content": [used("x", sent[1])], "stop_reason": "tool_use"}).encode()
    events = anthropic.decode_reply(reply, names)
    assert [event.name for event in events if hasattr(event, "name")] == ["a:b"]


THINKING: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "none": ({"reasoning_effort": "none"}, {}, {"thinking": {"type": "disabled"}}),
    "minimal": ({"reasoning_effort": "minimal"}, {}, {"thinking": {"type": "disabled"}}),
    "low": (
        {"reasoning_effort": "low", "max_tokens": 500, "temperature": 0.3, "top_k": 3},
        {},
        {"max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
    "medium": (
        {"reasoning_effort": "medium", "max_completion_tokens": 4000},
        {},
        {"max_tokens": 14_240, "thinking": {"type": "enabled", "budget_tokens": 10_240}},
    ),
    "high, as the engine's example says": (
        {"reasoning_effort": "high", "max_tokens": 32_000},
        {"max_output_tokens": 128_000},
        {"max_tokens": 128_000, "thinking": {"type": "enabled", "budget_tokens": 96_000}},
    ),
    "the cap takes room from the answer": (
        {"reasoning_effort": "high", "max_tokens": 7900},
        {"max_output_tokens": 8000},
        {"max_tokens": 8000, "thinking": {"type": "enabled", "budget_tokens": 6976}},
    ),
    "a cap too small for thinking": (
        {"reasoning_effort": "high", "max_tokens": 300},
        {"max_output_tokens": 900},
        {"max_tokens": 300, "thinking": {"type": "disabled"}},
    ),
    "xhigh where the model decides itself": (
        {"reasoning_effort": "xhigh", "max_tokens": 9},
        {"adaptive_thinking": True},
        {
            "max_tokens": 9,
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "xhigh"},
        },
    ),
    "low where the model decides itself": (
        {"reasoning_effort": "low", "temperature": 0.5, "top_p": 0.5},
        {"adaptive_thinking": True, "fixed_sampling": True},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    ),
    "a budget where the model decides itself": (
        {"thinking": {"type": "enabled", "budget_tokens": 10_240}},
        {"adaptive_thinking": True},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
    ),
    "none where the model decides itself": (
        {"reasoning_effort": "none"},
        {"adaptive_thinking": True},
        {},
    ),
    "the thinking object wins": (
        {
            "reasoning_effort": "high",
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "max_tokens": 3000,
        },
        {},
        {"max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
    "a forced tool excludes thinking": (
        {"reasoning_effort": "low", "tools": [TOOL], "tool_choice": "required", "max_tokens": 9},
        {},
        {"max_tokens": 9},
    ),
    "a tool turn without signed thinking excludes it": (
        {
            "reasoning_effort": "low",
            "max_tokens": 9,
            "messages": [HI, asked(call("a")), answer("a", "A")],
        },
        {},
        {"max_tokens": 9},
    ),
    "a prefill excludes thinking": (
        {
            "reasoning_effort": "low",
            "max_tokens": 9,
            "messages": [HI, {"role": "assistant", "content": "So"}],
        },
        {},
        {"max_tokens": 9},
    ),
}


@pytest.mark.parametrize(("body", "facts", "expected"), THINKING.values(), ids=THINKING)
def test_thinking(body: dict[str, Any], facts: dict[str, Any], expected: dict[str, Any]) -> None:
    wire = translate(body, **facts)
    told = ("model", "messages", "tools", "tool_choice")
    found = {name: value for name, value in wire.items() if name not in told}
    assert found == {"max_tokens": 64_000, **expected}


LIMITS = {
    "the caller's": ({"max_tokens": 7}, {}, 7),
    "the newer name is preferred": ({"max_tokens": 7, "max_completion_tokens": 8}, {}, 8),
    "the synonym": ({"max_output_tokens": 9}, {}, 9),
    "never over the model's": ({"max_tokens": 9000}, {"max_output_tokens": 4096}, 4096),
    "the default, too": ({}, {"max_output_tokens": 4096}, 4096),
    "at least one": ({"max_tokens": 0}, {}, 1),
    "never raised for tools": ({"max_tokens": 7, "tools": [TOOL]}, {}, 7),
}


@pytest.mark.parametrize(("body", "facts", "limit"), LIMITS.values(), ids=LIMITS)
def test_output_limit(body: dict[str, Any], facts: dict[str, Any], limit: int) -> None:
    assert translate(body, **facts)["max_tokens"] == limit


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


def test_json_is_asked_for_in_words() -> None:
    body = {"messages": [{"role": "system", "content": "S"}, HI]}
    plain = translate({**body, "response_format": {"type": "json_object"}})["system"]
    assert plain[0] == text("S")
    assert "one JSON object" in plain[1]["text"]
    strict = translate({**body, "response_format": JSON_SCHEMA})["system"]
    assert '{"type":"object","properties":{"a":{"type":"string"}}}' in strict[1]["text"]
    assert "system" not in translate({"response_format": {"type": "text"}})


def test_json_is_asked_for_natively_where_the_model_can() -> None:
    wire = translate({"response_format": JSON_SCHEMA}, structured_output=True)
    assert wire["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert "system" not in wire


SOUND = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}
FILE = {"type": "file", "file": {"file_id": "file-1"}}
BROKEN = {"type": "image_url", "image_url": {"url": "data:image/png,oops"}}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "several answers": ({"n": 2}, "n"),
    "sound": ({"messages": [{"role": "user", "content": [SOUND]}]}, "messages"),
    "a stored file": ({"messages": [{"role": "user", "content": [FILE]}]}, "messages"),
    "a broken data URI": ({"messages": [{"role": "user", "content": [BROKEN]}]}, "messages"),
    "a hosted tool": ({"tools": [{"type": "web_search"}]}, "tools"),
    "nothing to say": ({"messages": [{"role": "user", "content": ""}]}, "messages"),
}


@pytest.mark.parametrize(("body", "param"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_said_is_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        translate(body)
    assert (refused.value.param, refused.value.code) == (param, "unsupported_feature")
