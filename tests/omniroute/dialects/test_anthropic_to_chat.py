"""Requests of Anthropic clients, for OpenAI upstreams and for their own."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from omniroute.chat import Dialect, ReasoningRequest
from omniroute.dialects import CODECS
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.openai_chat.requests_out import ERROR_MARK, IMAGES_FOLLOW
from omniroute.dialects.pairing import NO_ANSWER
from omniroute.errors import InvalidRequest

ANTHROPIC, CHAT = CODECS[Dialect.ANTHROPIC], CODECS[Dialect.OPENAI_CHAT]
HI = {"role": "user", "content": "Hi"}


def translate(body: dict[str, Any], to: Dialect = Dialect.OPENAI_CHAT, **facts: Any) -> Any:
    wire = json.dumps({"model": "m", "max_tokens": 9, "messages": [HI], **body}).encode()
    request = ANTHROPIC.decode_request(wire)
    return json.loads(CODECS[to].encode_request(request, TargetFacts(model="up", **facts)))


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def used(call_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "look", "input": {"k": 1}}


def result(call_id: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def called(*ids: str, content: str | None = None) -> dict[str, Any]:
    function = {"name": "look", "arguments": '{"k":1}'}
    calls = [{"id": call_id, "type": "function", "function": function} for call_id in ids]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def answered(call_id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}

MESSAGES: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "system blocks are joined": (
        {"system": [text("A"), {**text("B"), "cache_control": {"type": "ephemeral"}}]},
        [{"role": "system", "content": "A\nB"}, HI],
    ),
    "results come first, then what the user says": (
        {
            "messages": [
                HI,
                assistant(text("Let me"), used("a"), used("b")),
                user(text("And?"), result("b", "B"), result("a", [text("A"), text("a")])),
            ]
        },
        [
            HI,
            called("a", "b", content="Let me"),
            answered("a", "A\na"),
            answered("b", "B"),
            {"role": "user", "content": "And?"},
        ],
    ),
    "a failed call is marked": (
        {"messages": [HI, assistant(used("a")), user(result("a", "boom", is_error=True))]},
        [HI, called("a"), answered("a", ERROR_MARK + "boom")],
    ),
    "pictures of results follow in a user message": (
        {
            "messages": [
                HI,
                assistant(used("a"), used("b")),
                user(result("a", [{"type": "image", "source": PNG}]), result("b", "B")),
            ]
        },
        [
            HI,
            called("a", "b"),
            answered("a", IMAGES_FOLLOW),
            answered("b", "B"),
            {"role": "user", "content": [PNG_PART]},
        ],
    ),
    "a call nobody answered": (
        {"messages": [HI, assistant(used("a")), HI]},
        [HI, called("a"), answered("a", NO_ANSWER), HI],
    ),
    "thinking, unknown blocks and cache marks stay behind": (
        {
            "messages": [
                user({**text("Hi"), "cache_control": {"type": "ephemeral"}}),
                assistant(
                    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "eA=="},
                    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                    text("Yes"),
                ),
                HI,
            ]
        },
        [HI, {"role": "assistant", "content": "Yes"}, HI],
    ),
    "pictures and documents": (
        {
            "messages": [
                user(
                    {"type": "image", "source": PNG},
                    {"type": "image", "source": {"type": "url", "url": "https://x.dev/a.png"}},
                    {
                        "type": "document",
                        "title": "t.pdf",
                        "source": {
                            "type": "base64",
                            "media_type": "application/pdf",
                            "data": "cGRm",
                        },
                    },
                    {"type": "document", "title": "n", "source": {"type": "text", "data": "N"}},
                )
            ]
        },
        [
            {
                "role": "user",
                "content": [
                    PNG_PART,
                    {"type": "image_url", "image_url": {"url": "https://x.dev/a.png"}},
                    {
                        "type": "file",
                        "file": {
                            "filename": "t.pdf",
                            "file_data": "data:application/pdf;base64,cGRm",
                        },
                    },
                    text("[n]\nN"),
                ],
            }
        ],
    ),
}


@pytest.mark.parametrize(("body", "messages"), MESSAGES.values(), ids=MESSAGES)
def test_messages(body: dict[str, Any], messages: list[Any]) -> None:
    assert translate(body)["messages"] == messages


def test_a_whole_request_with_all_its_settings() -> None:
    body = {
        "tools": [{"name": "look", "description": "d", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "metadata": {"user_id": "u"},
        "container": "c",
        "stream": True,
    }
    schema = {"type": "object", "properties": {}}
    assert translate(body, stream=True) == {
        "model": "up",
        "messages": [HI],
        "max_tokens": 9,
        "temperature": 0.5,
        "user": "u",
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "d", "parameters": schema},
            }
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "stop": ["END"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_services_of_one_dialect_differ_by_facts() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}
    body = {"system": "S", "messages": [HI, assistant(thought, text("A")), HI], "stream": True}
    facts: dict[str, Any] = {
        "stream": True,
        "stream_usage": False,
        "max_completion_tokens": True,
        "developer_role": True,
        "reasoning_history": True,
    }
    assert translate(body, **facts) == {
        "model": "up",
        "messages": [
            {"role": "developer", "content": "S"},
            HI,
            {"role": "assistant", "content": "A", "reasoning_content": "hm"},
            HI,
        ],
        "max_completion_tokens": 9,
        "stream": True,
    }


def enabled(budget: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": budget}


EFFORTS: dict[str, tuple[dict[str, Any], str | None]] = {
    "disabled": ({"thinking": {"type": "disabled"}}, "none"),
    "zero": ({"thinking": enabled(0)}, "none"),
    "1024": ({"thinking": enabled(1024)}, "low"),
    "10240": ({"thinking": enabled(10_240)}, "medium"),
    "10241": ({"thinking": enabled(10_241)}, "high"),
    "131072": ({"thinking": enabled(131_072)}, "xhigh"),
    "an explicit effort wins": (
        {"thinking": enabled(1024), "output_config": {"effort": "max"}},
        "xhigh",
    ),
    "adaptive with effort": (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        "low",
    ),
    "adaptive alone": ({"thinking": {"type": "adaptive"}}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize(("body", "effort"), EFFORTS.values(), ids=EFFORTS)
def test_effort(body: dict[str, Any], effort: str | None) -> None:
    assert translate(body).get("reasoning_effort") == effort


def test_server_tools_are_refused_elsewhere_and_kept_at_home() -> None:
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    assert translate({"tools": [tool]}, Dialect.ANTHROPIC)["tools"] == [tool]
    with pytest.raises(InvalidRequest, match="web_search_20250305"):
        translate({"tools": [tool]})


def test_an_own_request_is_rewritten_without_loss() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    body = {
        "model": "up",
        "max_tokens": 4000,
        "thinking": enabled(2000),
        "system": [{**text("A"), **mark}, text("B")],
        "messages": [
            user({**text("Hi"), **mark}),
            assistant(
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "eA=="},
                {**text("So"), "citations": [{"type": "page_location"}]},
                used("a"),
            ),
            user(
                result(
                    "a",
                    [text("A"), {"type": "search_result", "title": "t"}],
                    is_error=True,
                    **mark,
                ),
                {"type": "image", "source": {"type": "file", "file_id": "f"}},
            ),
        ],
        "tools": [
            {
                "name": "look",
                "description": "",
                "input_schema": {"type": "object", "properties": {}},
            }
            | mark
        ],
        "output_config": {"effort": "high"},
        "service_tier": "auto",
        "metadata": {"user_id": "u", "team": "t"},
    }
    assert translate(body, Dialect.ANTHROPIC) == body


def test_a_step_may_change_what_the_client_asked_for() -> None:
    wire = json.dumps({"model": "m", "messages": [HI], "thinking": enabled(2000)}).encode()
    request = ANTHROPIC.decode_request(wire)
    assert request.reasoning == ReasoningRequest(budget_tokens=2000)
    changed = replace(request, reasoning=ReasoningRequest(effort="none"))
    sent = json.loads(ANTHROPIC.encode_request(changed, TargetFacts(model="up")))
    assert sent["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(("limit", "cap"), [(2000, None), (9000, 2500)])
def test_a_budget_never_exceeds_its_limit(limit: int, cap: int | None) -> None:
    body = {"max_tokens": limit, "thinking": enabled(5000)}
    sent = translate(body, Dialect.ANTHROPIC, max_output_tokens=cap)
    budget = sent.get("thinking", {}).get("budget_tokens", 0)
    assert budget < sent["max_tokens"] <= (cap or limit)
