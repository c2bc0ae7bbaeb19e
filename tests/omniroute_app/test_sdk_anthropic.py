"""The `anthropic` SDK against targets of every dialect."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import ToolParam
from tests.omniroute_app.targets import PNG, SEEN, either_way, every_target
from tests.support.processes import Gateway

TOOLS: list[ToolParam] = [
    {
        "name": name,
        "description": "Weather",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    }
    for name in ("get_weather", "get_news")
]
BOTH = "get_weather get_news Oslo"
"""Makes the demo model call both tools."""


@pytest.fixture
def client(crossroads: Gateway) -> Iterator[anthropic.Anthropic]:
    """The SDK, only base URL and key changed."""
    with anthropic.Anthropic(base_url=crossroads.url, api_key="unused", max_retries=0) as made:
        yield made


def asked(
    client: anthropic.Anthropic, stream: bool, messages: list[Any], **more: Any
) -> anthropic.types.Message:
    """The message, created whole or put together by the SDK from its stream."""
    if not stream:
        reply: anthropic.types.Message = client.messages.create(
            max_tokens=4000, messages=messages, **more
        )
        return reply
    with client.messages.stream(max_tokens=4000, messages=messages, **more) as events:
        return events.get_final_message()


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


@every_target
@either_way
def test_messages(client: anthropic.Anthropic, target: str, stream: bool) -> None:
    words = [user("one two three")]
    reply = asked(client, stream, words, model=f"{target}/echo", system="Be brief.")
    assert [block.text for block in reply.content if block.type == "text"] == ["one two three"]
    assert (reply.stop_reason, reply.usage.output_tokens) == ("end_turn", 3)
    assert reply.id.startswith("msg_")


@every_target
def test_text_arrives_as_it_is_written(client: anthropic.Anthropic, target: str) -> None:
    with client.messages.stream(
        model=f"{target}/echo", max_tokens=100, messages=[user("one two three")]
    ) as events:
        pieces = list(events.text_stream)
    assert "".join(pieces) == "one two three"
    assert len(pieces) > 1


@every_target
@either_way
def test_parallel_tools(client: anthropic.Anthropic, target: str, stream: bool) -> None:
    more: dict[str, Any] = {"model": f"{target}/tools", "tools": TOOLS}
    messages = [user(BOTH)]
    first = asked(client, stream, messages, **more)
    calls = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [(call.name, call.input) for call in calls] == [
        ("get_weather", {"city": BOTH, "days": 1}),
        ("get_news", {"city": BOTH, "days": 1}),
    ]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": content}
        for call, content in zip(calls, ("rain", "news"), strict=True)
    ]
    messages += [{"role": "assistant", "content": first.content}, user(results)]
    answer = asked(client, stream, messages, **more)
    said = "".join(block.text for block in answer.content if block.type == "text")
    assert said == "The tools answered: rain; news"


@every_target
@either_way
def test_thinking_comes_with_a_signature_and_may_be_returned(
    client: anthropic.Anthropic, target: str, stream: bool
) -> None:
    more: dict[str, Any] = {
        "model": f"{target}/reasoning",
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    messages = [user("why")]
    first = asked(client, stream, messages, **more)
    assert [block.type for block in first.content] == ["thinking", "text"]
    thinking: Any = first.content[0]
    assert thinking.thinking == "The user said: why"
    messages += [{"role": "assistant", "content": first.content}, user("and")]
    second = asked(client, stream, messages, **more)
    assert [block.text for block in second.content if block.type == "text"] == ["and"]


@every_target
def test_a_picture_arrives(client: anthropic.Anthropic, target: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    picture = [{"type": "image", "source": source}, {"type": "text", "text": "What?"}]
    reply = asked(client, False, [user(picture)], model=f"{target}/see")
    assert [block.text for block in reply.content if block.type == "text"] == [SEEN]


COUNTED = {"ant": "provider", "gemini": "provider"}
"""Targets that count tokens themselves; the demo counts words."""


@every_target
def test_tokens_are_counted(client: anthropic.Anthropic, target: str) -> None:
    counted = client.messages.count_tokens(model=f"{target}/echo", messages=[user("one two three")])
    source = COUNTED.get(target, "estimated")
    assert counted.to_dict()["source"] == source
    assert (counted.input_tokens == 3) == (source == "provider")
    assert counted.input_tokens >= 3


def test_models(client: anthropic.Anthropic) -> None:
    assert "demo/echo" in [model.id for model in client.models.list()]
    assert client.models.retrieve("demo/echo").id == "demo/echo"


def test_errors_are_the_sdks_own(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model="nobody/x", max_tokens=5, messages=[user("hi")])
    with pytest.raises(anthropic.InternalServerError):
        client.messages.create(model="demo/flaky-500", max_tokens=5, messages=[user("hi")])
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(model="demo/flaky-429", max_tokens=5, messages=[user("hi")])
