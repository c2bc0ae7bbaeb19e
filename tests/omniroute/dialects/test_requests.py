"""What clients may not send, what survives untouched, and what a pass-through changes."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from omniroute.chat import Dialect, Extras, ReasoningRequest, ToolChoice
from omniroute.dialects import CODECS
from omniroute.dialects.codec import TargetFacts
from omniroute.errors import ValidationFailed

CHAT, ANTHROPIC = CODECS[Dialect.OPENAI_CHAT], CODECS[Dialect.ANTHROPIC]
HI = {"role": "user", "content": "Hi"}


def chat(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [HI], **fields}).encode()


def turns(*messages: Any) -> bytes:
    return chat(messages=list(messages))


REFUSED = {
    "not JSON": (CHAT, b"{", "body", "is not valid JSON"),
    "nested beyond reason": (CHAT, b"[" * 100_000, "body", "is not valid JSON"),
    "not UTF-8": (CHAT, b'{"model": "\xff"}', "body", "is not valid JSON"),
    "not an object": (CHAT, b"[]", "body", "must be a JSON object"),
    "no model": (CHAT, b'{"messages": []}', "model", "is required"),
    "no messages": (CHAT, b'{"model": "m"}', "messages", "is required"),
    "empty messages": (CHAT, turns(), "messages", "must not be empty"),
    "messages of a wrong type": (CHAT, chat(messages="Hi"), "messages", "must be an array"),
    "a message of a wrong type": (CHAT, turns(HI, "Hi"), "messages.1", "must be an object"),
    "no role": (CHAT, turns({"content": "x"}), "messages.0.role", "is required"),
    "an unknown role": (
        CHAT,
        turns({"role": "narrator", "content": "x"}),
        "messages.0.role",
        "must be one of system, developer, user, assistant, model, tool, function",
    ),
    "content of a wrong type": (
        CHAT,
        turns({"role": "user", "content": 3}),
        "messages.0.content",
        "must be a string, null or an array of parts",
    ),
    "a part without type": (
        CHAT,
        turns({"role": "user", "content": [{"text": "x"}]}),
        "messages.0.content.0.type",
        "is required",
    ),
    "a picture without object": (
        CHAT,
        turns({"role": "user", "content": [{"type": "image_url"}]}),
        "messages.0.content.0.image_url",
        "must be an object",
    ),
    "an answer to nothing": (
        CHAT,
        turns({"role": "tool", "content": "x"}),
        "messages.0.tool_call_id",
        "is required",
    ),
    "a flag as text": (CHAT, chat(stream="yes"), "stream", "must be true or false"),
    "a number as text": (CHAT, chat(temperature="hot"), "temperature", "must be a number"),
    "a flag as number": (CHAT, chat(max_tokens=True), "max_tokens", "must be a number"),
    "half a token": (CHAT, chat(max_tokens=1.5), "max_tokens", "must be a whole number"),
    "no answers": (CHAT, chat(n=0), "n", "must be between 1 and 128"),
    "a stop of a wrong type": (
        CHAT,
        chat(stop=[1]),
        "stop",
        "must be a string or an array of strings",
    ),
    "a choice of a wrong type": (
        CHAT,
        chat(tool_choice=1),
        "tool_choice",
        "must be auto, none, required or a function",
    ),
    "a tool of a wrong type": (CHAT, chat(tools=["look"]), "tools.0", "must be an object"),
    "anthropic: no messages": (ANTHROPIC, b'{"model": "m"}', "messages", "is required"),
    "anthropic: a tool role": (
        ANTHROPIC,
        turns({"role": "tool", "content": "x"}),
        "messages.0.role",
        "must be one of user, assistant, system, developer",
    ),
    "anthropic: system of a wrong type": (
        ANTHROPIC,
        chat(system=1),
        "system",
        "must be a string or an array of blocks",
    ),
    "anthropic: thinking of a wrong type": (
        ANTHROPIC,
        chat(thinking="hard"),
        "thinking",
        "must be an object",
    ),
    "anthropic: a result of nothing": (
        ANTHROPIC,
        turns({"role": "user", "content": [{"type": "tool_result"}]}),
        "messages.0.content.0.tool_use_id",
        "is required",
    ),
    "anthropic: a picture without source": (
        ANTHROPIC,
        turns({"role": "user", "content": [{"type": "image"}]}),
        "messages.0.content.0.source",
        "must be an object",
    ),
}


@pytest.mark.parametrize(("codec", "body", "field", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_body_is_refused_by_field(
    codec: Any, body: bytes, field: str, problem: str
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        codec.decode_request(body)
    assert refused.value.problems == ((field, problem),)


def test_unknown_fields_ride_along_to_their_own_dialect_only() -> None:
    body = {
        "logit_bias": {"50256": -100},
        "metadata": {"a": "b"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi", "x": 1}], "y": 2},
            {"role": "assistant", "content": "A", "z": 3},
            {"role": "user", "content": [{"type": "hologram", "hologram": 1}]},
        ],
        "tools": [{"type": "web_search_preview"}, {"type": "custom", "custom": {"name": "c"}}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {}},
        "reasoning_effort": "low",
        "response_format": {"type": "grammar", "grammar": "g"},
        "_internal": True,
    }
    request = CHAT.decode_request(chat(**body))
    sent = json.loads(CHAT.encode_request(request, TargetFacts(model="m")))
    del body["_internal"]
    assert sent == {"model": "m", **body}
    plain = CHAT.decode_request(chat(logit_bias={}, messages=[{**HI, "y": 2}]))
    assert plain.extras == Extras(Dialect.OPENAI_CHAT, {"logit_bias": {}})
    foreign = json.loads(ANTHROPIC.encode_request(plain, TargetFacts(model="m")))
    assert set(foreign) == {"model", "max_tokens", "messages"}


def test_reasoning_goes_out_as_it_came_unless_a_step_changed_it() -> None:
    thinking = {"type": "enabled", "clear_thinking": False}
    request = CHAT.decode_request(chat(thinking=thinking, reasoning_effort="high"))
    sent = json.loads(CHAT.encode_request(request, UP))
    assert (sent["thinking"], sent["reasoning_effort"]) == (thinking, "high")
    changed = replace(request, reasoning=ReasoningRequest(effort="low"))
    sent = json.loads(CHAT.encode_request(changed, UP))
    assert (sent.get("thinking"), sent["reasoning_effort"]) == (None, "low")


def test_null_means_absent() -> None:
    nothing = dict.fromkeys(("tools", "stop", "n", "stream", "thinking", "tool_choice", "user"))
    assert CHAT.decode_request(chat(**nothing)) == CHAT.decode_request(
        chat(thinking=None, tool_choice=None)
    )


def test_any_is_a_synonym_of_required() -> None:
    assert CHAT.decode_request(chat(tool_choice="any")).tool_choice == ToolChoice("required")


UP = TargetFacts(model="up")
STREAMED = TargetFacts(model="up", stream=True)
NEW = TargetFacts(model="up", max_completion_tokens=True, developer_role=True)

PATCHED = {
    "only the model": (
        UP,
        b'{"messages":[ {"role":"user", "content":"\\u0041"} ],"x":1.50,"model":"m"}',
        b'{"messages":[ {"role":"user", "content":"\\u0041"} ],"x":1.50,"model":"up"}',
    ),
    "usage is always asked for": (
        STREAMED,
        b'{"model":"m","stream":true,"messages":[]}',
        b'{"model":"up","stream":true,"messages":[],"stream_options":{"include_usage":true}}',
    ),
    "beside other options": (
        STREAMED,
        b'{"model":"m","stream_options":{"a":1},"stream":true,"messages":[]}',
        b'{"model":"up","stream_options":{"a":1,"include_usage":true},"stream":true,"messages":[]}',
    ),
    "options stay as they are when they ask already": (
        STREAMED,
        b'{"model":"m","stream":true,"stream_options":{ "include_usage":true },"messages":[]}',
        b'{"model":"up","stream":true,"stream_options":{ "include_usage":true },"messages":[]}',
    ),
    "options leave where they are not known": (
        TargetFacts(model="up", stream=True, stream_usage=False),
        b'{"model":"m","stream":true,"stream_options":{},"messages":[]}',
        b'{"model":"up","stream":true,"messages":[]}',
    ),
    "a stream is read whole": (
        UP,
        b'{"model":"m","stream":true,"stream_options":{},"messages":[]}',
        b'{"model":"up","stream":false,"messages":[]}',
    ),
    "a whole reply is read as a stream": (
        TargetFacts(model="up", stream=True, stream_usage=False),
        b'{"model":"m","messages":[]}',
        b'{"model":"up","messages":[],"stream":true}',
    ),
    "the limit is renamed in its place": (
        NEW,
        b'{"model":"m","max_tokens":7,"messages":[]}',
        b'{"model":"up","max_completion_tokens":7,"messages":[]}',
    ),
    "the newer limit is kept": (
        NEW,
        b'{"model":"m","max_tokens":7,"max_completion_tokens":8,"messages":[]}',
        b'{"model":"up","max_completion_tokens":8,"messages":[]}',
    ),
    "the synonym beside the newer limit": (
        UP,
        b'{"model":"m","max_output_tokens":7,"max_completion_tokens":8,"messages":[]}',
        b'{"model":"up","max_completion_tokens":8,"messages":[]}',
    ),
    "the synonym of the limit": (
        UP,
        b'{"model":"m","max_output_tokens":7,"messages":[]}',
        b'{"model":"up","max_tokens":7,"messages":[]}',
    ),
    "gateway fields and empty names go": (
        UP,
        b'{"model":"m","_x":1,"messages":[{"role":"user","name":"","content": "a"}]}',
        b'{"model":"up","messages":[{"role":"user","content":"a"}]}',
    ),
    "developers and reasoning where they are not known": (
        UP,
        b'{"model":"m","messages":[{"role":"developer"},{"reasoning_content":"r","content": 1}]}',
        b'{"model":"up","messages":[{"role":"system"},{"content":1}]}',
    ),
    "developers where they are known": (
        NEW,
        b'{"model":"m","messages":[{"role":"developer"}]}',
        b'{"model":"up","messages":[{"role":"developer"}]}',
    ),
}


@pytest.mark.parametrize(("target", "body", "patched"), PATCHED.values(), ids=PATCHED)
def test_chat_passthrough(target: TargetFacts, body: bytes, patched: bytes) -> None:
    assert CHAT.patch_request(body, target) == patched


ANTHROPIC_PATCHED = {
    "only the model": (
        STREAMED,
        b'{"max_tokens":9,"model":"m","stream":true,"messages":[{"x": "\\u0041"}],"y": {} }',
        b'{"max_tokens":9,"model":"up","stream":true,"messages":[{"x": "\\u0041"}],"y":{}}',
    ),
    "a limit is required": (
        TargetFacts(model="up", max_output_tokens=4096),
        b'{"model":"m","messages":[]}',
        b'{"model":"up","messages":[],"max_tokens":4096}',
    ),
    "system turns are hoisted, marks survive": (
        UP,
        (
            b'{"model":"m","max_tokens":9,"system":"A","messages":[{"role":"system","content":"B"}'
            b',{"role":"user"},{"role":"system","content":[{"cache_control":1}]}]}'
        ),
        (
            b'{"model":"up","max_tokens":9,"system":[{"type":"text","text":"A"}'
            b',{"type":"text","text":"B"},{"cache_control":1}],"messages":[{"role":"user"}]}'
        ),
    ),
}


@pytest.mark.parametrize(
    ("target", "body", "patched"), ANTHROPIC_PATCHED.values(), ids=ANTHROPIC_PATCHED
)
def test_anthropic_passthrough(target: TargetFacts, body: bytes, patched: bytes) -> None:
    assert ANTHROPIC.patch_request(body, target) == patched
